"""Pictures along depth: medians over networks, layers by their names, and identification in words."""

import numpy as np
import pandas as pd
import xarray as xr

from analysis.labelled_comparison import MeasureRecord
from analysis.report import depth
from tests.analysis.report.pictures import drawn


def test_category_structure_is_drawn_per_network_and_as_medians_over_the_shared_layers() -> None:
    rows = [
        dict(member=f"m{i}", trained=trained, layer=f"conv{k + 1}", depth=k, depth_fraction=k / 2, index=i + 10 * k)
        for trained in (True, False)
        for i in (0, 1, 5)
        for k in range(3)
    ]
    table = pd.DataFrame(rows).assign(condition="label", model="cnn")
    axes = drawn(depth.category_structure(table, "model", "zoo")).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["conv1", "conv2", "conv3"]
    (median,) = (line for line in axes.lines if line.get_label() == "trained, median")
    np.testing.assert_allclose(median.get_xdata(), [0, 0.5, 1])
    np.testing.assert_allclose(median.get_ydata(), [1, 11, 21])


def correspondence(pairs: int) -> xr.Dataset:
    """Two layers against two, of networks of one architecture; untrained ones were not compared."""
    values = np.array([[[0.9, 0.25], [0.25, 0.8]], [[np.nan] * 2] * 2])
    return xr.Dataset(
        {
            "similarity": (("kind", "depth_a", "depth_b"), np.zeros((2, 11, 11))),
            "layers": (("kind", "layer_a", "layer_b"), values),
            "pairs": ("kind", [6, 0]),
            "identified": ("state", [0.75, np.nan]),
            "identified_chance": ("state", [0.5, np.nan]),
            "identified_pairs": ("state", [pairs, 0]),
        },
        {"kind": ["same", "other"], "state": ["trained", "untrained"], "layer_a": ["conv1", "dense1"]},
    )


def test_layers_against_layers_are_drawn_for_kinds_that_have_pairs_with_every_value_written() -> None:
    figure = drawn(depth.layers(correspondence(3), MeasureRecord("cka", "similarity", 8), "zoo"))
    panel, bar = figure.axes
    assert panel.get_title() == "same\n(3 pairs)"
    assert [text.get_text() for text in panel.texts] == ["0.90", "0.25", "0.25", "0.80"]
    assert "cka" in bar.get_ylabel()


def test_identification_is_said_where_networks_could_be_asked_and_nothing_elsewhere() -> None:
    assert depth.identification(correspondence(3)) == ["layers identified in 75% of cases trained (chance 50%)"]
    assert depth.identification(correspondence(0)) == []
