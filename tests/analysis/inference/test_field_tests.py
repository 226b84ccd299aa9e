"""The tests of one slice: twice, each field as what it is, interactions where they can be held."""

import json
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.inference.factors import told_apart
from analysis.inference.field_tests import group_means, run_field_tests
from analysis.inference.group_similarities import jackknife_means
from analysis.labelled_comparison import MeasureRecord
from analysis.report.pages import heatmap, mds
from tests.analysis.sampled_zoos import of_many_depths, sampled

LABEL = {"measure": "cka", "layer": "rate"}


def slice_of(rate: bool = False, shared: bool = False, **effects: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Three models x eight penalties x two seeds, one in four unsolved, and the cosines of their points."""
    draw = np.random.default_rng(0)
    cells = list(product("abc", range(8), range(2)))
    table = pd.DataFrame(cells, columns=["model", "l2", "seed"])
    table["seed"] += 0 if shared else 10 * table["l2"]
    table = table.assign(cohort=table["model"], trained=True, status=["solved", "solved", "solved", "unsolved"] * 12)
    if rate:
        table["rate"] = np.repeat(10 ** draw.uniform(-4, -2, 24), 2)
    x = draw.standard_normal((48, 6))
    for field, size in effects.items():
        codes = pd.factorize(table[field])[0]
        x += size * draw.standard_normal((codes.max() + 1, 6))[codes]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return table, x @ x.T


def test_every_test_is_made_among_all_and_among_those_that_solved_their_task() -> None:
    table, similarity = slice_of(model=2.0)
    tests = run_field_tests(similarity, table, ["model", "l2"], LABEL)
    assert list(zip(tests["members"], tests["field"])) == [*product(["all", "solved"], ["model", "l2"])]
    assert set(tests["solved"]) == {"36 of 48"}
    kept = np.flatnonzero(table["status"] == "solved")
    alone = run_field_tests(
        similarity[np.ix_(kept, kept)], table.iloc[kept].reset_index(drop=True), ["model", "l2"], LABEL
    )
    assert set(alone["members"]) == {"all"}, "all solved: one test says both"
    assert set(alone["solved"]) == {"36 of 36"}
    second: Any = tests[tests["members"] == "solved"]
    columns = ["share", "p", "p_holm", "dispersion_p", "knn"]
    np.testing.assert_array_equal(second[columns].to_numpy(float), alone[columns].to_numpy(float))


@pytest.mark.parametrize("solved", [0, 1])
def test_too_few_that_solved_the_task_have_no_tests_of_their_own(solved: int) -> None:
    table, similarity = slice_of()
    table["status"] = ["solved"] * solved + ["unsolved"] * (48 - solved)
    tests = run_field_tests(similarity, table, ["model", "l2"], LABEL)
    assert set(tests["members"]) == {"all"}
    assert set(tests["solved"]) == {f"{solved} of 48"}


def test_distances_are_taken_as_they_are_members_without_them_are_left_out_and_scores_refused() -> None:
    table, similarity = slice_of(model=2.0)
    angles, fields = np.arccos(np.clip(similarity, -1, 1)), ["model", "l2"]
    tests = run_field_tests(angles, table, fields, LABEL, kind="distance")
    np.testing.assert_allclose(tests["share"], run_field_tests(similarity, table, fields, LABEL)["share"], atol=1e-7)
    angles[3, :3] = angles[:3, 3] = np.nan
    assert set(run_field_tests(angles, table, fields, LABEL, kind="distance")["solved"]) == {"36 of 47"}
    with pytest.raises(ValueError, match="A score has no distance"):
        run_field_tests(similarity, table, fields, LABEL, kind="score")


def test_a_number_drawn_at_random_is_tested_as_a_number_and_held_constant_as_one() -> None:
    table, similarity = slice_of(rate=True, model=2.0)
    tests: Any = (
        run_field_tests(similarity, table, ["model", "rate"], LABEL).query("members == 'all'").set_index("field")
    )
    assert tests["tested_as"].to_dict() == {"model": "levels", "rate": "log10(value)"}
    assert tests["testable"].all()
    assert tests.loc["model", "p"] < 0.01 < tests.loc["rate", "p"]
    assert "given rate" in tests.loc["model", "exchanged"]
    assert "within strata of model" in tests.loc["rate", "exchanged"]
    assert (tests["not_held"] == "[]").all()


def test_interactions_are_tested_on_request_also_with_near_copies() -> None:
    table, similarity = slice_of(shared=True)
    fields = ["model", "l2"]
    tests = run_field_tests(similarity, table, fields, LABEL, interactions=True).query("members == 'all'")
    assert tests["field"].tolist() == ["model", "l2", "model:l2"]
    assert tests["averaged_over"].tolist() == ['["l2"]', "[]", "[]"], "penalties of one seed are near copies"
    table, similarity = slice_of()
    tests = run_field_tests(similarity, table, fields, LABEL, interactions=["l2:model"]).query("members == 'all'")
    assert tests["field"].tolist() == ["model", "l2", "l2:model"]
    with pytest.raises(ValueError, match="The interaction 'l2:rate' is none of two tested fields"):
        run_field_tests(similarity, table, fields, LABEL, interactions=["l2:rate"])


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
        assert tests.loc["hidden", "averaged_over"] == ('["l2"]' if shared else "[]")
        # Shared: four means are left, one per width; what is claimed is about these, from their two seeds.
        assert tests.loc["hidden", "about"] == ("these configurations only" if shared else "configurations in general")
        low += tests.loc["hidden", "testable"] and tests.loc["hidden", "p"] <= 0.05
    assert 1 <= low <= 12, "5 %, within sampling error"


def test_hundreds_of_architectures_take_seconds_and_few_rows() -> None:
    table, similarity = sampled(256, 2)
    fields = ["channels", "kernel", "gain"]
    tests: Any = run_field_tests(similarity, table, fields, {"measure": "cka"}).set_index("field")
    assert tests["testable"].to_dict() == {"channels": False, "gain": True, "kernel": True}
    assert tests.loc["channels", "levels"] == 256
    assert tests.loc["kernel", "not_held"] == '["channels"]', "with it every architecture is alone in its stratum"
    assert tests.loc["gain", "tested_as"] == "value", "a number drawn for every architecture"
    means = group_means(similarity, table, fields, {"measure": "cka"})
    assert len(means) < 50
    assert set(means["groups"]) == {"kernel", ""}, "256 levels are no groups, nor are numbers; references have none"


def test_every_field_groups_means_but_numbers_drawn_for_every_configuration() -> None:
    table, similarity = slice_of(rate=True, model=2.0)
    both = pd.concat([table, table.assign(trained=False, status="")], ignore_index=True)
    means = group_means(np.kron(np.eye(2) + 1, similarity) / 2, both, ["model", "l2", "rate"], LABEL)
    assert means["groups"].drop_duplicates().tolist() == ["model", "l2", ""]
    rows = means.set_index(["groups", "state", "pairs_of"])
    for kind in ("model", "l2"):
        for state in ("trained", "untrained"):
            direct = jackknife_means(similarity, table[kind], table, ["model", "l2", "rate"])
            np.testing.assert_allclose(rows.loc[(kind, state, "between"), "mean"], direct.loc["between", "mean"])
            np.testing.assert_allclose(rows.loc[(kind, state, "within"), "low"], direct.loc["within", "low"])
        changed = rows.loc[(kind, "difference", "within, trained - untrained")]
        assert changed["mean"] == pytest.approx(0)
        assert np.isnan(changed["p"]), "the same networks"
    assert rows.loc[("model", "difference", "trained, within - between"), "low"] > 0
    assert rows.loc[("l2", "difference", "trained, within - between"), "low"] < 0
    assert rows.xs("trained, within - between", level=2)["p"].isna().all(), "the field test has it"
    assert set(means["state"][means["groups"] == ""]) == {"reference"}


def test_a_level_that_members_do_not_have_is_no_group() -> None:
    table, similarity = slice_of(model=2.0)
    own = table.assign(own=np.where(table["model"] == "c", None, table["l2"] % 2)).astype({"own": object})
    rows = group_means(similarity, own, ["model", "l2", "own"], LABEL).query("groups == 'own'")
    assert rows["pairs_of"].tolist()[:5] == ["within", "between", "0", "0 / 1", "1"]
    having = own["model"] != "c"
    part = own[having].reset_index(drop=True)
    alone = group_means(similarity[np.ix_(having, having)], part, ["model", "l2", "own"], LABEL)
    pd.testing.assert_frame_equal(rows.reset_index(drop=True), alone.query("groups == 'own'").reset_index(drop=True))


def test_what_untrained_copies_have_lost_groups_no_differences_of_trained_and_untrained() -> None:
    table, similarity = slice_of(model=2.0)
    first = table[table["l2"] == 0]
    untrained = first.assign(trained=False, status="", l2=None, copies=8)
    both = pd.concat([table, untrained], ignore_index=True).astype({"l2": object})
    rows = [*range(len(table)), *first.index]
    means = group_means(similarity[np.ix_(rows, rows)], both, ["model", "l2"], LABEL)
    differences: Any = means[means["state"] == "difference"].set_index(["groups", "pairs_of"])
    assert "within, trained - untrained" in differences.loc["model"].index
    assert not [name for name in differences.loc["l2"].index if name.endswith("untrained")]
    assert differences.loc[("model", "within, trained - untrained"), "configurations"] == 3, "models, each as a whole"


def test_near_copies_are_one_configuration_of_the_limits_of_other_fields() -> None:
    table, similarity = slice_of(shared=True)
    rows = group_means(similarity, table, ["model", "l2"], LABEL).set_index(["groups", "state", "pairs_of"])
    assert rows.loc[("model", "trained", "between"), "configurations"] == 3
    assert np.isnan(rows.loc[("model", "trained", "between"), "low"])
    assert rows.loc[("l2", "trained", "between"), "configurations"] == 3, "models, each with its eight penalties"
    wider = table.assign(model=table["model"] + np.where(table["l2"] < 4, "1", "2"), l2=table["l2"] % 4)
    wider["cohort"] = wider["model"]
    rows = group_means(similarity, wider, ["model", "l2"], LABEL).set_index(["groups", "state", "pairs_of"])
    assert rows.loc[("l2", "trained", "between"), "configurations"] == 6
    assert np.isfinite(rows.loc[("l2", "trained", "between"), "low"])


@pytest.mark.parametrize("items", [1, 2, 4])
def test_a_slice_of_one_network_or_of_one_level_is_tested_and_drawn(items: int) -> None:
    table, similarity = of_many_depths(4, 1)
    rows = [0, 4, 1, 5][:items]
    table, similarity = table.iloc[rows].reset_index(drop=True).assign(activation="elu"), similarity[np.ix_(rows, rows)]
    fields = ["channels", "kernel", "activation"]
    tests: Any = run_field_tests(similarity, table, fields, {"measure": "cka", "layer": "conv6"})
    assert "activation" not in set(tests["field"])
    assert not tests["testable"].any()
    assert len(group_means(similarity, table, fields, {"measure": "cka"}))
    record = MeasureRecord("cka", "similarity", 100, chance=0.0)
    for draw in (heatmap.draw, mds.draw):
        draw(similarity, table, told_apart(table, fields), record, "zoo").canvas.draw()


def test_one_network_at_two_moments_of_its_training_is_no_second_configuration() -> None:
    """Grown by more steps, or trained anew for longer from the same seed: near copies, as under two learning rates."""
    draw = np.random.default_rng(0)
    rows, points = [], []
    for hidden in (8, 16):
        for seed in range(6):
            network = draw.normal(size=20)
            for steps in (60, 62, 64):
                rows.append(
                    {"task": "flipflop", "model": "gru", "cohort": f"gru-{hidden:05d}{steps:05d}", "seed": seed}
                    | {"hidden": hidden, "training.steps": steps, "status": "solved", "trained": True, "score": 1.0}
                )
                points.append(network + 0.01 * draw.normal(size=20))
    table, x = pd.DataFrame(rows), np.array(points)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    similarity = np.clip(x @ x.T, -1, 1)
    fields = ["hidden", "training.steps"]
    tests = run_field_tests(similarity, table, fields, {}).set_index("field")
    assert json.loads(tests.loc["hidden", "averaged_over"]) == ["training.steps"]
    once = table["training.steps"] == 60
    alone = run_field_tests(similarity[np.ix_(once, once)], table[once].reset_index(drop=True), ["hidden"], {})
    assert tests.loc["hidden", "configurations"] == alone["configurations"][0]
    assert tests.loc["hidden", "p"] == pytest.approx(alone["p"][0], abs=0.05)


def test_limits_of_means_end_where_values_do() -> None:
    table, _ = slice_of()
    draw = np.random.default_rng(1)
    half = np.triu(draw.choice([0.0, 1.0], size=(48, 48), p=[0.02, 0.98]), 1)
    similarity = half + half.T + np.eye(48)
    few = table["l2"] < 3  # three configurations a model: wide limits
    for kind, values in (("similarity", similarity), ("distance", 1 - similarity)):
        part = values[np.ix_(few, few)]
        means = group_means(part, table[few].reset_index(drop=True), ["model", "l2"], LABEL, kind=kind)
        means = means[means["state"] == "trained"]
        assert means["high"].notna().any()
        assert (means["high"].dropna() <= 1).all() if kind == "similarity" else (means["low"].dropna() >= 0).all()
