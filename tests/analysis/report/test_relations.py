"""Trees and agreement: members stand in the order of the leaves, and every number is written that is known."""

import numpy as np
import pytest

from analysis.geometry.embedding import angular
from analysis.report import relations
from analysis.scoring.measure_agreement import agreement
from tests.analysis.report.pictures import RECORD, drawn, zoo


def test_the_tree_shows_trained_networks_in_the_order_of_its_leaves() -> None:
    table, similarity = zoo(apart=3.0)
    figure = drawn(relations.clusters(similarity, table, ["model", "hidden"], RECORD, "zoo"))
    branches, bars, matrix = figure.axes[:3]
    names = [label.get_text() for label in matrix.get_yticklabels()]
    assert len(names) == 16
    assert len({name.split()[0] for name in names[:8]}) == 1, "two clusters, one after the other"
    shown = matrix.images[0].get_array()
    seeds = table["seed"].map(lambda seed: f" seed={seed:g}")
    rows = [f"{m} hidden={h:g}" for m, h in zip(table["model"], table["hidden"])] + seeds
    place = [np.flatnonzero((rows == name) & table["trained"])[0] for name in names]
    np.testing.assert_allclose(shown, similarity[np.ix_(place, place)])
    assert bars.images[0].get_array().shape == (16, 2, 4)
    assert len(branches.collections[0].get_paths()) == 15
    assert "16 trained networks: average linkage of arccos cka" in figure.get_suptitle()
    assert "n = 48 stimuli, chance 0" in figure.get_suptitle()


@pytest.mark.parametrize("items", [0, 1, 2, 3, 1000])
def test_a_tree_is_drawn_of_three_to_a_thousand_items(items: int) -> None:
    table, similarity = zoo(max(items // 2, 2))
    rows = np.flatnonzero(table["trained"])[:items]
    part = table.iloc[rows].reset_index(drop=True)
    figure = relations.clusters(similarity[np.ix_(rows, rows)], part, ["model", "hidden"], RECORD, "zoo")
    assert (figure is None) == (items < 3)
    if figure is not None:
        drawn(figure)


def test_agreement_writes_every_correlation_with_its_interval() -> None:
    _, similarity = zoo()
    values = {"cka": similarity, "procrustes": angular(similarity), "empty": np.full_like(similarity, np.nan)}
    found = agreement(values, {"cka": "similarity", "procrustes": "distance", "empty": "similarity"})
    figure = drawn(relations.agreement({"conv1": found, "conv2": found}, "members", "zoo"))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == 4, "nothing is written where nothing is known"
    assert texts[0] == "1.00"
    assert texts[1].startswith("1.00\n["), "the distance counts with the opposite sign"
    assert "conv1 (496 pairs)" in figure.axes[0].get_title(loc="left")
    assert "jackknife over members" in figure.get_suptitle()
