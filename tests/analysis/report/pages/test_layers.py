"""Layers against layers: what is drawn where pairs are, and identification in words."""

import numpy as np
import xarray as xr

from analysis.labelled_comparison import MeasureRecord
from analysis.report.pages import layers
from tests.analysis.report.pictures import drawn


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
    figure = drawn(layers.draw(correspondence(3), MeasureRecord("cka", "similarity", 8), "zoo"))
    panel, bar = figure.axes
    assert panel.get_title() == "same\n(3 pairs)"
    assert [text.get_text() for text in panel.texts] == ["0.90", "0.25", "0.25", "0.80"]
    assert "similarity, CKA" in bar.get_ylabel()


def test_identification_is_said_where_networks_could_be_asked_and_nothing_elsewhere() -> None:
    assert layers.identification(correspondence(3)) == ["layers identified in 75% of cases trained (chance 50%)"]
    assert layers.identification(correspondence(0)) == []
