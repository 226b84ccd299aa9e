"""Pictures show what they say: what is drawn where, for every kind of measure and for what files bring in."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Ellipse, Rectangle

from analysis.geometry.embedding import angular
from analysis.labelled_comparison import MeasureRecord
from analysis.report import embedding_maps, figures, relations
from analysis.report.score_chart import scores
from analysis.scoring.measure_agreement import agreement
from analysis.scoring.recording_scores import COLUMNS

RECORD = MeasureRecord("cka", "similarity", 48, chance=0.0)
DISTANCE = MeasureRecord("procrustes", "distance", 48)
SCORE = MeasureRecord("predictivity", "score", 48, symmetric=False)


def zoo(configurations: int = 8, seeds: int = 2, apart: float = 1.0) -> tuple[pd.DataFrame, np.ndarray]:
    """Trained and untrained networks of two models, `apart` from each other, and their cosine similarity."""
    draw = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "model": np.repeat(np.where(np.arange(configurations) % 2, "gru", "lstm"), seeds),
            "hidden": np.repeat(2 ** (np.arange(configurations) // 2), seeds).astype(float),
            "seed": np.tile(np.arange(float(seeds)), configurations),
        }
    ).assign(status="solved", cohort=lambda frame: frame["model"] + frame["hidden"].astype(str))
    table = pd.concat([rows.assign(trained=True), rows.assign(trained=False)], ignore_index=True)
    table["item"] = [f"item {i}" for i in range(len(table))]
    points = draw.normal(size=(len(table), 5)) + apart * np.where(table["model"] == "gru", 1, -1)[:, None]
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return table, points @ points.T


def with_guests(table: pd.DataFrame, similarity: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """The zoo with a recording, its mean over subjects and a baseline, as a stored comparison labels them."""
    guests = pd.DataFrame({"item": ["f/it/1", "f/it/mean", "baseline/pixels"], "recording": ["f/it", "f/it", "pixels"]})
    guests["source"] = ["recording", "recording", "baseline"]
    guests["subject"] = ["1", "mean", ""]
    both: Any = pd.concat([table.assign(source="zoo", subject=""), guests.assign(trained=True)])
    text = [column for column in both if column not in ("hidden", "seed", "trained")]
    both[text] = both[text].fillna("")
    count = len(table)
    whole = np.eye(count + 3)
    whole[:count, :count] = similarity
    whole[count:, :count], whole[:count, count:] = 0.2, 0.2
    return both.reset_index(drop=True), whole


def drawn(figure: Any) -> Any:
    figure.canvas.draw()
    return figure


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


def table_of_scores(**changes: Any) -> pd.DataFrame:
    row = dict.fromkeys(COLUMNS, "") | dict(measure="rsa", recording="IT", kind="network", n_stimuli=92, subjects=4)
    row |= dict(ceiling_lower=0.5, ceiling_upper=0.6, sem=0.02, partial=np.nan, model="cnn")
    rows = [
        row | dict(layer=layer, kind=kind, name=f"m{i}", score=level + 0.01 * i, partial=level - 0.05)
        for layer, level in (("conv1", 0.1), ("dense1", 0.3))
        for kind in ("network", "untrained")
        for i in range(3)
    ]
    rows += [row | dict(kind="baseline", name="pixels", score=-3.0), row | dict(kind="recording", name="V1", score=0.7)]
    return pd.DataFrame(rows).assign(**changes)


def test_scores_stand_per_layer_then_baselines_with_nothing_clipped() -> None:
    figure = drawn(scores(table_of_scores(), "zoo"))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["conv1", "dense1", "pixels", "V1"]
    heights = [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle) and 0 < bar.get_width() < 1]
    np.testing.assert_allclose(heights, [0.11, 0.11, 0.31, 0.31, -3.0, 0.7])
    low, high = axes.get_ylim()
    assert low < -3.02, "a score below any axis one would choose"
    assert high > 0.72, "and one above the ceiling"
    assert figure.get_suptitle().startswith("zoo: IT")
    assert "n = 92 stimuli, 4 subjects" in axes.get_title(loc="left")
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"trained", "untrained", "noise ceiling", "silhouette taken out"} <= set(legend)


def test_scores_without_ceiling_untrained_or_partial_are_drawn_and_not_in_the_legend() -> None:
    table = table_of_scores(ceiling_lower=np.nan, ceiling_upper=np.nan, partial=np.nan, subjects=np.nan, sem=np.nan)
    figure = drawn(scores(table[table["kind"] == "network"], "zoo"))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["trained"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["conv1", "dense1"]


def test_a_table_of_scores_that_is_not_one_is_refused() -> None:
    with pytest.raises(ValueError, match="has no column 'partial'; it needs measure, recording"):
        scores(table_of_scores().drop(columns="partial"), "zoo")
    with pytest.raises(ValueError, match="has kind 'model'; allowed: network, untrained, baseline, recording"):
        scores(table_of_scores(kind="model"), "zoo")
    with pytest.raises(ValueError, match="shows one recording; this table has 2"):
        scores(pd.concat([table_of_scores(), table_of_scores(recording="V4")]), "zoo")


def test_a_stopped_members_curve_stays_where_it_is_in_the_picture() -> None:
    frame = pd.DataFrame(
        {"member": list("aabbb"), "step": [0, 1, 0, 1, 2], "loss": [1.0, 0.1, 1.0, 9.0, 9.0], "score": [0.5] * 5}
    )
    figure = figures.curves(frame, {"a": "g", "b": "g"}, chance=0.1, solved=0.9, title="t")
    medians = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(medians, [1.0, 4.55, 4.55])
