"""What an assay gives, checked: its result, its lines and its pictures, so that a fault of its file is one sentence."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from analysis.assays import _distances
from analysis.assays._assayed import Assayed
from analysis.assays._distances import Distance
from zoo import lookup
from zoo.spec.contracts import file_of
from zoo.wording import first_line, short

LABELS = ("trained", "probe", "probe_name")
"""Labels of a result that the engine gives, beside the columns of the member table."""


class BrokenContract(ValueError):
    """An assay's file gives what its contract does not allow; one sentence that names the file."""

    @classmethod
    def of(cls, assay: Any, what: str) -> "BrokenContract":
        """The sentence that says what this assay does."""
        return cls(f"{file_of(assay)}: {what}.")


@contextlib.contextmanager
def _named(assay: Any, what: str, may_refuse: bool = False) -> Iterator[None]:
    """What goes wrong inside is named with the assay's file."""
    try:
        yield
    except (BrokenContract, MemoryError, OSError):
        raise
    except Exception as error:
        if may_refuse and lookup.says_itself(error):
            raise
        raise BrokenContract.of(assay, f"{what} ends with {type(error).__name__}, {first_line(error)!r}") from error


def result_of(assay: Any, population: Assayed) -> xr.Dataset:
    """What an assay gives for networks of one cohort.

    Raises:
      BrokenContract: it is not as the contract asks.
      ValueError: the assay refuses these networks.
    """
    with _named(assay, "run", may_refuse=True):
        result = assay.run(population)
    if (fault := _fault(result, population.members)) is not None:
        raise BrokenContract.of(assay, f"run gives {fault}")
    return result


