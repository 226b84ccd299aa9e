"""The member table: one row per network, from the spec and from what its block says."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from zoo import files, lookup
from zoo.spec.encoding import DEFAULT_RULE
from zoo.spec.fields import name_of
from zoo.spec.member import BEGINS_FROM, MEMBER_COLUMNS, varied
from zoo.spec.zoo import Zoo
from zoo.store.checkpoints import BlockFolder, block_folders
from zoo.training.status import exploded, word_of


class Standing(NamedTuple):
    """How a member stood at its block's newest checkpoint.

    Attributes:
      status: see `zoo.training.status`; None where no checkpoint holds it yet.
      step: that it has reached.
      loss, score: of its last evaluation; NaN before.
    """

    status: int | None = None
    step: int = 0
    loss: float = float("nan")
    score: float = float("nan")


def member_table(
    path: Any, zoo: Zoo, strict: bool = True, begins: Mapping[str, str] = MappingProxyType({})
) -> pd.DataFrame:
    """One row per member of a zoo directory: what the spec says, and what the blocks' curves say of it.

    The columns are `MEMBER_COLUMNS`, with "rule" after "model" where a member has another rule than the default, the
    varied fields, and `BEGINS_FROM` where a member began from another.

    Args:
      path: of the directory.
      zoo: what is in it.
      strict: whether a block whose newest checkpoint is damaged is an error; else the one before speaks.
      begins: members that began where others ended -> those.
    """
    standings = _standings(path, strict)
    rows = []
    for member in zoo.members:
        now = standings.get(member.id, Standing())
        about = (member.id, zoo.homes[member.id], name_of(member.task), name_of(member.model), member.seed)
        rows.append((*about, word_of(now.status, now.score, member.task.solved), now.step, now.loss, now.score))
    table = pd.DataFrame(rows, columns=list(MEMBER_COLUMNS))
    rules = [name_of(member.rule) for member in zoo.members]
    if set(rules) != {DEFAULT_RULE}:
        table.insert(MEMBER_COLUMNS.index("model") + 1, "rule", rules)
    for column, values in varied(zoo.members).items():
        table[column] = [str(v) if isinstance(v, tuple) else v for v in values]
    if begins:
        table[BEGINS_FROM] = [begins.get(member.id) for member in zoo.members]
    return table


def refreshed(path: Any, table: pd.DataFrame, solved: Mapping[str, float]) -> pd.DataFrame:
    """A table that was written earlier, with how its members stand now; what the spec says is in it already.

    Args:
      path: of the directory.
      table: of all its members.
      solved: cohort -> the score from which on its task counts as solved; those that nobody has begun may lack it.
    """
    standings = _standings(path, strict=True)
    now = [standings.get(member, Standing()) for member in table["member"]]
    words = [
        word_of(standing.status, standing.score, solved.get(cohort, float("nan")))
        for standing, cohort in zip(now, table["cohort"])
    ]
    numbers = np.array([standing[2:] for standing in now], np.float64).reshape(-1, 2)
    steps = [standing.step for standing in now]
    return table.assign(status=words, steps=steps, loss=numbers[:, 0], score=numbers[:, 1])


def full_id(path: Any, known: Sequence[str], piece: str) -> str:
    """The id of the member that this is the id of, or, where only one has it, the start or the end of the id.

    Args:
      path: of the directory.
      known: the ids of its members.
      piece: of an id.

    Raises:
      ValueError: no member has it, with the nearest ids; or several have, with some of them.
    """
    if piece in known:
        return piece
    fits = [member for member in known if piece and (member.startswith(piece) or member.endswith(piece))]
    if len(fits) > 1:
        some = ", ".join(fits[:3]) + (", ..." if len(fits) > 3 else "")
        raise ValueError(f"{path} has {len(fits)} members {piece!r}: {some}; give more of the id.")
    if not fits:
        raise ValueError(f"{path} has no member {piece!r}; {lookup.nearest(piece, known)}.")
    return fits[0]


def _standings(path: Any, strict: bool) -> dict[str, Standing]:
    """Member -> how it stands, by the blocks' curves."""
    standings: dict[str, Standing] = {}
    read = BlockFolder.curves if strict else BlockFolder.whole_curves
    for curves in files.spread(path, read, block_folders(path)):
        if curves:
            columns = {name: curves[f"member_{name}"] for name in Standing._fields}
            columns["status"] = exploded(columns["status"], columns["loss"], curves["loss"][0])
            rows = zip(*(column.tolist() for column in columns.values()))
            standings.update(zip(curves["members"].tolist(), (Standing(*row) for row in rows)))
    return standings
