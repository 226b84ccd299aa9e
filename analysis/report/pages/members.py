"""How many members there are, and how well they do: the heading of what is said of a comparison."""

from collections.abc import Iterator

from analysis.activations.probes import finished_alike
from analysis.report.compared import Compared
from zoo.tasks import score_words
from zoo.wording import counted

ORDER = 10
TAKES = "comparison"


def applies(compared: Compared) -> bool:
    return True


def figures(compared: Compared) -> tuple[()]:
    return ()


def lines(compared: Compared) -> Iterator[str]:
    table, of_task = compared.table, compared.of_task
    score = score_words(compared.trained.task(table.index[0]))
    yield (
        f"{compared.name}: {len(table)} members, {(table['status'] == 'solved').mean():.0%} solved; "
        f"{score} {table['score'].median():.4f} (median), {table['score'].min():.4f} (lowest); "
        f"higher is better, {_levels(of_task.chance, of_task.solved)}"
    )
    if of_task.assay and (gone := len(compared.comparison.excluded)):
        yield f"  {counted(gone, 'network')} of which no distance is known, left out"
    again = "assay" if of_task.assay else "compare"
    if (since := finished_alike(compared.trained, table.index) - compared.of_task.finished) > 0:
        yield f"  {since} members were trained to their end since; {again} again to have them in"


def _levels(chance: float, solved: float) -> str:
    """What a score is read against."""
    return f"1 is perfect, chance {chance:.3g}, solved from {solved:.3g}"