def joined(assay: Any, parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """The results of all cohorts, one after the other; what a cohort does not have is NaN."""
    with _named(assay, "putting the results of its cohorts together"):
        first = str(parts[0]["member"].dims[0])
        others = dict.fromkeys(dim for part in parts for dim in part.dims if dim != first)
        whole = {dim: _along(assay, dim, parts) for dim in others}
        wide = [part.reindex({dim: whole[dim] for dim in part.dims if dim in whole}) for part in parts]
        return wide[0] if len(wide) == 1 else xr.concat(wide, first, join="exact", combine_attrs="drop_conflicts")


def _along(assay: Any, dim: Any, parts: Sequence[xr.Dataset]) -> list[Any]:
    """The coordinate of a dimension in all results: names in their order, numbers ascending."""
    values = list(dict.fromkeys(value for p in parts if dim in p.dims for value in p[dim].to_numpy().tolist()))
    if len({isinstance(value, str) for value in values}) > 1:
        raise BrokenContract.of(assay, f"run gives {dim!r} names in one cohort and numbers in another")
    return values if isinstance(next(iter(values), ""), str) else sorted(values)


def lines_of(assay: Any, result: xr.Dataset) -> list[str]:
    """What an assay says of its result.

    Raises:
      BrokenContract: it is not as the contract asks.
    """
    with _named(assay, "lines"):
        lines = assay.lines(result)
        lines = [] if isinstance(lines, str) else list(lines)
    if not lines:
        raise BrokenContract.of(assay, "lines gives none; it must give texts, at least one")
    for line in lines:
        if not isinstance(line, str) or "\n" in line:
            raise BrokenContract.of(assay, f"lines gives {short(line)}; it must give texts without line breaks")
    return lines


def tables_of(assay: Any, result: xr.Dataset) -> list[tuple[str, pd.DataFrame]]:
    """An assay's tables of its result, each with the name of the probe that it is of; none of one that gives none.

    Raises:
      BrokenContract: they are not as the contract asks.
    """
    if not hasattr(assay, "tables"):
        return []
    with _named(assay, "tables"):
        tables = list(assay.tables(result))
    for table in tables:
        if not (isinstance(table, tuple) and list(map(type, table)) == [str, pd.DataFrame]):
            raise BrokenContract.of(assay, f"tables gives {short(table)}; it must give (name, DataFrame)")
    return tables


def distances_of(assay: Any, result: xr.Dataset) -> dict[str, list[Distance]]:
    """Name of a probe -> an assay's distances between the networks on it; none of an assay that gives none.

    Raises:
      BrokenContract: they are not as the contract asks.
    """
    if not hasattr(assay, "distances"):
        return {}
    with _named(assay, "distances"):
        given = list(assay.distances(result))
    counts = Counter(map(str, result["probe_name"].to_numpy())) if "member" in result.dims else {}
    for each in given:
        if not (isinstance(each, tuple) and list(map(type, each)) == [str, Distance]):
            raise BrokenContract.of(
                assay, f"distances gives {' '.join(short(each).split())}; it must give (name, Distance)"
            )
        if each[0] not in counts:
            raise BrokenContract.of(assay, f"distances gives one on {each[0]!r}; {lookup.nearest(each[0], counts)}")
        if (fault := _distances.fault_of(each[1], counts[each[0]])) is not None:
            raise BrokenContract.of(assay, f"distances gives {fault}")
    found = _distances.by_probe(given)
    for probe, distances in found.items():
        if len({distance.name for distance in distances}) < len(distances):
            raise BrokenContract.of(assay, f"distances gives two of one name on {probe!r}")
    return found


def figures_of(assay: Any, result: xr.Dataset) -> Iterator[tuple[str, Figure]]:
    """An assay's pictures of its result, each drawn when it is asked for, with the name of what it shows.

    Raises:
      BrokenContract: one is not as the contract asks.
    """
    names: list[str] = []
    with _named(assay, "figures"):
        pictures = iter(assay.figures(result))
    while True:
        with _named(assay, "figures"):
            picture = next(pictures, None)
        if picture is None:
            break
        if not (isinstance(picture, tuple) and list(map(type, picture)) == [str, Figure]):
            raise BrokenContract.of(assay, f"figures gives {short(picture)}; it must give (name, Figure)")
        if picture[0] in names:
            raise BrokenContract.of(assay, f"figures gives two pictures of the name {picture[0]!r}")
        if not any(axes.has_data() for axes in picture[1].axes):
            raise BrokenContract.of(assay, f"figures gives {picture[0]!r} with nothing drawn in it")
        names.append(picture[0])
        yield picture
    if not names:
        raise BrokenContract.of(assay, "figures gives none; it must give at least one")


def _fault(result: Any, members: Sequence[str]) -> str | None:
    """How a result breaks the contract, as the end of a sentence; None where it does not."""
    if not isinstance(result, xr.Dataset):
        return f"{short(result)}; it must be an xarray.Dataset"
    if "member" not in result.coords or result["member"].ndim != 1:
        return "no coordinate `member` of one dimension"
    first, given = result["member"].dims[0], result["member"].to_numpy().tolist()
    if not set(given) <= set(members) or (first == "member" and given != list(members)):
        return "other members than it was asked for"
    if taken := [name for name in LABELS if name in result.variables or name in result.dims]:
        return f"something called {taken[0]!r}, which is a label of the engine's"
    if not result.data_vars:
        return "no variable"
    for name, variable in result.data_vars.items():
        if variable.dims[:1] != (first,):
            return f"{name} with the dimensions {variable.dims}; the first must be {first!r}"
        if variable.dtype.kind not in "iuf":
            return f"{name} of {variable.dtype}; it must be numbers"
        if not isinstance(variable.attrs.get("long_name"), str):
            return f"{name} without an attribute `long_name` that says what it is"
    for dim in result.dims:
        if dim != first and dim not in result.coords:
            return f"a dimension {dim!r} without a coordinate"
        if dim != first and len(set(result[dim].to_numpy().tolist())) != result.sizes[dim]:
            return f"a dimension {dim!r} whose coordinate has a value twice"
    return None
