"""The zoo directory: manifest, member table, curves, one Orbax checkpoint series per block.

    zoo.json                           spec, versions, hardware, the recipe of every cohort
    members.csv                        one row per member
    cohorts/<cohort>/<block>/<step>/   Orbax checkpoints; step 0 is the untrained networks
    cohorts/<cohort>/<block>/curves.npz

Every write is atomic and nothing is pickled. Reading members, curves and parameters starts no accelerator: arrays are
read row by row through TensorStore.
"""

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zoo import lookup, spec
from zoo.checkpoints import BlockFolder, write_atomically
from zoo.spec import Zoo

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

if TYPE_CHECKING:
    from zoo.executor import Recipe

FORMAT = 1


class Store:
    """A zoo directory that is being written.

    Args:
      directory: new, empty, or of the same spec.
      zoo: what it holds.
    """

    def __init__(self, directory: str | os.PathLike[str], zoo: Zoo):
        self.path = Path(directory).resolve()  # Orbax and TensorStore ask for it
        self.zoo = zoo
        self.cohorts = spec.cohorts(zoo)
        self.manifest = self._open()
        self._lock = threading.Lock()

    def _open(self) -> dict[str, Any]:
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"--out {self.path} is a file; it must be a new directory or one of the same zoo.")
        if (self.path / "zoo.json").exists():
            manifest = read_manifest(self.path)
            if changes := list(spec.differences(manifest["spec"], self.zoo.to_json())):
                where = "; ".join(
                    f"{p} is {_short(ours)} there and {_short(theirs)} here" for p, ours, theirs in changes[:3]
                )
                more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
                raise ValueError(f"{self.path} holds another spec: {where}{more}; choose another --out.")
            return manifest
        # What a run that was killed in its first write leaves: its lock and temporary files.
        if self.path.is_dir() and any(not p.name.startswith(".") for p in self.path.iterdir()):
            raise ValueError(f"--out {self.path} has files that are no zoo; it must be new, empty, or of the same zoo.")
        self.path.mkdir(parents=True, exist_ok=True)
        manifest = {
            "format": FORMAT,
            "spec": self.zoo.to_json(),
            "versions": _versions(),
            "hardware": {},
            "cohorts": {c.id: {"members": len(c.members), "recipe": None} for c in self.cohorts},
        }
        write_atomically(self.path / "zoo.json", _json(manifest))
        return manifest

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory: a second run on it at the same time is refused, and a killed one leaves it free."""
        with open(self.path / ".lock", "a+") as file:
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    file.seek(0)
                    holder = file.read().strip() or "another process"
                    raise ValueError(f"{self.path} is being trained by {holder}; wait, or stop it.") from None
                file.truncate(0)
                file.write(f"process {os.getpid()} on {platform.node()}")
                file.flush()
            yield

    def record(self, cohort_id: str | None, **entries: Any) -> None:
        """Write entries of a cohort, or of the zoo, into the manifest."""
        with self._lock:
            (self.manifest["cohorts"][cohort_id] if cohort_id else self.manifest).update(entries)
            write_atomically(self.path / "zoo.json", _json(self.manifest))

    def check_data(self) -> None:
        """Refuse tasks whose data are not those that the directory was begun with; note them where it is new."""
        known = dict(self.manifest.get("data", {}))
        for task in dict.fromkeys(cohort.members[0].task for cohort in self.cohorts):
            check_data(self.path, task, known)
        self.record(None, data=known)

    def recipe(self, cohort_id: str) -> "Recipe | None":
        """The recipe that the manifest holds for a cohort."""
        from zoo.executor import Recipe

        entry = self.manifest["cohorts"][cohort_id]["recipe"]
        return Recipe(**{"llvm": 3, **entry}) if entry else None  # 3 was the level before it was recorded

    def asked_block(self, cohort_id: str) -> int | None:
        """The block that a cohort was begun with, before it was halved to fit."""
        entry = self.manifest["cohorts"][cohort_id]
        return entry.get("asked_block") or (entry["recipe"] or {}).get("block")

    def block(self, cohort_id: str, index: int) -> BlockFolder:
        """The folder of a block."""
        return BlockFolder(self.path / "cohorts" / cohort_id / f"{index:04d}")

    def write_table(self) -> pd.DataFrame:
        """Write `members.csv` from the spec and the blocks' curves, and return it."""
        table = member_table(self.path, self.zoo)
        write_atomically(self.path / "members.csv", table.to_csv(index=False).encode())
        return table


def check_data(path: Path, task: Any, known: dict[str, str]) -> None:
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


def member_table(path: Path, zoo: Zoo) -> pd.DataFrame:
    """One row per member of a zoo directory: what the spec says, and what the blocks' curves say of it."""
    everyone = spec.members(zoo)
    homes = {member.id: cohort.id for cohort in spec.cohorts(zoo) for member in cohort.members}
    results = {}
    for folder in _blocks(path):
        if curves := folder.curves():
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


def _blocks(path: Path) -> list[BlockFolder]:
    return [BlockFolder(folder) for folder in sorted(path.glob("cohorts/*/[0-9]*"))]


def _status(member: spec.Member, status: int | None, score: float) -> str:
    from zoo.training import DIVERGED, RUNNING

    if status is None:
        return "pending"
    if status in (RUNNING, DIVERGED):
        return "training" if status == RUNNING else "diverged"
    return "solved" if score >= member.task.solved else "unsolved"


