"""The folder of one block: a series of checkpoints, each whole and verified or not there at all.

    <step>/state/        an Orbax checkpoint, `member` the first axis of every array
    <step>/curves.npz    the curves up to this step, and how every member stood
    <step>/manifest.json size and sha256 of every file, written last: what makes the folder a checkpoint

Nothing is pickled. Rows are read through TensorStore, without JAX and without an accelerator.
"""

import io
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import files
from zoo.buckets import is_remote
from zoo.files import bytes_left, read_arrays, remove, write_atomically
from zoo.machine import memory_size
from zoo.store.sealing import MANIFEST, MENDS, CheckpointCorrupt, read_sealed, seal, sealed_manifest, verify_step
from zoo.wording import first_line, mebibytes

if TYPE_CHECKING:
    from zoo.training.program import State

STATE, CURVES = "state", "curves.npz"
JOINED = "manifest.ocdbt"
"""What the arrays of a state are found by."""

KEPT = 2
"""Checkpoints of a block that stay, beside step 0."""

RESERVE = 16 * 2**20
"""Bytes of a disk that a checkpoint leaves free, for tables and the log of what went wrong."""

# Orbax numbers its operations per process: two threads that save at once take each other's temporary folders.
_SAVING = threading.Lock()


class BlockFolder:
    """The folder of one block.

    Args:
      path: `cohorts/<cohort>/<block>`.
      kept: how many checkpoints stay, beside step 0.
      snapshots: steps whose checkpoints stay for good.
    """

    def __init__(self, path: Any, kept: int = KEPT, snapshots: Sequence[int] = ()):
        self.path, self.kept, self.snapshots = path, kept, snapshots

    def steps(self) -> list[int]:
        """The steps of the checkpoints, ascending: folders whose manifest agrees with itself and with the files'
        sizes. What the files hold is compared when it is read, and by `newest`."""
        numbers = self.numbers()
        return [step for step, good in zip(numbers, files.spread(self.path, self._is_sealed, numbers)) if good]

    def numbers(self) -> list[int]:
        """The steps that there are folders of, finished or not, damaged or not."""
        return sorted(int(name) for name in files.names(self.path) if name.isascii() and name.isdigit())

    def _is_sealed(self, step: int) -> bool:
        try:
            return bool(sealed_manifest(self.path / str(step), step))
        except (FileNotFoundError, NotADirectoryError, CheckpointCorrupt):
            return False

    def newest(self, say: Callable[[str], Any]) -> int | None:
        """The newest step that is what was written, byte for byte; None where there is none.

        Step 0, the untrained networks, and snapshots are read too. A damaged step is told of and set aside: its
        manifest is renamed, its files stay until the step comes again. Lost ones are told of, too.
        """
        newest, damaged, name = None, set(), f"{self.path.parent.name}/{self.path.name}"
        for step in reversed(self.numbers()):
            if newest is not None and step not in (0, *self.snapshots):
                continue
            try:
                verify_step(self.path / str(step), step)
            except (FileNotFoundError, NotADirectoryError):
                continue  # never finished
            except CheckpointCorrupt as error:
                (self.path / str(step) / MANIFEST).rename(self.path / str(step) / f"damaged-{MANIFEST}")
                older = [s for s in self.steps() if s < step]
                way = f"makes it again from {'an earlier one' if older else 'the seeds'}"
                if older and newest is None:
                    way = f"goes on from step {older[-1]}"
                say(f"{error} Block {name} {way}.")
                damaged.add(step)
                continue
            newest = step if newest is None else newest
        for step in self.lost():
            if step not in damaged:
                say(f"Block {name} has lost step {step} and makes it again.")
        return newest

    def lost(self) -> list[int]:
        """Steps below the newest one that are to stay for good, step 0 and snapshots, and are not there; ascending."""
        steps = self.steps()
        return [step for step in (0, *self.snapshots) if steps and step < steps[-1] and step not in steps]

    def save(self, step: int, state: "State", members: Sequence[str], curves: dict[str, np.ndarray]) -> None:
        """Write a checkpoint of host arrays, wait for it, seal it, and drop the oldest.

        Raises:
          OSError: it could not be written; what was saved before stands.
        """
        path = self.path / str(step)
        try:
            self._check_room(_bytes(state))
            self._remove(step)  # what a killed run left of it, or what had not been evaluated yet
            _write(path / STATE, state)
            if JOINED not in files.names(path / STATE):
                raise OSError(f"Orbax has written no {STATE}/{JOINED}")
            buffer = io.BytesIO()
            np.savez(buffer, **curves)  # pyright: ignore[reportArgumentType]
            write_atomically(path / CURVES, buffer.getvalue())
            seal(path, step, members)
        except Exception as error:
            raise OSError(f"Saving {path} failed ({first_line(error)}); what was saved before it stands.") from error
        self._drop(step)

    def _check_room(self, needed: int) -> None:
        left = bytes_left(self.path)
        if left is not None and left < needed + RESERVE:
            raise OSError(
                f"No space left on device: {mebibytes(left)} are free and the checkpoint needs "
                f"{mebibytes(needed)} and {mebibytes(RESERVE)} of reserve"
            )

    def _drop(self, newest: int) -> None:
        """Remove what is older than the kept ones, and what was never finished."""
        steps = self.steps()
        keep = {0, newest, *self.snapshots, *[s for s in steps if s][-self.kept :]}
        for step in self.numbers():
            if step not in keep:
                self._remove(step)

    def _remove(self, step: int) -> None:
        """Remove a step, its manifest first: no step is half there."""
        files.unlink(self.path / str(step) / MANIFEST)
        remove(self.path / str(step))

    def restore(self, shape: "State", step: int) -> "State":
        """The checkpoint of a step as host arrays; its bytes are as `newest` found them.

        What each array says of itself is compared with the shape that the program needs before room is made for it.
        """
        import jax

        leaves, structure = jax.tree_util.tree_flatten_with_path(shape)
        try:
            arrays = dict(self._arrays(step))
            for path, leaf in leaves:
                array = arrays[leaf_path(path)]
                stored, needed = (tuple(array.shape), array.dtype.name), (leaf.shape, leaf.dtype.name)
                if stored != needed:
                    raise ValueError(f"{'.'.join(leaf_path(path))} is {stored} and must be {needed}")
            reading = [arrays[leaf_path(path)].read() for path, _ in leaves]
            return jax.tree.unflatten(structure, [future.result() for future in reading])
        except Exception as error:
            where, why = self.path / str(step), first_line(error)
            raise ValueError(
                f"{where} is as it was written, and cannot be read ({why}): has the program changed since?"
            ) from None

    def manifest(self) -> dict[str, Any] | None:
        """The manifest of the newest step; None where nothing was saved yet.

        Raises:
          CheckpointCorrupt: the newest step is damaged.
        """
        for step in reversed(self.numbers()):
            try:
                return sealed_manifest(self.path / str(step), step)
            except FileNotFoundError:
                continue
            except CheckpointCorrupt as error:
                raise self._advised(error, step) from None
        return None

    def curves(self, step: int | None = None) -> dict[str, np.ndarray] | None:
        """The content of `curves.npz` of a step, or of the newest; see `Log.arrays` in zoo/running/loaded_block.py.

        None where nothing was saved yet.
        """
        if step is None:
            while manifest := self.manifest():
                with suppress(FileNotFoundError):  # a run beside this one has a newer step by now
                    return self.curves(int(manifest["step"]))
            return None
        path = self.path / str(step)
        try:
            return read_arrays(read_sealed(path, step, CURVES))
        except CheckpointCorrupt as error:
            raise self._advised(error, step) from None
        except ValueError as error:
            raise self._unreadable(step, error, path / CURVES) from None

    def whole_curves(self) -> dict[str, np.ndarray] | None:
        """The curves of the newest step whose curves are as they were written; None where there is none."""
        for step in reversed(self.steps()):
            with suppress(CheckpointCorrupt, FileNotFoundError):
                return self.curves(step)
        return None

    def rows(self, step: int, rows: Sequence[int], parts: Sequence[str] | None = None) -> dict[str, Any]:
        """Parts of the states in a verified checkpoint, such as "params", or all: part -> arrays as nested dicts, with
        only the given rows of the member axis. A part without arrays is left out.

        Raises:
          CheckpointCorrupt: a file is not as it was written.
        """
        self._verify_once(step)
        tree: dict[str, Any] = {}
        try:
            wanted = [(path, array) for path, array in self._arrays(step) if parts is None or path[0] in parts]
            asked = sum(len(rows) * math.prod(a.shape[1:]) * a.dtype.numpy_dtype.itemsize for _, a in wanted)
            if asked > (memory_size() or 2**40):
                raise ValueError(f"its arrays say that they have {mebibytes(asked)}, more than this machine")
            reading = [array[list(rows)].read() for _, array in wanted]
            for (path, _), future in zip(wanted, reading):
                branch = tree
                for part in path[:-1]:
                    branch = branch.setdefault(part, {})
                branch[path[-1]] = future.result()
        except Exception as error:
            raise self._unreadable(step, error) from None
        return tree

    def _arrays(self, step: int) -> Iterable[tuple[tuple[str, ...], Any]]:
        """The arrays of a checkpoint, opened and not read: path in the state, TensorStore array."""
        import tensorstore as ts

        place = self.path / str(step) / STATE
        base = f"{place}/" if is_remote(place) else {"driver": "file", "path": str(place.resolve())}  # it takes no ".."
        context = ts.Context()  # one for all: what the arrays share is read once
        store = ts.KvStore.open({"driver": "ocdbt", "base": base}, context=context).result()
        keys = sorted(key.decode() for key in store.list().result())
        names = [key.removesuffix("/zarr.json") for key in keys if key.endswith("/zarr.json")]
        kvstores = [{"driver": "ocdbt", "base": base, "path": f"{name}/"} for name in names]
        opening = [ts.open({"driver": "zarr3", "kvstore": k}, open=True, context=context) for k in kvstores]
        for name, future in zip(names, opening):
            yield tuple(name.split(".")), future.result()

    def _verify_once(self, step: int) -> None:
        """`verify`, unless this process has done it and the manifest is still the same."""
        path = self.path / str(step)
        try:
            stamp = files.read(path / MANIFEST)
            if _verified.get(str(path)) != stamp:
                verify_step(path, step)
                _verified[str(path)] = stamp
        except FileNotFoundError:
            raise CheckpointCorrupt(f"Step {step} is damaged: {path / MANIFEST} is missing.") from None
        except CheckpointCorrupt as error:
            raise self._advised(error, step) from None

    def _advised(self, error: CheckpointCorrupt, step: int) -> CheckpointCorrupt:
        """The error with what to do: of a step between the first and the newest, that depends on the spec."""
        between = step and any(newer > step for newer in self.steps())
        way = "`verify` says what to do" if between else MENDS
        return CheckpointCorrupt(f"{str(error).rstrip('.')}; {way}.")

    def _unreadable(self, step: int, error: Exception, path: Any = None) -> CheckpointCorrupt:
        where, why = path or self.path / str(step), first_line(error)
        return self._advised(CheckpointCorrupt(f"Step {step} is damaged: {where} cannot be read ({why})."), step)


