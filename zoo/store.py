"""The zoo directory: manifest, member table, curves, one Orbax checkpoint series per block.

    zoo.json                           spec, versions, hardware, the recipe of every cohort
    members.csv                        one row per member
    cohorts/<cohort>/<block>/<step>/   Orbax checkpoints; step 0 is the untrained networks
    cohorts/<cohort>/<block>/curves.npz

Every write is atomic and nothing is pickled. Reading members, curves and parameters starts no accelerator: arrays are
read row by row through TensorStore.
"""

import functools
import importlib.metadata
import io
import json
import os
import platform
import shutil
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zoo import lookup, spec
from zoo.spec import Zoo

if TYPE_CHECKING:
    from zoo.executor import Recipe
    from zoo.training import State

FORMAT = 1
KEPT = 2
"""Checkpoints of a block that stay, beside step 0."""

# Orbax numbers its operations per process: two threads that save at once take each other's temporary folders.
_SAVING = threading.Lock()


class BlockFolder:
    """The folder of one block: checkpoints and curves.

    Attributes:
      path: `cohorts/<cohort>/<block>`.
    """

    def __init__(self, path: Path):
        self.path = path

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, ascending."""
        if not self.path.is_dir():
            return []
        return sorted(
            int(p.name) for p in self.path.iterdir() if p.name.isdigit() and (p / "commit_success.txt").exists()
        )

    def save(self, step: int, state: "State", members: Sequence[str]) -> None:
        """Write a checkpoint of host arrays, wait for it, and drop the oldest."""
        from orbax.checkpoint import v1 as ocp

        with _SAVING:
            ocp.save(str(self.path / str(step)), state, overwrite=True, custom_metadata={"members": list(members)})
        for old in [s for s in self.steps() if s][:-KEPT]:
            shutil.rmtree(self.path / str(old))

    def restore(self, shape: "State", step: int) -> "State":
        """The checkpoint of a step as host arrays of the given shapes."""
        import jax
        from orbax.checkpoint import v1 as ocp

        template = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shape)
        return ocp.load(str(self.path / str(step)), template)

    def write_curves(self, **arrays: np.ndarray) -> None:
        """Write `curves.npz`: see `Log.arrays` in zoo/block.py for what is in it."""
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]
        write_atomically(self.path / "curves.npz", buffer.getvalue())

    def curves(self) -> dict[str, np.ndarray] | None:
        """The content of `curves.npz`, or None where nothing was saved yet."""
        try:
            with np.load(self.path / "curves.npz", allow_pickle=False) as file:
                return dict(file)
        except FileNotFoundError:
            return None
        except (ValueError, OSError, zipfile.BadZipFile):
            raise ValueError(
                f"{self.path / 'curves.npz'} cannot be read; move its folder away to train the block again."
            ) from None

    def rows(self, step: int, rows: Sequence[int], prefix: tuple[str, ...]) -> dict[str, Any]:
        """Arrays below `prefix` of a checkpoint, as nested dicts, with only the given rows of the member axis."""
        import tensorstore as ts

        base = {"driver": "file", "path": str(self.path / str(step) / "state")}
        store = ts.KvStore.open({"driver": "ocdbt", "base": base}).result()
        names = [k.decode().removesuffix("/zarr.json") for k in store.list().result() if k.endswith(b"/zarr.json")]
        tree: dict[str, Any] = {}
        for name in names:
            path = tuple(name.split("."))
            if path[: len(prefix)] != prefix:
                continue
            kvstore = {"driver": "ocdbt", "base": base, "path": name + "/"}
            array = ts.open({"driver": "zarr3", "kvstore": kvstore}, open=True, read=True).result()
            branch = tree
            for part in path[len(prefix) : -1]:
                branch = branch.setdefault(part, {})
            branch[path[-1]] = array[list(rows)].read().result()
        return tree


class Store:
    """A zoo directory that is being written.

    Args:
      directory: new, empty, or of the same spec.
      zoo: what it holds.
    """

    def __init__(self, directory: str | os.PathLike[str], zoo: Zoo):
        self.path = Path(directory)
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
                where = "; ".join(f"{path} is {ours!r} there and {theirs!r} here" for path, ours, theirs in changes[:3])
                more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
                raise ValueError(f"{self.path} holds another spec: {where}{more}; choose another --out.")
            return manifest
        if self.path.is_dir() and any(self.path.iterdir()):
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

    def record(self, cohort_id: str | None, **entries: Any) -> None:
        """Write entries of a cohort, or of the zoo, into the manifest."""
        with self._lock:
            (self.manifest["cohorts"][cohort_id] if cohort_id else self.manifest).update(entries)
            write_atomically(self.path / "zoo.json", _json(self.manifest))

    def recipe(self, cohort_id: str) -> "Recipe | None":
        """The recipe that the manifest holds for a cohort."""
        from zoo.executor import Recipe

        entry = self.manifest["cohorts"][cohort_id]["recipe"]
        return Recipe(**entry) if entry else None

    def block(self, cohort_id: str, index: int) -> BlockFolder:
        """The folder of a block."""
        return BlockFolder(self.path / "cohorts" / cohort_id / f"{index:04d}")

    def write_table(self) -> pd.DataFrame:
        """Write `members.csv` from the spec and the blocks' curves, and return it."""
        everyone = spec.members(self.zoo)
        homes, results = {}, {}
        for cohort in self.cohorts:
            homes.update(dict.fromkeys((m.id for m in cohort.members), cohort.id))
            for folder in sorted((self.path / "cohorts" / cohort.id).glob("[0-9]*")):
                curves = BlockFolder(folder).curves() or {"members": []}
                for row, member in enumerate(curves["members"]):
                    results[str(member)] = {n: curves[f"member_{n}"][row] for n in ("status", "step", "loss", "score")}
        rows = []
        for member in everyone:
            result = results.get(member.id)
            rows.append(
                {
                    "member": member.id,
                    "cohort": homes[member.id],
                    "task": spec.name_of(member.task),
                    "model": spec.name_of(member.model),
                    "seed": member.seed,
                    "status": _status(member, result),
                    "steps": int(result["step"]) if result else 0,
                    "loss": float(result["loss"]) if result else np.nan,
                    "score": float(result["score"]) if result else np.nan,
                }
            )
        table = pd.DataFrame(rows)
        for column, values in spec.varied(everyone).items():
            table[column] = [str(v) if isinstance(v, tuple) else v for v in values]
        write_atomically(self.path / "members.csv", table.to_csv(index=False).encode())
        return table


