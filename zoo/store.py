"""The zoo directory while it is written: manifest, member table, one series of checkpoints per block.

    zoo.json, recipes.json                     zoo/manifest.py
    members.csv                                one row per member
    cohorts/<cohort>/cohort.json               zoo/manifest.py
    cohorts/<cohort>/<block>/<step>/           zoo/checkpoints.py; step 0 is the untrained networks

Every write is atomic and nothing is pickled.
"""

import dataclasses
import hashlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zoo import files, manifest, spec
from zoo.checkpoints import KEPT, BlockFolder
from zoo.spec import Zoo

if TYPE_CHECKING:
    from zoo.executor import Recipe


class Store:
    """A zoo directory that is being written.

    Args:
      directory: new, empty, or of the same spec.
      zoo: what it holds.
      kept: checkpoints of a block that stay, beside step 0.
      writes: whether this process writes what there is once for all: of several, one does.
    """

    def __init__(self, directory: Any, zoo: Zoo, kept: int = KEPT, writes: bool = True):
        self.path = files.directory(directory)
        self.kept, self.writes = kept, writes
        self._lock = threading.Lock()
        self._open(zoo)
        self.read()

    def _open(self, zoo: Zoo) -> None:
        check_place(self.path)
        if not (self.path / "zoo.json").exists():
            self.path.mkdir(parents=True, exist_ok=True)
            manifest.create(self.path, zoo)
        found = manifest.read_manifest(self.path)["spec"]
        if changes := list(spec.differences(found, zoo.to_json())):
            where = "; ".join(f"{p} is {_short(old)} there and {_short(new)} here" for p, old, new in changes[:3])
            more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
            raise ValueError(f"{self.path} holds another spec: {where}{more}; choose another --out.")

    def read(self) -> None:
        """Read the manifest again: what other processes have written, and members that were added."""
        self.manifest = manifest.read_manifest(self.path)
        self.zoo = manifest.zoo_of(self.manifest)
        self.cohorts = spec.cohorts(self.zoo)
        manifest.check_cohorts(self.path, self.manifest)

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

    def asked(self, choose: "Callable[[spec.Cohort], Recipe]") -> dict[str, "Recipe"]:
        """The recipe that each cohort is to begin with: as some process of this directory wrote it down first."""
        missing = [c for c in self.cohorts if not self.manifest["cohorts"][c.id]["asked"]]
        if missing:
            content = files.to_json({c.id: dataclasses.asdict(choose(c)) for c in missing})
            files.write_once(self.path / manifest.recipes(len(self.manifest.get("retries", []))), content)
            self.read()
        return {c: _recipe(entry["asked"]) for c, entry in self.manifest["cohorts"].items()}

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
        return BlockFolder(self.path / "cohorts" / cohort_id / f"{index:04d}", self.kept)

    def write_table(self) -> pd.DataFrame:
        """Write `members.csv` from the spec and the blocks' curves, and return it."""
        table = member_table(self.path, self.zoo, strict=False)
        files.write_atomically(self.path / "members.csv", table.to_csv(index=False).encode())
        return table


def check_place(path: Any) -> None:
    """Refuse a place where no zoo directory is and none can be made; changes nothing.

    Raises:
      ValueError: a file, a directory with other things in it, or a disk that may not be written.
    """
    if path.exists() and not path.is_dir():
        raise ValueError(f"--out {path} is a file; it must be a new directory or one of the same zoo.")
    # What a run that was killed in its first write leaves: its lock and temporary files.
    others = any(not name.startswith(".") for name in files.names(path))
    if others and not (path / "zoo.json").exists():
        raise ValueError(f"--out {path} has files that are no zoo; it must be new, empty, or of the same zoo.")
    try:
        files.check_writable(path)
    except OSError as error:
        raise ValueError(f"--out {path} cannot be written ({error.strerror or files.first_line(error)}).") from None


def _recipe(entry: dict[str, Any]) -> "Recipe":
    from zoo.executor import Recipe

    return Recipe(**entry)


def check_data(path: Any, task: Any, known: dict[str, str]) -> None:
    """Refuse a task whose arrays have another hash than the one known; a new one is added.

    Args:
      path: of the zoo directory.
      task: any task; without data nothing is checked.
      known: the task as JSON -> sha256 of its data.

    Raises:
      ValueError: they differ.
    """
    data = task.data()
    if data is None:
        return
    digest = hashlib.sha256()
    for name, array in sorted(data.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).data)
    found, key = digest.hexdigest()[:16], spec.canonical_json(task)
    if known.setdefault(key, found) != found:
        raise ValueError(
            f"{path} was begun with other data of the task {key}: their hash was {known[key]} and is {found} now; "
            "bring the files back, or choose another --out."
        )


def member_table(path: Any, zoo: Zoo, strict: bool = True) -> pd.DataFrame:
    """One row per member of a zoo directory: what the spec says, and what the blocks' curves say of it.

    Args:
      path: of the directory.
      zoo: what is in it.
      strict: whether a block whose newest checkpoint is damaged is an error; else the one before speaks.
    """
    everyone = spec.members(zoo)
    homes = {member.id: cohort.id for cohort in spec.cohorts(zoo) for member in cohort.members}
    results = {}
    read = BlockFolder.curves if strict else BlockFolder.whole_curves
    for curves in files.spread(path, read, block_folders(path)):
        if curves:
            columns = [curves[f"member_{name}"].tolist() for name in ("status", "step", "loss", "score")]
            results.update(zip(curves["members"].tolist(), zip(*columns)))
    rows = []
    for member in everyone:
        status, step, loss, score = results.get(member.id, (None, 0, np.nan, np.nan))
        name, model = spec.name_of(member.task), spec.name_of(member.model)
        rows.append(
            (member.id, homes[member.id], name, model, member.seed, _status(member, status, score), step, loss, score)
        )
    table = pd.DataFrame(rows, columns=list(spec.MEMBER_COLUMNS))
    for column, values in spec.varied(everyone).items():
        table[column] = [str(v) if isinstance(v, tuple) else v for v in values]
    return table


def block_folders(path: Any) -> list[BlockFolder]:
    """The folders of all blocks, in order."""
    blocks = files.spread(path, files.folders, files.folders(path / "cohorts"))
    return [BlockFolder(folder) for found in blocks for folder in found if folder.name.isdigit()]


def _status(member: spec.Member, status: int | None, score: float) -> str:
    from zoo.training import DIVERGED, RUNNING

    if status is None:
        return "pending"
    if status in (RUNNING, DIVERGED):
        return "training" if status == RUNNING else "diverged"
    return "solved" if score >= member.task.solved else "unsolved"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