_verified: dict[str, bytes] = {}
"""Folder of a step -> its manifest, of those that this process has read whole."""


def _write(path: Any, tree: Any) -> None:
    """An Orbax checkpoint that this process writes by itself, however many processes there are.

    Through `Checkpointer`: the newer `orbax.checkpoint.v1.save` compares paths over all processes, so that one which
    has died stops the others, and takes three times as long for a small block.
    """
    import jax
    import orbax.checkpoint as ocp

    options = ocp.options.MultiprocessingOptions()
    if jax.process_count() > 1:
        me = jax.process_index()
        options = ocp.options.MultiprocessingOptions(
            primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"zoo-{me}"
        )
    handler = ocp.PyTreeCheckpointHandler(use_ocdbt=True, use_zarr3=True, multiprocessing_options=options)
    with _SAVING, ocp.Checkpointer(handler, multiprocessing_options=options) as checkpointer:
        checkpointer.save(path, args=ocp.args.PyTreeSave(tree), force=True)


def leaf_path(path: tuple[Any, ...]) -> tuple[str, ...]:
    """A leaf's place in a state, as Orbax names it."""
    return tuple(str(getattr(k, "name", getattr(k, "key", getattr(k, "idx", k)))) for k in path)


def _bytes(tree: Any) -> int:
    import jax

    return sum(x.nbytes for x in jax.tree.leaves(tree))


def block_folders(path: Any) -> list[BlockFolder]:
    """The folders of all blocks, in order."""
    blocks = files.spread(path, files.folders, files.folders(path / "cohorts"))
    return [BlockFolder(folder) for cohort in blocks for folder in cohort if folder.name.isdigit()]
