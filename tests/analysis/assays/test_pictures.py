"""What lines and pictures of assays show of a result."""

import numpy as np
import xarray as xr

from analysis.assays import _pictures


def result(values: list[float], trained: bool = False, **labels: list[object]) -> xr.Dataset:
    count = len(values)
    columns = {"trained": [trained] * count, "model": ["gru"] * count, "seed": [0] * count} | labels
    return xr.Dataset({"rate": ("member", values)}, {name: ("member", column) for name, column in columns.items()})


def shown(of: xr.Dataset) -> list[float]:
    return [float(value) for _, part in _pictures.states(of) for value in part["rate"]]


def test_untrained_copies_are_one_network() -> None:
    assert shown(result([0.5, 0.25, 0.5])) == [0.5, 0.25]
    assert shown(result([0.5, 0.5], seed=[0, 1])) == [0.5, 0.5]
    assert shown(result([0.5, 0.5], model=["gru", "lstm"])) == [0.5, 0.5]
    assert shown(result([0.5, 0.5], trained=True)) == [0.5, 0.5], "trained networks differ in what they were trained by"


def test_equal_counts_and_missing_values_make_no_copies() -> None:
    assert shown(result([3.0, 3.0])) == [3.0, 3.0]
    assert np.isnan(shown(result([np.nan, np.nan]))).tolist() == [True, True]


def test_no_network_that_diverged_is_among_the_trained_and_its_untrained_copy_stays() -> None:
    status: list[object] = ["solved", "diverged"]
    assert shown(result([0.5, 0.25], trained=True, status=status)) == [0.5]
    assert shown(result([0.5, 0.25], status=status)) == [0.5, 0.25]
