"""The folder of one block: Orbax checkpoints and curves, written whole or not at all.

Nothing is pickled. Rows of a checkpoint are read through TensorStore, without JAX and without an accelerator.
"""

import io
import os
import shutil
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from zoo.training import State

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

        path = self.path / str(step)
        try:
            with _SAVING:
                ocp.save(str(path), state, overwrite=True, custom_metadata={"members": list(members)})
        except Exception as error:
            raise OSError(f"Saving {path} failed ({_first(error)}); what was saved before it stands.") from error
        for old in [s for s in self.steps() if s][:-KEPT]:
            shutil.rmtree(self.path / str(old))

    def restore(self, shape: "State", step: int) -> "State":
        """The checkpoint of a step as host arrays of the given shapes."""
        import jax
        from orbax.checkpoint import v1 as ocp

        template = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shape)
        try:
            return ocp.load(str(self.path / str(step)), template)
        except Exception as error:
            raise self._damaged(step, error) from None

    def _damaged(self, step: int, error: Exception) -> ValueError:
        older = [s for s in self.steps() if s < step]
        way = (
            f"move it away to go on from step {older[-1]}"
            if older
            else "move the block's folder away to start it again"
        )
        return ValueError(f"The checkpoint {self.path / str(step)} cannot be read ({_first(error)}); {way}.")

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

        base = {"driver": "file", "path": str((self.path / str(step) / "state").resolve())}  # TensorStore takes no ".."
        tree: dict[str, Any] = {}
        try:
            store = ts.KvStore.open({"driver": "ocdbt", "base": base}).result()
            names = [k.decode().removesuffix("/zarr.json") for k in store.list().result() if k.endswith(b"/zarr.json")]
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
        except Exception as error:
            raise self._damaged(step, error) from None
        return tree


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _first(error: Exception) -> str:
    """The first line of an error, without the page that some libraries add."""
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
