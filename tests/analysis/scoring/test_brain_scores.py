"""Brain scores of simulated recordings whose layer, network and noise are known."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.activations.inputs import gathered
from analysis.activations.types import Group, Outside, Representations
from analysis.comparison import measure
from analysis.scoring.brain_scores import BRAIN_COLUMNS, brain_table

N, UNITS, LAYERS = 40, 30, 3


def networks(draw: np.random.Generator, count: int = 4) -> Representations:
    """Networks of three layers, trained and untrained; a layer shares some of the one before."""
    groups = []
    for trained in (True, False):
        x = np.zeros((count, LAYERS, N, UNITS), np.float32)
        x[:, 0] = draw.normal(size=(count, N, UNITS))
        for layer in range(1, LAYERS):
            x[:, layer] = 0.4 * x[:, layer - 1] + draw.normal(size=(count, N, UNITS))
        for layer in range(LAYERS):
            labels = {"member": [f"m{i}" for i in range(count)], "layer": f"l{layer}", "trained": trained}
            labels |= {"model": "cnn", "status": "solved", "layer_depth": layer}
            names = tuple(f"m{i}/l{layer}" + ("" if trained else "/untrained") for i in range(count))
            groups.append(Group(names, pd.DataFrame(labels), x[:, layer]))
    return Representations(tuple(groups), "probe")


def recording(shown: Representations, noise: float, subjects: int, draw: np.random.Generator) -> list[Outside]:
    """Of every subject other mixtures of the units of member 1's second layer, with noise."""
    truth, others = shown.groups[1].array[1], []
    for i in range(subjects):
        x = truth @ draw.normal(size=(UNITS, 50)) / UNITS**0.5 + noise * draw.normal(size=(N, 50))
        others.append(Outside(f"it/{i}", x, {"recording": "it", "subject": str(i), "source": "recording"}))
    return others


def table_of(shown: Representations, others: list[Outside], *names: str) -> Any:
    return brain_table(gathered(shown, others, "float32"), {name: measure(name) for name in names})


def test_the_layer_and_the_network_that_were_recorded_come_first() -> None:
    draw = np.random.default_rng(0)
    shown = networks(draw)
    table = table_of(shown, recording(shown, 1.0, 5, draw), "cka", "rsa")
    assert tuple(table.columns) == BRAIN_COLUMNS
    assert len(table) == 2 * 8
    for _, part in table.groupby("measure"):
        trained = part[part["kind"] == "network"].set_index("member")
        best = trained.loc["m1"]
        assert (best["rank"], best["rank_low"], best["rank_high"]) == (1, 1, 1)
        assert best["layer"] == "l1"
        assert best["layer_share"] > 0.9
        assert best["p_untrained"] < 0.01
        assert best["low"] < best["score"] < best["high"]
        assert (trained.drop("m1")["p_ceiling"] < 0.01).all()
        assert best["ceiled"] > 0.7
        others = trained.drop("m1")
        assert (others["rank_high"] == 4).all()
        assert (abs(others["score"]) < 0.15).all()
    assert (table["subjects"] == 5).all()


def test_a_layer_is_chosen_on_other_stimuli_than_it_is_scored_on() -> None:
    """Of many unrelated layers the best on the same stimuli would score well above 0; on others it does not."""
    draw = np.random.default_rng(1)
    count, layers = 12, 20
    groups = []
    for layer in range(layers):
        labels = {"member": [f"m{i}" for i in range(count)], "layer": f"l{layer}", "trained": True, "model": "cnn"}
        labels |= {"status": "solved", "layer_depth": layer}
        x = draw.normal(size=(count, N, UNITS)).astype(np.float32)
        groups.append(Group(tuple(f"m{i}/l{layer}" for i in range(count)), pd.DataFrame(labels), x))
    other = Outside("it", draw.normal(size=(N, 20)), {"recording": "it", "subject": "", "source": "recording"})
    shown = Representations(tuple(groups), "probe")
    table = table_of(shown, [other], "rsa")
    assert abs(table["score"].mean()) < 0.03
    assert table["p_untrained"].isna().all()
    assert table["ceiling_lower"].isna().all()


def test_a_measure_without_a_jackknife_has_scores_and_no_limits() -> None:
    draw = np.random.default_rng(2)
    shown = networks(draw, 3)
    table = table_of(shown, recording(shown, 0.5, 1, draw), "predictivity(folds=5)")
    best = table[table["kind"] == "network"].set_index("member")["score"].idxmax()
    assert best == "m1"
    assert table["low"].isna().all()


def test_of_a_distance_less_is_better() -> None:
    draw = np.random.default_rng(3)
    shown = networks(draw, 3)
    table = table_of(shown, recording(shown, 0.3, 2, draw), "procrustes")
    trained = table[table["kind"] == "network"].set_index("member")
    assert trained["rank"].idxmin() == trained["score"].idxmin() == "m1"
    assert trained.loc["m1", "layer"] == "l1"


@pytest.mark.long
def test_limits_cover_and_tests_of_unrelated_networks_keep_their_level() -> None:
    """The truth is the mean score of many recordings of the same kind."""
    truths, lows, highs, false = [], [], [], []
    for seed in range(200):
        draw = np.random.default_rng(seed)
        shown = networks(draw, 4)
        table = table_of(shown, recording(shown, 1.5, 6, draw), "rsa")
        row = table[(table["kind"] == "network") & (table["member"] == "m1")].iloc[0]
        truths.append(row["score"])
        lows.append(row["low"])
        highs.append(row["high"])
        others = table[(table["kind"] == "network") & (table["member"] != "m1")]
        false.append((others["rank_low"] > 2).any())
    truth = np.mean(truths)
    covered = np.mean((np.array(lows) <= truth) & (np.array(highs) >= truth))
    assert 0.92 <= covered <= 0.98
    assert np.mean(false) <= 0.05 + 2 * (0.05 * 0.95 / 200) ** 0.5
