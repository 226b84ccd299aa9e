"""One block from its newest checkpoint, or its seeds, to the end: calls, evaluations, saves."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from zoo.checkpoints import BlockFolder
from zoo.executor import Block, Executable, Recipe
from zoo.spec import Cohort
from zoo.training import RUNNING, State

CALL_SECONDS = 0.5
"""About how long one device call takes: short enough to stop and to show progress, long enough to cost nothing."""

CURVES = ("train_loss", "loss", "score")
REPORTED = ("status", "step", "loss", "score")


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
      saved: the content of `curves.npz`, or None.
      step: rows after this step are of a run that was lost.
    """

    def __init__(self, members: Sequence[str], saved: dict[str, np.ndarray] | None, step: int):
        self.members = list(members)
        self.rows: list[tuple[int, dict[str, np.ndarray]]] = []
        if saved is not None:
            for i, at in enumerate(saved["step"]):
                if at <= step:
                    self.rows.append((int(at), {name: saved[name][i] for name in CURVES}))

    def add(self, step: int, state: State) -> None:
        """Take the last evaluation from a block's state on the host."""
        self.rows.append((step, {name: getattr(state, name)[: len(self.members)] for name in CURVES}))

    def arrays(self, step: int, state: State) -> dict[str, np.ndarray]:
        """`curves.npz`: `members (member,)`; `step (evaluation,)`; train_loss, loss, score `(evaluation, member)`;
        `saved`, the step of the checkpoint that it belongs to; and each member's status, step, loss and score then.
        """
        curves = {name: np.stack([row[name] for _, row in self.rows]) for name in CURVES}
        last = {f"member_{n}": getattr(state, n)[: len(self.members)] for n in REPORTED}
        steps = np.asarray([at for at, _ in self.rows])
        return {"members": np.asarray(self.members), "step": steps, **curves, "saved": np.asarray(step), **last}


def last_word(cohort: Cohort, recipe: Recipe, block: Block, folder: BlockFolder) -> Progress | None:
    """What a finished block has to report; None while something is left to train in it.

    A block is finished when its newest checkpoint is the one that its curves speak of, and no member is running.
    """
    steps, curves = folder.steps(), folder.curves()
    if not steps or curves is None or int(curves["saved"]) != steps[-1]:
        return None
    if (curves["member_status"] == RUNNING).any():
        return None
    _check_members(cohort, recipe, block, folder, curves)
    return Progress(cohort.id, block.index, 0, *(curves[f"member_{n}"] for n in REPORTED))


def _check_members(
    cohort: Cohort, recipe: Recipe, block: Block, folder: BlockFolder, curves: dict[str, np.ndarray]
) -> None:
    expected = member_ids(cohort, recipe, block)
    if (found := curves["members"].tolist()) != expected:
        raise ValueError(f"{folder.path} holds members {found[:2]}... instead of {expected[:2]}...; move it away.")


def member_ids(cohort: Cohort, recipe: Recipe, block: Block) -> list[str]:
    """Ids of a block's members, without padding."""
    first = block.index * recipe.block
    return [member.id for member in cohort.members[first : first + block.rows]]


def train_block(
    executable: Executable,
    block: Block,
    folder: BlockFolder,
    device: Any,
    *,
    save_every: float,
    stop: threading.Event,
    report: Callable[[Progress], None],
) -> None:
    """Train a block to its end or until `stop` is set, saving every `save_every` seconds and at the end.

    How many steps a call takes follows the clock; the bits do not depend on it.
    """
    cohort, every = executable.cohort, executable.evaluate_every
    members = member_ids(cohort, executable.recipe, block)
    total = cohort.members[0].training.steps
    floats = jax.device_put(block.floats, device)
    saved = folder.steps()
    step = saved[-1] if saved else 0
    curves = folder.curves() if saved else None
    log = Log(members, curves, step)

    def tell(host: State, taken: int) -> None:
        kept = [getattr(host, name)[: block.rows] for name in REPORTED]
        report(Progress(cohort.id, block.index, taken, *kept))

    def save() -> None:
        host = jax.device_get(state)
        # Curves first: what they hold beyond the newest checkpoint is dropped when a killed run resumes.
        folder.write_curves(**log.arrays(step, host))
        folder.save(step, host, members)

    if saved:
        state = jax.device_put(folder.restore(executable.shape(), step), device)
        host = jax.device_get(_small(state))
        if curves is not None:
            _check_members(cohort, executable.recipe, block, folder, curves)
        if not log.rows:
            log.add(step, host)
        if curves is None or int(curves["saved"]) != step:  # lost, or of a checkpoint that was
            folder.write_curves(**log.arrays(step, host))
    else:
        # No step, one evaluation: curves start with the untrained networks. It also takes all the memory that training
        # will, so that nothing is saved yet when the block turns out too large.
        state = executable.advance(executable.init(block, device), floats, device, 0, True)
        host = jax.device_get(_small(state))
        log.add(0, host)
        save()
    tell(host, 0)
    running = int((host.status == RUNNING).sum())
    saved_at, saved_step, size = time.monotonic(), step, 4
    while running and not stop.is_set():
        boundary = min(total, (step // every + 1) * every)
        take = min(size, boundary - step)
        begin = time.monotonic()
        state = jax.block_until_ready(executable.advance(state, floats, device, take, step + take == boundary))
        size = max(1, min(4 * size, round(take * CALL_SECONDS / (time.monotonic() - begin))))
        step += take
        host = jax.device_get(_small(state))
        tell(host, take * running)
        running = int((host.status == RUNNING).sum())
        if step == boundary:
            log.add(step, host)
        if time.monotonic() - saved_at >= save_every and running:
            save()
            saved_at, saved_step = time.monotonic(), step
    if step != saved_step:
        save()


def _small(state: State) -> State:
    """The state without its large arrays."""
    return state._replace(params=None, stats=None, optimizer=None)