def _status(member: spec.Member, result: dict[str, Any] | None) -> str:
    from zoo.training import DIVERGED, RUNNING

    if result is None:
        return "pending"
    if result["status"] == RUNNING:
        return "training"
    if result["status"] == DIVERGED:
        return "diverged"
    return "solved" if result["score"] >= member.task.solved else "unsolved"


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
            raise ValueError(f"{self.path} has no members.csv yet; train it first.") from None

    @functools.cached_property
    def zoo(self) -> Zoo:
        """The spec."""
        return Zoo.from_json(self.manifest["spec"])

    @functools.cached_property
    def _specs(self) -> dict[str, spec.Member]:
        return {member.id: member for member in spec.members(self.zoo)}

    @functools.cached_property
    def _places(self) -> dict[str, tuple[str, int]]:
        """Member -> cohort and row in the cohort."""
        return {
            member: (str(cohort), row)
            for cohort, group in self.members.groupby("cohort", sort=False)
            for row, member in enumerate(group["member"])
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
        recipe = self.manifest["cohorts"][self._places[member][0]]["recipe"] or {}
        return bound_model(found.model, found.task, conv_form=recipe.get("conv_form", "columns"))

    def variables(self, members: str | Sequence[str], *, initial: bool = False) -> dict[str, Any]:
        """What `model.apply` takes: parameters and, where there are any, batch statistics.

        Args:
          members: one id, or several ids of one cohort, whose arrays get a leading member axis.
          initial: before training instead of after.
        """
        single = isinstance(members, str)
        ids = [members] if single else list(members)
        if not ids:
            raise ValueError("variables() got no member; it needs at least one.")
        for member in ids:
            self.member(member)
        cohorts = {self._places[m][0] for m in ids}
        if len(cohorts) != 1:
            raise ValueError(f"The members are of {len(cohorts)} cohorts, {sorted(cohorts)}; ask for one at a time.")
        cohort = cohorts.pop()
        recipe = self.manifest["cohorts"][cohort]["recipe"]
        size = recipe["block"] if recipe else 1
        parts: dict[int, list[tuple[int, int]]] = {}
        for position, member in enumerate(ids):
            block, row = divmod(self._places[member][1], size)
            parts.setdefault(block, []).append((position, row))
        gathered, order = [], []
        for block, pairs in parts.items():
            folder = BlockFolder(self.path / "cohorts" / cohort / f"{block:04d}")
            steps = folder.steps()
            if not steps or (initial and steps[0] != 0):
                raise ValueError(f"Member {ids[pairs[0][0]]} has no checkpoint in {folder.path}; train the zoo first.")
            step = 0 if initial else steps[-1]
            params = folder.rows(step, [row for _, row in pairs], ("params",))
            gathered.append({"params": params, **folder.rows(step, [row for _, row in pairs], ("stats",))})
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
        for folder in sorted(self.path.glob("cohorts/*/[0-9]*")):
            curves = BlockFolder(folder).curves()
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


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def _versions() -> dict[str, str]:
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    found = {package: importlib.metadata.version(package) for package in packages}
    return {"python": platform.python_version(), **found}
