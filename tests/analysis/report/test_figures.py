"""Pictures show what they say: what is drawn where, for every kind of measure and for what files bring in."""

import warnings

import numpy as np
import pandas as pd
import pytest

from analysis.geometry.embedding import angular
from analysis.inference.factors import told_apart
from analysis.labelled_comparison import MeasureRecord
from analysis.report import embedding_maps, figures, relations
from tests.analysis.report.pictures import DISTANCE, RECORD, SCORE, drawn, with_guests, zoo
from tests.analysis.sampled_zoos import of_many_depths


def test_a_distance_is_drawn_as_it_is_and_yellow_where_items_are_alike() -> None:
    table, similarity = zoo()
    value = angular(similarity)
    value[3, :] = value[:, 3] = np.nan
    heat = drawn(figures.heat_map(value, table, ["model"], DISTANCE, "zoo"))
    image = heat.axes[0].images[0]
    assert image.cmap.name == "viridis_r"
    assert image.norm.vmin == 0
    assert "grey: undefined" in heat.axes[0].get_title(loc="left")
    assert "chance level not known" in heat.axes[0].get_title(loc="left")
    assert "distance, procrustes" in heat.axes[1].get_ylabel()
    tree, points = (
        drawn(draw(value, table, ["model"], DISTANCE, "zoo")) for draw in (relations.clusters, embedding_maps.mds)
    )
    assert "15 trained networks: average linkage of procrustes," in tree.get_suptitle()
    assert "1 item without all distances left out" in tree.get_suptitle()
    assert "metric MDS of procrustes," in points.get_suptitle()


def test_a_caption_says_whether_chance_is_known_differs_or_is_not_known() -> None:
    known = MeasureRecord("cka", "similarity", 48, chance=0.0, chance_sd=0.01)
    differing = MeasureRecord("rsa", "similarity", 48, chance_by_pair=True)
    assert figures.about(known) == "n = 48 stimuli, chance 0 ± 0.01"
    assert figures.about(differing) == "n = 48 stimuli, chance differs by pair"
    assert figures.about(DISTANCE) == "n = 48 stimuli, chance level not known in closed form"


def test_a_score_names_its_direction_keeps_low_values_and_has_no_map() -> None:
    table, similarity = zoo()
    similarity[0, 1] = -40.0
    heat = drawn(figures.heat_map(similarity, table, ["model"], SCORE, "zoo"))
    axes = heat.axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("predicts", "is predicted")
    assert axes.images[0].get_array().min() == -40
    assert axes.images[0].norm.vmin > -40
    assert axes.images[0].colorbar.extend == "min", "an arrow says that there is more below"
    with pytest.raises(ValueError, match="A score has no distance"):
        embedding_maps.mds(similarity, table, ["model"], SCORE, "zoo")


def test_recordings_are_named_stars_and_stand_last_in_the_matrix() -> None:
    table, similarity = with_guests(*zoo())
    assert figures.states_of(table)[-3:].tolist() == ["recording", "recording", "baseline"]
    assert figures.states_of(table)[:2].tolist() == ["trained", "trained"]
    figure = drawn(embedding_maps.mds(similarity, table, ["model"], RECORD, "zoo"))
    assert {text.get_text() for text in figure.axes[0].texts} == {"it", "pixels"}, "single subjects have no name"
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["trained", "untrained", "recording", "baseline"]
    similarity[-3] = similarity[:, -3] = np.nan
    heat = drawn(figures.heat_map(similarity, table, ["model"], RECORD, "zoo"))
    assert [label.get_text() for label in heat.axes[0].get_yticklabels()][-2:] == ["it", "pixels"]
    tree = drawn(relations.clusters(similarity, table, ["model"], RECORD, "zoo"))
    assert "16 trained networks, 1 recording, 1 baseline:" in tree.get_suptitle()


def test_a_stopped_members_curve_stays_where_it_is_in_the_picture() -> None:
    frame = pd.DataFrame(
        {"member": list("aabbb"), "step": [0, 1, 0, 1, 2], "loss": [1.0, 0.1, 1.0, 9.0, 9.0], "score": [0.5] * 5}
    )
    figure = figures.curves(frame, {"a": "g", "b": "g"}, chance=0.1, solved=0.9, title="t")
    medians = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(medians, [1.0, 4.55, 4.55])


def test_pictures_show_fields_of_few_levels_and_the_number_of_layers() -> None:
    table, similarity = of_many_depths(200, 2)
    fields = told_apart(table, ["channels", "kernel", "gain", "activation"])
    assert fields == ["gain", "activation", "layers"], "numbers have an order that colours can show"
    assert told_apart(table, ["activation"]) == ["activation"]
    record = MeasureRecord("cka", "similarity", 100, chance=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a legend larger than its figure leaves no room for the axes
        embedding_maps.mds(similarity, table, fields, record, "zoo").canvas.draw()
        heat = figures.heat_map(similarity, table, ["activation", "layers", "gain"], record, "zoo")
        heat.canvas.draw()
    names = [label.get_text() for label in heat.axes[0].get_yticklabels()]
    assert len(names) == 2 * 3 * 6
    assert names[0] == "activation=elu layers=1 trained"
