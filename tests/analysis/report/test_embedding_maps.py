"""Maps of members: what an ellipse is over, and who is one unit."""

from typing import Any

import numpy as np
from matplotlib.patches import Ellipse

from analysis.labelled_comparison import MeasureRecord
from analysis.report import embedding_maps, figures
from tests.analysis.report.pictures import RECORD, drawn, zoo
from tests.analysis.sampled_zoos import sampled


def ellipses(axes: Any) -> int:
    return sum(isinstance(artist, Ellipse) for artist in axes.get_children())


def test_means_have_ellipses_over_configurations_where_there_are_enough_else_over_networks_or_none() -> None:
    fields = ["model", "hidden"]
    table, similarity = zoo(12)
    many = drawn(embedding_maps.mds(similarity, table, fields, RECORD, "zoo"))
    assert [ellipses(axes) for axes in many.axes] == [4, 0], "two models, trained and untrained; two nets a width"
    assert "over configurations" in many.axes[0].get_title(loc="left")
    table, similarity = zoo(4, seeds=4)
    few = drawn(embedding_maps.mds(similarity, table, fields, RECORD, "zoo"))
    assert [ellipses(axes) for axes in few.axes] == [4, 4]
    assert "over networks" in few.axes[0].get_title(loc="left")
    assert "for these configurations only" in few.get_suptitle()
    table, similarity = zoo(4, seeds=1)
    none = drawn(embedding_maps.mds(similarity, table, fields, RECORD, "zoo"))
    assert ellipses(none.axes[0]) == 0
    assert "ellipses" not in none.get_suptitle()


def test_networks_that_share_cohort_and_seed_are_drawn_together() -> None:
    table, _ = zoo(4, seeds=3)
    table["cohort"], table["penalty"] = "one", table["hidden"]
    network = np.ones(len(table), bool)
    words, units = embedding_maps.units_of(table, "penalty", table["trained"].to_numpy(), network, ["model", "penalty"])
    assert words == embedding_maps.NETWORKS
    assert len(set(units)) == 3, "copies of one network under several penalties are one unit"


def test_pictures_of_a_thousand_items_fit_their_page() -> None:
    table, similarity = sampled(256, 2)
    record = MeasureRecord("cka", "similarity", 100, chance=0.0)
    figure = embedding_maps.mds(similarity, table, ["channels", "kernel"], record, "zoo")
    assert "classical MDS (1024 items)" in figure.get_suptitle()
    assert "256 levels" in figure.axes[0].get_title(loc="left")
    assert figure.axes[0].get_legend() is None
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["3", "5"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["trained", "untrained"]
    assert len(figures.heat_map(similarity, table, ["channels", "kernel"], record, "zoo").axes[0].get_yticks()) == 2
