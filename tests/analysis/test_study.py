"""The comparison of a directory: which fields are tested how, and what is left out."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from analysis.report import figures
from analysis.representations import Group, Representations
from analysis.study import _explained, _means, mean_rdms


def population(generator: np.random.Generator, shared: bool) -> tuple[pd.DataFrame, np.ndarray]:
    """A null zoo: four widths (cohorts) x three penalties x two seeds; with shared seeds penalties are near copies."""
    rows, points = [], []
    for hidden, (i, l2), seed in product([8, 16, 32, 64], enumerate([1e-6, 1e-5, 1e-4]), range(2)):
        rows.append({"hidden": hidden, "l2": l2, "seed": seed if shared else 10 * i + seed, "cohort": f"c{hidden}"})
    table = pd.DataFrame(rows).assign(trained=True, status="solved")
    network = {}
    for row in table.itertuples():
        key = (row.hidden, row.seed)
        network.setdefault(key, generator.normal(size=6))
        points.append(network[key] + 0.05 * generator.normal(size=6))
    vectors = np.array(points)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return table, vectors @ vectors.T


@pytest.mark.parametrize("shared", [False, True])
def test_networks_that_share_a_seed_are_not_counted_as_independent_evidence(shared: bool) -> None:
    generator, low = np.random.default_rng(0), 0
    for _ in range(200):
        table, similarity = population(generator, shared)
        tests = _explained(similarity, table, ["hidden", "l2"], {"measure": "cka"}).set_index("field")
        assert tests.loc["hidden", "averaged_over"] == ("l2" if shared else "")
        low += tests.loc["hidden", "testable"] and tests.loc["hidden", "p"] <= 0.05
    # Shared: four means are left, one per width, and no test of them is claimed. Own: 5 %, within sampling error.
    assert low == 0 if shared else 2 <= low <= 20


def test_rdms_are_means_over_what_was_compared() -> None:
    generator = np.random.default_rng(1)
    labels = pd.DataFrame(
        {"model": "gru", "layer": "rate", "trained": True, "status": ["solved", "solved", "diverged"]}, index=range(3)
    )
    group = Group(("a", "b", "c"), labels, generator.normal(size=(3, 5, 4)).astype(np.float32))
    found = Representations((group,), "probe", {"label": np.array([1, 0, 1, 0, 2])})
    means = mean_rdms(found, {"a", "c"})
    assert means["members"].to_numpy().tolist() == [1]
    rows = group.array[0][[1, 3, 0, 2, 4]]
    np.testing.assert_allclose(means["rdm"][0], 1 - np.corrcoef(rows), atol=1e-6)


def many(configurations: int, seeds: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A slice of sampled architectures: as many levels of a field as configurations."""
    draw = np.random.default_rng(0)
    width = draw.permutation(1000)[:configurations]
    table = pd.DataFrame(
        {
            "channels": np.repeat([f"({w}, {i})" for i, w in enumerate(width)], seeds),
            "kernel": np.repeat(draw.choice([3, 5], configurations), seeds),
            "gain": np.repeat(draw.uniform(0.5, 2, configurations), seeds),
            "seed": np.arange(configurations * seeds),
        }
    )
    table = table.assign(model="cnn", cohort=table["channels"], status="solved", layer="conv1")
    table = pd.concat([table.assign(trained=True), table.assign(trained=False)], ignore_index=True)
    vectors = draw.normal(size=(len(table), 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return table, vectors @ vectors.T


@pytest.mark.timeout(60)
def test_hundreds_of_architectures_take_seconds_and_few_rows() -> None:
    table, similarity = many(256, 2)
    fields = ["channels", "kernel", "gain"]
    tests = _explained(similarity, table, fields, {"measure": "cka"}).set_index("field")
    assert not tests["testable"].any(), "every architecture is alone in its stratum"
    assert tests.loc["channels", "levels"] == 256
    means = _means(similarity, table, fields, {"measure": "cka"})
    assert len(means) < 50
    assert set(means["groups"]) == {"model"}


def test_pictures_of_a_thousand_items_fit_their_page() -> None:
    table, similarity = many(256, 2)
    attrs = {"name": "cka", "n_stimuli": 100, "chance": 0.0}
    figure = figures.mds(similarity, table, ["channels", "kernel"], attrs, "zoo")
    assert "classical MDS (1024 items)" in figure.get_suptitle()
    assert "256 levels" in figure.axes[0].get_title(loc="left")
    assert figure.axes[0].get_legend() is None
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["3", "5", "trained", "untrained"]
    assert len(figures.heat_map(similarity, table, ["channels", "kernel"], attrs, "zoo").axes[0].get_yticks()) == 2