class Trained:
    """A zoo directory that is being read.

    Attributes:
      path: the directory.
      members: one row per member: member, cohort, task, model, seed, status, steps, loss, score, every varied field.
    """

    def __init__(self, directory: str | os.PathLike[str]):
        self.path = Path(directory)
        self.manifest = read_manifest(self.path)
        try:
            self.members = pd.read_csv(self.path / "members.csv")
        except FileNotFoundError:
            self.members = member_table(self.path, self.zoo)

    @functools.cached_property
    def zoo(self) -> Zoo:
        """The spec."""
        return Zoo.from_json(self.manifest["spec"])

    @functools.cached_property
    def _specs(self) -> dict[str, spec.Member]:
        return {member.id: member for member in spec.members(self.zoo)}

    @functools.cached_property
    def _places(self) -> dict[str, tuple[BlockFolder, int]]:
        """Member -> its block and row there, by the ids that were saved with the block."""
        return {
            member: (folder, row)
            for folder in _blocks(self.path)
            for row, member in enumerate((folder.curves() or {"members": np.zeros(0, str)})["members"].tolist())
        }

    def member(self, member: str) -> spec.Member:
        """The spec of one member; a ValueError with the nearest ids where there is none."""
        if member not in self._specs:
            raise ValueError(f"{self.path} has no member {member!r}; {lookup.nearest(member, self._specs)}.")
        return self._specs[member]

    def task(self, member: str) -> Any:
        """The task of a member."""
        return self.member(member).task

    def model(self, member: str) -> Any:
        """The model of a member, ready for `apply`: sizes, dt and convolution form filled in."""
        from zoo.training import bound_model

        found = self.member(member)
        cohort = self.members.set_index("member").at[member, "cohort"]
        recipe = self.manifest["cohorts"][cohort]["recipe"] or {}
        return bound_model(found.model, found.task, conv_form=recipe.get("conv_form", "columns"))

    def variables(self, members: str | Sequence[str], *, initial: bool = False) -> dict[str, Any]:
        """What `model.apply` takes: parameters and, where there are any, batch statistics.

        Args:
          members: one id, or several ids of one cohort, whose arrays get a leading member axis.
          initial: before training instead of after.
        """
        single = isinstance(members, str)
        ids = [members] if single else list(members) if isinstance(members, Iterable) else []
        if not ids:
            raise ValueError(f"The members are {members!r}; give one id, or several of one cohort.")
        for member in ids:
            if member not in self._places:
                self.member(member)  # an unknown id ends here
                raise ValueError(f"Member {member} of {self.path} has no checkpoint yet; train the zoo first.")
        cohorts = sorted({self._places[member][0].path.parent.name for member in ids})
        if len(cohorts) != 1:
            raise ValueError(f"The members are of {len(cohorts)} cohorts, {', '.join(cohorts)}; ask for one at a time.")
        parts: dict[Path, list[tuple[int, int]]] = {}
        for position, member in enumerate(ids):
            folder, row = self._places[member]
            parts.setdefault(folder.path, []).append((position, row))
        gathered, order = [], []
        for path, pairs in parts.items():
            folder, rows = BlockFolder(path), [row for _, row in pairs]
            step = 0 if initial else (folder.steps() or [0])[-1]
            gathered.append({"params": folder.rows(step, rows, ("params",)), **folder.rows(step, rows, ("stats",))})
            order.extend(position for position, _ in pairs)
        back = np.argsort(order)

        def join(*leaves: Any) -> Any:
            if isinstance(leaves[0], dict):
                return {key: join(*(leaf[key] for leaf in leaves)) for key in leaves[0]}
            joined = np.concatenate(leaves)[back]
            return joined[0] if single else joined

        return join(*gathered)

    def params(self, members: str | Sequence[str], *, initial: bool = False) -> dict[str, Any]:
        """The parameters alone; arguments as for `variables`."""
        return self.variables(members, initial=initial)["params"]

    @functools.cached_property
    def curves(self) -> pd.DataFrame:
        """member, step, train_loss, loss, score: one row per member and evaluation; step 0 is untrained."""
        frames = []
        for folder in _blocks(self.path):
            curves = folder.curves()
            if curves is None:
                continue
            steps, members = curves["step"], curves["members"]
            frame = {"member": np.tile(members, len(steps)), "step": np.repeat(steps, len(members))}
            frame |= {n: curves[n].reshape(-1) for n in ("train_loss", "loss", "score")}
            frames.append(pd.DataFrame(frame))
        columns = ["member", "step", "train_loss", "loss", "score"]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def load(directory: str | os.PathLike[str]) -> Trained:
    """Open a zoo directory for reading: `.members`, `.curves`, `.params(member)`, `.model(member)`, `.task(member)`."""
    return Trained(directory)


def read_manifest(path: Path) -> dict[str, Any]:
    """The checked content of `zoo.json`."""
    file = path / "zoo.json"
    try:
        manifest = json.loads(file.read_text())
    except FileNotFoundError:
        raise ValueError(f"{path} is no zoo directory: it has no zoo.json.") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{file} cannot be read: {error}.") from None
    if not isinstance(manifest, dict) or not {"format", "spec", "cohorts"} <= manifest.keys():
        raise ValueError(f"{file} is not a zoo's manifest: it must hold format, spec and cohorts.")
    if manifest["format"] != FORMAT:
        raise ValueError(f"{file} has format {manifest['format']!r}; this version reads format {FORMAT}.")
    return manifest


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def _versions() -> dict[str, str]:
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    found = {package: importlib.metadata.version(package) for package in packages}
    return {"python": platform.python_version(), **found}
