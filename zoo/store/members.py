"""The member table: one row per network, from the spec and from what its block says."""

from typing import Any

import numpy as np
import pandas as pd

from zoo import files
from zoo.spec.fields import name_of
from zoo.spec.member import MEMBER_COLUMNS, varied
from zoo.spec.zoo import Zoo
from zoo.store.checkpoints import BlockFolder, block_folders
from zoo.training.status import word_of


def member_table(path: Any, zoo: Zoo, strict: bool = True) -> pd.DataFrame:
    """One row per member of a zoo directory: what the spec says, and what the blocks' curves say of it.

    Args:
      path: of the directory.
      zoo: what is in it.
      strict: whether a block whose newest checkpoint is damaged is an error; else the one before speaks.
    """
    results = {}
    read = BlockFolder.curves if strict else BlockFolder.whole_curves
    for curves in files.spread(path, read, block_folders(path)):
        if curves:
            columns = [curves[f"member_{name}"].tolist() for name in ("status", "step", "loss", "score")]
            results.update(zip(curves["members"].tolist(), zip(*columns)))
    rows = []
    for member in zoo.members:
        status, step, loss, score = results.get(member.id, (None, 0, np.nan, np.nan))
        name, model = name_of(member.task), name_of(member.model)
        rows.append(
            (
                member.id,
                zoo.homes[member.id],
                name,
                model,
                member.seed,
                word_of(status, score, member.task.solved),
                step,
                loss,
                score,
            )
        )
    table = pd.DataFrame(rows, columns=list(MEMBER_COLUMNS))
    for column, values in varied(zoo.members).items():
        table[column] = [str(v) if isinstance(v, tuple) else v for v in values]
    return table
