"""How far a member has come: values of `State.status`, and the words of the member table."""

RUNNING, STOPPED, DIVERGED = 0, 1, 2
"""Still training; at its last step or its target; frozen at its last finite state."""

PENDING_WORD, TRAINING_WORD, SOLVED_WORD, UNSOLVED_WORD = "pending", "training", "solved", "unsolved"
DIVERGED_WORD = "diverged"
"""The words of the member table."""

UNFINISHED = (PENDING_WORD, TRAINING_WORD)
"""Words of members that are not trained to their end."""


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
