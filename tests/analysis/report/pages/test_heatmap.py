"""Heat maps: colours mean the same in measures of every kind, and rows have as many names as there is room for."""

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from analysis.geometry.embedding import angular
from analysis.inference.factors import told_apart
from analysis.inference.field_tests import group_means
from analysis.labelled_comparison import MeasureRecord
from analysis.report.pages import heatmap, mds
from tests.analysis.report.pictures import DISTANCE, RECORD, SCORE, drawn, with_guests, zoo
from tests.analysis.sampled_zoos import of_many_depths, sampled


def test_a_distance_is_drawn_as_it_is_and_yellow_where_items_are_alike() -> None:
    table, similarity = zoo()
    value = angular(similarity)
    value[3, :] = value[:, 3] = np.nan
    heat = drawn(heatmap.draw(value, table, ["model"], DISTANCE, "zoo"))
    image = heat.axes[0].images[0]
    assert image.cmap.name == "viridis_r"
    assert image.norm.vmin == 0
    assert "grey: undefined" in heat.axes[0].get_title(loc="left")
    assert "chance level not known" in heat.axes[0].get_title(loc="left")
    assert "distance, procrustes\n(lower is more alike" in heat.axes[1].get_ylabel()


def test_a_score_names_its_direction_and_keeps_low_values() -> None:
    table, similarity = zoo()
    similarity[0, 1] = -40.0
    heat = drawn(heatmap.draw(similarity, table, ["model"], SCORE, "zoo"))
    axes = heat.axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("predicts", "is predicted")
    assert axes.images[0].get_array().min() == -40
    assert axes.images[0].norm.vmin > -40
    assert axes.images[0].colorbar.extend == "min", "an arrow says that there is more below"


def test_recordings_stand_last_under_their_names_without_any_value_too() -> None:
    table, similarity = with_guests(*zoo())
    similarity[-3] = similarity[:, -3] = np.nan
    heat = drawn(heatmap.draw(similarity, table, ["model"], RECORD, "zoo"))
    assert [label.get_text() for label in heat.axes[0].get_yticklabels()][-2:] == ["it", "pixels"]


def test_pictures_show_fields_of_few_levels_and_the_number_of_layers() -> None:
    table, similarity = of_many_depths(200, 2)
    fields = told_apart(table, ["channels", "kernel", "gain", "activation"])
    assert fields == ["gain", "activation", "layers"], "numbers have an order that colours can show"
    assert told_apart(table, ["activation"]) == ["activation"]
    record = MeasureRecord("cka", "similarity", 100, chance=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a legend larger than its figure leaves no room for the axes
        mds.draw(similarity, table, fields, record, "zoo").canvas.draw()
        heat = heatmap.draw(similarity, table, ["activation", "layers", "gain"], record, "zoo")
        heat.canvas.draw()
    names = [label.get_text() for label in heat.axes[0].get_yticklabels()]
    assert len(names) == 2 * 3 * 6
    assert names[0] == "activation elu, layers 1 trained"


def test_rows_are_ordered_and_named_by_the_fields_asked_for_each_named_once() -> None:
    table, similarity = zoo(4, seeds=2)
    axes = heatmap.draw(similarity, table, ["seed"], RECORD, "zoo").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["seed 0 trained", "seed 1 trained"]
    assert "networks ordered by seed;" in axes.get_title(loc="left")
    assert axes.get_xlabel() == "the same networks, in the same order"


def test_rows_of_a_thousand_items_are_named_where_there_is_room() -> None:
    table, similarity = sampled(256, 2)
    assert len(heatmap.draw(similarity, table, ["channels", "kernel"], RECORD, "zoo").axes[0].get_yticks()) == 2


def test_untrained_networks_that_are_of_no_level_are_told_as_a_whole() -> None:
    rows = [(l2, 2 * i + seed) for i, l2 in enumerate([1e-5, 1e-4, 1e-3]) for seed in range(2)]
    trained = pd.DataFrame(rows, columns=["l2", "seed"]).assign(trained=True, status="solved")
    untrained = pd.DataFrame({"l2": "", "seed": range(6), "trained": False, "status": ""})
    table = pd.concat([trained, untrained], ignore_index=True).assign(model="gru", cohort="gru")
    similarity = np.full((12, 12), 0.5)
    similarity[6:, 6:] = 0.25
    means = group_means(similarity, table, ["l2"], {"measure": "cka", "layer": "rate"})
    comparison = SimpleNamespace(measures={"cka": SimpleNamespace(record=RECORD)})
    compared: Any = SimpleNamespace(means=means, told=("cka", "rate"), comparison=comparison)
    told = [*heatmap.lines(compared)]
    assert "  cka at rate, trained: 0.50 within, 0.50 between levels of l2" in told
    assert "  cka at rate, untrained: 0.25" in told
