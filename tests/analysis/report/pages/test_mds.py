"""Maps of members: what an ellipse is over, who is one unit, and how what files bring in is marked."""

from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Ellipse

from analysis.geometry.embedding import angular
from analysis.labelled_comparison import MeasureRecord
from analysis.report.choices import PictureChoices, under
from analysis.report.pages import mds
from tests.analysis.report.pictures import DISTANCE, RECORD, SCORE, drawn, with_guests, zoo
from tests.analysis.sampled_zoos import sampled


def ellipses(axes: Any) -> int:
    return sum(isinstance(artist, Ellipse) for artist in axes.get_children())


def test_means_have_ellipses_over_configurations_where_there_are_enough_else_over_networks_or_none() -> None:
    fields = ["model", "hidden"]
    table, similarity = zoo(12)
    many = drawn(mds.draw(similarity, table, fields, RECORD, "zoo"))
    assert [ellipses(axes) for axes in many.axes] == [4, 0], "two models, trained and untrained; two nets a width"
    assert "over configurations" in many.axes[0].get_title(loc="left")
    table, similarity = zoo(4, seeds=4)
    few = drawn(mds.draw(similarity, table, fields, RECORD, "zoo"))
    assert [ellipses(axes) for axes in few.axes] == [4, 4]
    assert "over networks" in few.axes[0].get_title(loc="left")
    assert "for these configurations only" in few.get_suptitle()
    table, similarity = zoo(4, seeds=1)
    none = drawn(mds.draw(similarity, table, fields, RECORD, "zoo"))
    assert ellipses(none.axes[0]) == 0
    assert "ellipses" not in none.get_suptitle()


def test_networks_that_share_cohort_and_seed_are_drawn_together() -> None:
    table, _ = zoo(4, seeds=3)
    table["cohort"], table["penalty"] = "one", table["hidden"]
    network = np.ones(len(table), bool)
    words, units = mds.units_of(table, "penalty", table["trained"].to_numpy(), network, ["model", "penalty"])
    assert words == mds.NETWORKS
    assert len(set(units)) == 3, "copies of one network under several penalties are one unit"


def test_a_map_of_a_thousand_items_fits_its_page() -> None:
    table, similarity = sampled(256, 2)
    record = MeasureRecord("cka", "similarity", 100, chance=0.0)
    figure = mds.draw(similarity, table, ["channels", "kernel"], record, "zoo")
    assert "classical MDS (1024 items)" in figure.get_suptitle()
    assert "256 levels" in figure.axes[0].get_title(loc="left")
    assert figure.axes[0].get_legend() is None
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["3", "5"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["trained", "untrained"]


def test_a_distance_is_laid_out_as_it_is_and_a_score_not_at_all() -> None:
    table, similarity = zoo()
    points = drawn(mds.draw(angular(similarity), table, ["model"], DISTANCE, "zoo"))
    assert "metric MDS of procrustes," in points.get_suptitle()
    with pytest.raises(ValueError, match="A score has no distance"):
        mds.draw(similarity, table, ["model"], SCORE, "zoo")


def test_recordings_are_stars_with_names_and_single_subjects_have_none() -> None:
    table, similarity = with_guests(*zoo())
    figure = drawn(mds.draw(similarity, table, ["model"], RECORD, "zoo"))
    assert {text.get_text() for text in figure.axes[0].texts} == {"it", "pixels"}
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["trained", "untrained", "recording", "baseline"]


def test_no_ellipse_is_cut_at_the_frame_and_all_panels_have_one_frame() -> None:
    table, similarity = zoo(4, seeds=4, apart=0.2)
    figure = drawn(mds.draw(similarity, table, ["model", "hidden"], RECORD, "zoo"))
    panels = figure.axes[:2]
    for axes in panels:
        found = [artist for artist in axes.get_children() if isinstance(artist, Ellipse)]
        assert found
        for ellipse in found:
            path = ellipse.get_transform().transform_path(ellipse.get_path()).vertices
            inside = axes.transData.inverted().transform(path)
            low, high = np.array([axes.get_xlim(), axes.get_ylim()]).T
            assert (inside > low - 1e-9).all()
            assert (inside < high + 1e-9).all()
    assert panels[0].get_xlim() == panels[1].get_xlim()
    width, height = (np.ptp(limits) for limits in (panels[0].get_xlim(), panels[0].get_ylim()))
    assert width == pytest.approx(height), "a map is not stretched"


def test_a_chosen_field_shapes_the_marks_and_one_of_too_many_levels_is_refused() -> None:
    table, similarity = zoo()
    with under(PictureChoices(marks="model")):
        figure = drawn(mds.draw(similarity, table, ["hidden"], RECORD, "zoo"))
        shapes = {collection.get_paths()[0].vertices.tobytes() for collection in figure.axes[0].collections[:4]}
        assert len(shapes) == 2
        assert [text.get_text() for text in figure.legends[0].get_texts()][-2:] == ["gru", "lstm"]
    with (
        under(PictureChoices(marks="item")),
        pytest.raises(ValueError, match="has 32 levels; 8 at most can be told apart"),
    ):
        mds.draw(similarity, table, ["hidden"], RECORD, "zoo")


def test_numbers_of_many_levels_have_a_colour_bar_with_a_logarithmic_scale_where_they_span_decades() -> None:
    table, similarity = zoo(30, 1)
    table["learning_rate"] = np.tile(np.geomspace(1e-4, 1e-1, 30), 2)
    figure = drawn(mds.draw(similarity, table, ["learning_rate"], RECORD, "zoo"))
    (bar,) = figure.axes[1:]
    assert bar.get_xlabel() == "learning rate"
    assert bar.get_xscale() == "log"
