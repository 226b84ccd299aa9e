"""How many members there are, and how well they do: the heading of what is said of a comparison."""

from collections.abc import Iterator

from analysis.activations.probes import finished_alike
from analysis.report.compared import Compared

ORDER = 10
TAKES = "comparison"


def applies(compared: Compared) -> bool:
    return True


def figures(compared: Compared) -> tuple[()]:
    return ()


def lines(compared: Compared) -> Iterator[str]:
    table = compared.table
    yield (
        f"{compared.name}: {len(table)} members, {(table['status'] == 'solved').mean():.0%} solved; "
        f"score {table['score'].median():.4f} (median), {table['score'].min():.4f} (lowest)"
    )
    if (since := finished_alike(compared.trained, table.index) - compared.of_task.finished) > 0:
        yield f"  {since} members were trained to their end since; compare again to have them in"
