"""A block in memory: from its newest checkpoint, or its seeds, with its curves; and what a finished one has to say."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from zoo.devices.blocks import Block
from zoo.devices.executable import Executable
from zoo.devices.recipe import Recipe
from zoo.spec.cohorts import Cohort
from zoo.store.checkpoints import BlockFolder
from zoo.store.directory import Store
from zoo.store.regrouping import begin
from zoo.training.program import State
from zoo.training.status import RUNNING
from zoo.wording import first_line

CURVE_NAMES = ("train_loss", "loss", "score")
"""Arrays of a state that have a row per evaluation in `curves.npz`."""

REPORTED = ("status", "step", "loss", "score")
"""Arrays of a state that say how a member stands."""


class Progress(NamedTuple):
    """What a block tells after each call.

    Attributes:
      cohort: its cohort's id.
      block: its index.
      taken: member-steps of this call.
      status, step, loss, score: per member, without padding; loss and score are of the last evaluation.
    """

    cohort: str
    block: int
    taken: int
    status: np.ndarray
    step: np.ndarray
    loss: np.ndarray
    score: np.ndarray


class Log:
    """The curves of a block: one row per evaluation.

    Args:
      members: ids of the block's members, without padding.
      saved: the content of a checkpoint's `curves.npz`, or None.
    """

    def __init__(self, members: Sequence[str], saved: dict[str, np.ndarray] | None):
        self.members = list(members)
        self.rows: list[tuple[int, dict[str, np.ndarray]]] = []
        if saved is not None:
            self.rows = [
                (int(at), {name: saved[name][i] for name in CURVE_NAMES}) for i, at in enumerate(saved["step"])
            ]

    def add(self, step: int, state: State) -> None:
        """Take the last evaluation from a block's state on the host."""
        self.rows.append((step, {name: getattr(state, name)[: len(self.members)] for name in CURVE_NAMES}))

    def arrays(self, state: State) -> dict[str, np.ndarray]:
        """`curves.npz`: `members (member,)`; `step (evaluation,)`; train_loss, loss, score `(evaluation, member)`; and
        each member's status, step, loss and score at the checkpoint, `member_status (member,)` and so on.
        """
        curves = {name: np.stack([row[name] for _, row in self.rows]) for name in CURVE_NAMES}
        last = {f"member_{n}": getattr(state, n)[: len(self.members)] for n in REPORTED}
        steps = np.asarray([at for at, _ in self.rows])
        return {"members": np.asarray(self.members), "step": steps, **curves, **last}


def final_report(cohort: Cohort, recipe: Recipe, block: Block, folder: BlockFolder, step: int) -> Progress | None:
    """What a finished block has to report; None while something is left to train in it.

    A block is finished when no member of its newest checkpoint is running, and its untrained networks and snapshots are
    there too.

    Args:
      cohort, recipe, block, folder: which.
      step: its newest checkpoint, verified.
    """
    curves = folder.curves(step)
    assert curves is not None
    check_members(cohort, recipe, block, folder, curves)
    if (curves["member_status"] == RUNNING).any() or folder.lost() or 0 not in folder.steps():
        return None
    return Progress(cohort.id, block.index, 0, *(curves[f"member_{n}"] for n in REPORTED))


def check_members(
    cohort: Cohort, recipe: Recipe, block: Block, folder: BlockFolder, curves: dict[str, np.ndarray]
) -> None:
    """Refuse, by a ValueError, a block that holds other members than the spec says."""
    expected = member_ids(cohort, recipe, block)
    if (held := curves["members"].tolist()) != expected:
        raise ValueError(f"{folder.path} holds members {held[:2]}... instead of {expected[:2]}...; move it away.")


def member_ids(cohort: Cohort, recipe: Recipe, block: Block) -> list[str]:
    """Ids of a block's members, without padding."""
    first = block.index * recipe.block
    return [member.id for member in cohort.members[first : first + block.rows]]


class LoadedBlock:
    """A block in memory.

    Args:
      executable: of its cohort.
      block: which.
      folder: where it is kept.
      state: all its rows, on the host.
      step: of the checkpoint that the state is from, or 0.
      saved: whether there is that checkpoint.

    Attributes:
      step: that its members have reached, or would have, had they not stopped.
      saved: whether the state is in a checkpoint.
    """

    def __init__(self, executable: Executable, block: Block, folder: BlockFolder, state: State, step: int, saved: bool):
        self.block, self.folder, self.state, self.step, self.saved = block, folder, state, step, saved
        self.members = member_ids(executable.cohort, executable.recipe, block)
        self.log = Log(self.members, folder.curves(step) if saved else None)

    @property
    def running(self) -> np.ndarray:
        """The rows that still train."""
        return np.flatnonzero(self.state.status == RUNNING)

    def save(self) -> None:
        """Write a checkpoint of what is on the host, unless it is there."""
        if not self.saved:
            self.folder.save(self.step, self.state, self.members, self.log.arrays(self.state))
            self.saved = True

    def progress(self, cohort: str, taken: int) -> Progress:
        """What a call brought; `taken` member-steps."""
        kept = (getattr(self.state, name)[: self.block.rows] for name in REPORTED)
        return Progress(cohort, self.block.index, taken, *kept)


def go_on(
    executable: Executable, block: Block, folder: BlockFolder, store: Store, say: Callable[[str], object]
) -> None:
    """Give a block whose members begin where others ended the checkpoints of these, unless it is as far.

    What they cannot begin from is said: then they begin from their seeds, and end with the same bits later.
    """
    members = member_ids(executable.cohort, executable.recipe, block)
    try:
        beginning = store.beginning(members)
        if beginning and (folder.steps() or [-1])[-1] < beginning.step:
            begin(folder, beginning, members, executable.recipe.block)
    except ValueError as error:
        say(f"{first_line(error)}. Block {folder.path.parent.name}/{folder.path.name} begins from its seeds instead.")


def load_block(executable: Executable, block: Block, folder: BlockFolder, device: Any) -> LoadedBlock:
    """A block from its newest checkpoint, or from its seeds: then its untrained networks are saved first."""
    steps = folder.steps()
    if 0 not in steps:
        # No step, one evaluation: curves start with the untrained networks. It also takes all the memory that training
        # will, so that nothing is saved yet when the block turns out too large.
        floats = jax.device_put(block.floats, device)
        state = executable.advance(executable.init(block, device), floats, device, 0, True)
        first = LoadedBlock(executable, block, folder, jax.device_get(state), 0, saved=False)
        first.log.add(0, first.state)
        first.save()
        if not steps:
            return first
    return LoadedBlock(executable, block, folder, folder.restore(executable.shape(), steps[-1]), steps[-1], saved=True)
