"""Trees: members stand in the order of the leaves, and who is left out is said."""

import numpy as np
import pytest

from analysis.geometry.embedding import angular
from analysis.report.pages import clusters
from tests.analysis.report.pictures import DISTANCE, RECORD, drawn, with_guests, zoo


def test_the_tree_shows_trained_networks_in_the_order_of_its_leaves() -> None:
    table, similarity = zoo(apart=3.0)
    figure = drawn(clusters.draw(similarity, table, ["model", "hidden"], RECORD, "zoo"))
    branches, bars, matrix = figure.axes[:3]
    names = [label.get_text() for label in matrix.get_yticklabels()]
    assert len(names) == 16
    assert len({name.split(",")[0] for name in names[:8]}) == 1, "two clusters, one after the other"
    shown = matrix.images[0].get_array()
    seeds = table["seed"].map(lambda seed: f", seed {seed:g}")
    rows = [f"{m}, hidden units {h:g}" for m, h in zip(table["model"], table["hidden"])] + seeds
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
    figure = clusters.draw(similarity[np.ix_(rows, rows)], part, ["model", "hidden"], RECORD, "zoo")
    assert (figure is None) == (items < 3)
    if figure is not None:
        drawn(figure)


def test_a_tree_says_what_is_in_it_and_how_many_items_are_not() -> None:
    table, similarity = zoo()
    value = angular(similarity)
    value[3, :] = value[:, 3] = np.nan
    tree = drawn(clusters.draw(value, table, ["model"], DISTANCE, "zoo"))
    assert "15 trained networks: average linkage of procrustes," in tree.get_suptitle()
    assert "1 item without all distances left out" in tree.get_suptitle()
    table, similarity = with_guests(*zoo())
    similarity[-3] = similarity[:, -3] = np.nan
    tree = drawn(clusters.draw(similarity, table, ["model"], RECORD, "zoo"))
    assert "16 trained networks, 1 recording, 1 baseline:" in tree.get_suptitle()
