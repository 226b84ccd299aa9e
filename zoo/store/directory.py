"""The zoo directory while it is written: manifest, member table, one series of checkpoints per block.

    zoo.json, recipes.json                     zoo/store/manifest.py
    parts/<module>.py                          zoo/spec/own_parts.py
    members.csv                                one row per member
    cohorts/<cohort>/cohort.json               zoo/store/manifest.py
    cohorts/<cohort>/<block>/<step>/           zoo/store/checkpoints.py; step 0 is the untrained networks

Every write is atomic and nothing is pickled.
"""

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from zoo import files, wording
from zoo.spec import own_parts
from zoo.spec.cohorts import Cohort
from zoo.spec.encoding import differences
from zoo.spec.zoo import Zoo
from zoo.store import manifest
from zoo.store.checkpoints import KEPT, BlockFolder
from zoo.store.data_hashes import check_data
from zoo.store.members import member_table
from zoo.store.regrouping import Beginning, Place, places_of
from zoo.wording import short

if TYPE_CHECKING:
    from zoo.devices.recipe import Recipe

PATTERN = ("*", "?", "[")
"""What Orbax takes for a pattern, so that it would join the arrays of other folders, or of none."""


class Store:
    """A zoo directory that is being written.

    Args:
      directory: new, empty, or of the same spec, or of a part of it.
      zoo: what it holds.
      kept: checkpoints of a block that stay, beside step 0.
      writes: whether this process writes what there is once for all: of several, one does.

    Attributes:
      path: of the directory.
      manifest: what it says of itself, of `zoo.store.manifest.read_manifest`, as last read or written.
      zoo: what the manifest's spec and retries describe: the one that was given, where there are no retries. It is
        parsed and expanded again only when another process has changed them.
      absent: members of the zoo that was given which the directory has not, in order; see `add`.
    """

    def __init__(self, directory: Any, zoo: Zoo, kept: int = KEPT, writes: bool = True):
        self.path = files.directory(directory)
        self.kept, self.writes = kept, writes
        self._lock = threading.Lock()
        self._places: dict[Any, Place] = {}  # of members that others begin from
        self._snapshots: tuple[Any, dict[str, tuple[int, ...]]] = (None, {})  # of a zoo: cohort -> steps
        check_place(self.path)
        self._own = own_parts.own_of(zoo)  # what cannot be kept must not leave a directory behind
        if not (self.path / "zoo.json").exists():
            self.path.mkdir(parents=True, exist_ok=True)
            manifest.create(self.path, zoo)
        self.zoo, self._given, self._spec = zoo, zoo, zoo.to_json()
        self._described = manifest.description({"spec": self._spec})
        self.read()

    @property
    def cohorts(self) -> list[Cohort]:
        """The cohorts of the zoo."""
        return self.zoo.cohorts

    def read(self) -> None:
        """Read the manifest again: what other processes have written, and members that were added.

        Raises:
          ValueError: it is damaged, or its spec has members that the zoo has not.
        """
        content = manifest.read_manifest(self.path)
        own_parts.check_same(self.path, content, self._own)
        changes = list(differences(content["spec"], self._spec))
        if changes:
            self._check_all_given(content, changes)
        if (described := manifest.description(content)) != self._described:
            self.zoo, self._described = manifest.zoo_of(content, self.path), described
        manifest.check_cohorts(self.path, content, self.zoo)
        self.manifest = content
        self.absent = [member for member in self._given.members if member.id not in self.zoo.by_id] if changes else []

    def _check_all_given(self, content: dict[str, Any], changes: list[tuple[str, Any, Any]]) -> None:
        """Refuse a zoo without some of the members that the directory was begun with."""
        begun = manifest.zoo_of(
            {name: content[name] for name in ("spec", "parts", "own") if name in content}, self.path
        ).members
        given = self._given.by_id
        if lacking := sum(member.id not in given for member in begun):
            where = "; ".join(f"{p} is {short(old)} there and {short(new)} here" for p, old, new in changes[:3])
            more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
            raise ValueError(
                f"{self.path} holds another spec: {where}{more}; choose another --out, or give a spec with all that is "
                f"there to have the rest added ({lacking} of {len(begun)} members are not in this one)."
            )

    def add(self, added: Zoo, **lineage: dict[str, str]) -> None:
        """Add members to the directory, for the next training; what is there stays as it is.

        Args:
          added: the members, of generations after the last.
          **lineage: `of`, for members that are old ones again, the old ids -> the new ones; `begins`, for members that
            go on where old ones ended, the new ids -> the old ones.

        Raises:
          ValueError: it was merged of directories that no single machine goes on with.
        """
        manifest.check_one_machine(self.path, self.manifest)
        content, before = self.manifest, self.manifest.get("retries", [])
        content["retries"] = [*before, {**added.to_json(), **{name: of for name, of in lineage.items() if of}}]
        content["cohorts"] = manifest.sizes(self.zoo + added)
        content |= own_parts.keep_more(self.path, own_parts.own_of(added), content)
        files.write_atomically(self.path / "zoo.json", files.to_json(content))
        self.read()

    def record(self, **entries: Any) -> None:
        """Write entries into `zoo.json`; of several processes, one does."""
        with self._lock:
            self.manifest.update(entries)
            if self.writes:
                sizes = {cohort: {"members": entry["members"]} for cohort, entry in self.manifest["cohorts"].items()}
                content = {**self.manifest, "cohorts": sizes}
                files.write_atomically(self.path / "zoo.json", files.to_json(content))

    def check_data(self) -> None:
        """Refuse tasks whose data are not those that the directory was begun with; note them where it is new."""
        known = dict(self.manifest.get("data", {}))
        for task in dict.fromkeys(cohort.members[0].task for cohort in self.cohorts):
            check_data(self.path, task, known)
        if known != self.manifest.get("data", {}):
            self.record(data=known)

    def asked(self, choose: "Callable[[Cohort], Recipe]") -> dict[str, "Recipe"]:
        """The recipe that each cohort is to begin with: as some process of this directory wrote it down first."""
        missing = [c for c in self.cohorts if not self.manifest["cohorts"][c.id]["asked"]]
        if missing:
            content = files.to_json({c.id: self._before(c) or dataclasses.asdict(choose(c)) for c in missing})
            files.write_once(self.path / manifest.recipes(len(self.manifest.get("retries", []))), content)
            self.read()
        return {c: _recipe(entry["asked"]) for c, entry in self.manifest["cohorts"].items()}

    def _before(self, cohort: Cohort) -> dict[str, Any] | None:
        """The recipe of the cohort that this one, which was added later, continues: bits may hang on it."""
        known = self.manifest["cohorts"]
        if begun := manifest.begun_from(self.manifest).get(cohort.members[0].id):
            entry = known[self.zoo.homes[begun]]
            return entry["recipe"] or entry["asked"]
        earlier = [known[c.id] for c in self.cohorts if c.kind == cohort.kind and c.generation < cohort.generation]
        return next((recipe for e in earlier if (recipe := e["recipe"] or e["asked"])), None)

    def recipe(self, cohort_id: str) -> "Recipe | None":
        """The recipe that a cohort runs with; None before anyone has fitted it."""
        entry = self.manifest["cohorts"][cohort_id]["recipe"]
        return _recipe(entry) if entry else None

    def fix(self, cohort_id: str, recipe: "Recipe", again: bool = False, **about: Any) -> "Recipe":
        """Write down the recipe that a cohort runs with.

        Args:
          cohort_id: which.
          recipe: how it fits here.
          again: it turned out not to: replace what was written.
          **about: what else to keep beside it.

        Returns:
          The recipe: the one that another process has written, where one was first.
        """
        file = self.path / "cohorts" / cohort_id / "cohort.json"
        entry = {"recipe": dataclasses.asdict(recipe), **about}
        if again:
            files.write_atomically(file, files.to_json(entry))
        elif not files.write_once(file, files.to_json(entry)):
            entry = files.read_json(file)
        with self._lock:
            self.manifest["cohorts"][cohort_id].update(entry)
        return _recipe(entry["recipe"])

    def block(self, cohort_id: str, index: int) -> BlockFolder:
        """The folder of a block."""
        if self._snapshots[0] is not self.zoo:  # it may have got members since
            steps = {cohort.id: cohort.members[0].training.snapshots for cohort in self.zoo.cohorts}
            self._snapshots = self.zoo, steps
        return BlockFolder(
            self.path / "cohorts" / cohort_id / f"{index:04d}", self.kept, self._snapshots[1].get(cohort_id, ())
        )

    def beginning(self, members: Sequence[str]) -> Beginning | None:
        """Where the members of a block begin, if that is the end of others; None where it is their seeds."""
        old = [manifest.begun_from(self.manifest).get(member) for member in members]
        if old[0] is None:  # none of its cohort does
            return None
        with self._lock:
            if not all(member in self._places for member in old):
                self._places = places_of(self.path)
        missing = [member for member in old if member not in self._places]
        if missing:
            raise ValueError(f"{self.path} has no checkpoint of {missing[0]}.")
        return Beginning([self._places[str(member)] for member in old], self.zoo.by_id[old[0]].training.steps)

    def write_table(self) -> pd.DataFrame:
        """Write `members.csv` from the spec and the blocks' curves, and return it."""
        table = member_table(self.path, self.zoo, strict=False, begins=manifest.begun_from(self.manifest))
        files.write_atomically(self.path / "members.csv", table.to_csv(index=False).encode())
        return table


def check_place(path: Any) -> None:
    """Refuse a place where no zoo directory is and none can be made; changes nothing.

    Raises:
      ValueError: a path that reads as a pattern, a file, a directory with other things in it, or a disk that may not be
        written.
    """
    if patterns := [character for character in PATTERN if character in str(path)]:
        raise ValueError(f"--out {path} has {patterns[0]!r} in it; it must be a path without {', '.join(PATTERN)}.")
    if path.exists() and not path.is_dir():
        raise ValueError(f"--out {path} is a file; it must be a new directory or one of the same zoo.")
    # What a run that was killed in its first write leaves: its lock and temporary files.
    others = any(not name.startswith(".") for name in files.names(path))
    if others and not (path / "zoo.json").exists():
        raise ValueError(f"--out {path} has files that are no zoo; it must be new, empty, or of the same zoo.")
    try:
        files.check_writable(path)
    except OSError as error:
        raise ValueError(f"--out {path} cannot be written ({error.strerror or wording.first_line(error)}).") from None


def _recipe(entry: dict[str, Any]) -> "Recipe":
    from zoo.devices.recipe import Recipe

    return Recipe(**entry)
