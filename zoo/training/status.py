"""How far a member has come: values of `State.status`, and the words of the member table."""

import numpy as np

RUNNING, STOPPED, DIVERGED = 0, 1, 2
"""Still training; at its last step or its target; frozen at its last finite state."""

EXPLODED = 1e6
"""A loss of so many times that before training, or times 1 where that is less, is no result, though it is finite."""

PENDING_WORD, TRAINING_WORD, SOLVED_WORD, UNSOLVED_WORD = "pending", "training", "solved", "unsolved"
DIVERGED_WORD = "diverged"
"""The words of the member table."""

UNFINISHED = (PENDING_WORD, TRAINING_WORD)
"""Words of members that are not trained to their end."""


def exploded(status: np.ndarray, loss: np.ndarray, untrained: np.ndarray) -> np.ndarray:
    """The status of members, DIVERGED where a member has come to its end with a loss that grew by `EXPLODED`.

    A step is refused, and its member frozen, only where something is not finite: a member that goes on to 10^12 has
    diverged no less.

    Args:
      status, loss: of every member, at its last evaluation, `(member,)`.
      untrained: the loss at the first evaluation, before training.
    """
    return np.where((status == STOPPED) & (loss > EXPLODED * np.maximum(untrained, 1.0)), DIVERGED, status)


def word_of(status: int | None, score: float, solved: float) -> str:
    """The word for a member in the member table.

    Args:
      status: one of the values above; None where no checkpoint holds the member yet.
      score: on the evaluation set.
      solved: the score from which on the task counts as solved.
    """
    if status is None:
        return PENDING_WORD
    if status in (RUNNING, DIVERGED):
        return TRAINING_WORD if status == RUNNING else DIVERGED_WORD
    return SOLVED_WORD if score >= solved else UNSOLVED_WORD
