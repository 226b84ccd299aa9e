"""The comparison of a directory: which fields are tested how, and what is left out."""

import warnings
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.activations.types import Group, Representations
from analysis.inference.factors import depths, told_apart
from analysis.inference.field_tests import group_means, run_field_tests
from analysis.labelled_comparison import MeasureRecord
from analysis.report import embedding_maps, figures
from analysis.report.summary import category_lines, field_lines
from analysis.zoo_comparison import mean_rdms


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
    for _ in range(100):
        table, similarity = population(generator, shared)
        tests = run_field_tests(similarity, table, ["hidden", "l2"], {"measure": "cka"}).set_index("field")
        assert tests.loc["hidden", "averaged_over"] == ("l2" if shared else "")
        # Shared: four means are left, one per width; what is claimed is about these, from their two seeds.
        assert tests.loc["hidden", "about"] == ("these configurations only" if shared else "configurations in general")
        low += tests.loc["hidden", "testable"] and tests.loc["hidden", "p"] <= 0.05
    assert 1 <= low <= 12, "5 %, within sampling error"


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


def test_hundreds_of_architectures_take_seconds_and_few_rows() -> None:
    table, similarity = many(256, 2)
    fields = ["channels", "kernel", "gain"]
    tests: Any = run_field_tests(similarity, table, fields, {"measure": "cka"}).set_index("field")
    assert tests["testable"].to_dict() == {"channels": False, "gain": True, "kernel": True}
    assert tests.loc["channels", "levels"] == 256
    assert tests.loc["kernel", "not_held"] == "channels", "with it every architecture is alone in its stratum"
    assert tests.loc["gain", "tested_as"] == "value", "a number drawn for every architecture"
    means = group_means(similarity, table, fields, {"measure": "cka"})
    assert len(means) < 50
    assert set(means["groups"]) == {"kernel"}


def drawn(configurations: int, seeds: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Networks of 1 to 6 layers, their first items: kernels and channels by layer, two fields of few levels."""
    draw = np.random.default_rng(1)
    table, similarity = many(configurations, seeds)
    layers = np.repeat(draw.integers(1, 7, configurations), seeds)
    kernels = np.repeat([str(tuple(draw.integers(1, 9, 4).tolist())) for _ in range(configurations)], seeds)
    widths = [str(tuple(range(i, i + deep))) for i, deep in enumerate(layers[::seeds])]  # as many as layers
    table["channels"] = [*np.repeat(widths, seeds)] * 2
    names = np.repeat(draw.choice(["relu", "elu", "tanh"], configurations), seeds)
    return table.assign(kernel=[*kernels] * 2, activation=[*names] * 2, layers=[*layers] * 2, member="m"), similarity


def test_fields_drawn_at_random_are_tested_with_their_number_of_entries_held_constant() -> None:
    table, similarity = drawn(200, 2)
    tests = run_field_tests(similarity, table, ["channels", "kernel", "activation"], {}).set_index("field")
    assert list(tests.index[tests["testable"].to_numpy(bool)]) == ["activation", "depth"]
    assert "(activation x depth x channels x kernel)" in tests.loc["activation", "unit"]
    lines = list(field_lines(tests.reset_index(), "cka", "conv1"))
    assert lines[0].startswith("  activation: explains")
    assert "not held constant in these tests" in lines[2]
    assert lines[2].endswith("channels, kernel")
    assert len(lines) == 3


def test_a_slice_of_few_networks_names_what_cannot_be_tested_in_one_line() -> None:
    table, similarity = drawn(3, 2)
    tests = run_field_tests(similarity, table, ["channels", "kernel", "activation"], {})
    lines = list(field_lines(tests, "cka", "conv6"))
    assert len(lines) == 1
    assert lines[0].startswith("  too few configurations at conv6 for a test of channels, kernel")


@pytest.mark.parametrize("items", [1, 2, 4])
def test_a_slice_of_one_network_or_of_one_level_is_tested_and_drawn(items: int) -> None:
    table, similarity = drawn(4, 1)
    rows = [0, 4, 1, 5][:items]
    table, similarity = table.iloc[rows].reset_index(drop=True).assign(activation="elu"), similarity[np.ix_(rows, rows)]
    fields = ["channels", "kernel", "activation"]
    tests: Any = run_field_tests(similarity, table, fields, {"measure": "cka", "layer": "conv6"})
    assert "activation" not in set(tests["field"])
    assert not tests["testable"].any()
    assert len(group_means(similarity, table, fields, {"measure": "cka"}))
    record = MeasureRecord("cka", "similarity", 100, chance=0.0)
    for draw in (figures.heat_map, embedding_maps.mds):
        draw(similarity, table, told_apart(table, fields), record, "zoo").canvas.draw()


def test_pictures_show_fields_of_few_levels_and_the_number_of_layers() -> None:
    table, similarity = drawn(200, 2)
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


def test_pictures_of_a_thousand_items_fit_their_page() -> None:
    table, similarity = many(256, 2)
    record = MeasureRecord("cka", "similarity", 100, chance=0.0)
    figure = embedding_maps.mds(similarity, table, ["channels", "kernel"], record, "zoo")
    assert "classical MDS (1024 items)" in figure.get_suptitle()
    assert "256 levels" in figure.axes[0].get_title(loc="left")
    assert figure.axes[0].get_legend() is None
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["3", "5"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["trained", "untrained"]
    assert len(figures.heat_map(similarity, table, ["channels", "kernel"], record, "zoo").axes[0].get_yticks()) == 2


def test_depth_counts_entries_once_where_they_agree_and_apart_where_they_do_not() -> None:
    table = pd.DataFrame(
        {
            "channels": ["(8, 16)", "(8,)", "(8, 16, 32)"],
            "kernel": ["(3, 5)", "3", "(3, 1, 1)"],
            "dense": ["()", "(32, 64, 32)", "(32,)"],
            "gain": [0.1, 0.2, 0.3],
        }
    )
    assert depths(table, ["channels", "kernel"]) == ["2", "1", "3"]
    assert depths(table, ["gain", "kernel", "channels", "dense"]) == ["2, 0", "1, 3", "3, 1"]
    assert depths(table, ["gain"]) == []


def test_a_network_whose_last_layer_is_dead_neither_rises_nor_falls() -> None:
    table = pd.DataFrame({"member": list("aaabbb"), "depth": [0, 1, 2] * 2, "index": [0.1, 0.3, np.nan, 0.1, 0.3, 0.5]})
    table = table.assign(layer=table["depth"], condition="label", trained=True)
    (line,) = category_lines(pd.concat([table, table.assign(trained=False)]))
    assert "0.10 -> 0.50 trained (of 2, rises in 1, falls in 0)" in line
