"""Scores of networks against recordings: per subject, beside baselines and a ceiling on the same scale."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import squareform
from scipy.stats import rankdata, spearmanr

import run_zoo
from analysis.activations.probes import Probe
from analysis.activations.types import RDM, Group, Outside, Representations
from analysis.comparison import comparison_of
from analysis.comparison_files import slices
from analysis.labelled_comparison import Comparison
from analysis.recordings.members import halves
from analysis.scoring.recording_scores import SCORE_COLUMNS, outside, score_lines, score_table
from analysis.zoo_comparison import Request, compare_zoo
from models import mlp
from tests.zoo.tasks import class_targets
from zoo import Training, Zoo, train
from zoo.tasks import digits, lengths, reach

N, SUBJECTS = 12, 5
UPPER = np.triu_indices(N, 1)
DRAW = np.random.default_rng(0)
SHARED = DRAW.uniform(size=N * (N - 1) // 2)
EACH = SHARED + 0.3 * DRAW.normal(size=(SUBJECTS, len(SHARED))) + 1
OUTLINES = DRAW.normal(size=(N, 9))
UNITS = DRAW.normal(size=(N, 20))


def label(recording: str, subject: str = "", source: str = "recording") -> dict[str, str]:
    return {"recording": recording, "subject": subject, "source": source}


def made() -> tuple[Representations, list[Outside]]:
    """Three networks, one of them diverged, at two layers; five subjects and their mean, one recording of units."""
    groups = []
    for layer, width in (("first", 6), ("second", 8)):
        for trained, state in ((True, ""), (False, "/untrained")):
            names = tuple(f"m{i}/{layer}{state}" for i in range(3))
            labels = {"member": ["m0", "m1", "m2"], "layer": layer, "trained": trained, "model": "gru", "hidden": 64}
            labels |= {"status": ["solved", "unsolved", "diverged"], "l2": [0.5, 0.25, 0.125]}
            groups.append(Group(names, pd.DataFrame(labels), DRAW.normal(size=(3, N, width)).astype(np.float32)))
    people = [Outside(f"it/{i}", RDM(squareform(rdm)), label("it", str(i))) for i, rdm in enumerate(EACH)]
    cells = Outside("cells", UNITS, label("cells"))
    others = [
        *people,
        *[Outside(f"anti/{i}", RDM(squareform(3 - rdm)), label("anti", str(i))) for i, rdm in enumerate(EACH)],
        Outside("it/mean", RDM(squareform(EACH.mean(0))), label("it", "mean")),
        cells,
        *halves(cells),
        Outside("baseline/silhouette", OUTLINES, label("silhouette", source="baseline")),
        Outside("baseline/kind", RDM(squareform(np.float64(SHARED > 0.5))), label("kind", source="baseline")),
    ]
    return Representations(tuple(groups), "probe"), others


FOUND, OTHERS = made()
RESULT = comparison_of(FOUND, ["cka", "rsa"], OTHERS)
TABLE = score_table(RESULT, OTHERS)


def entries(x: Any) -> np.ndarray:
    return (x.array if isinstance(x, RDM) else 1 - np.corrcoef(x))[UPPER]


def row(**where: Any) -> Any:
    part = TABLE
    for column, value in where.items():
        part = part[part[column] == value]
    assert len(part) == 1, where
    return part.iloc[0]


def test_a_score_is_the_mean_over_subjects_with_its_standard_error():
    assert tuple(TABLE.columns) == SCORE_COLUMNS
    x = FOUND.groups[0].array[1]
    each = [spearmanr(entries(x), rdm)[0] for rdm in EACH]
    found = row(measure="rsa", recording="it", layer="first", kind="network", name="m1")
    assert found["score"] == pytest.approx(np.mean(each), abs=1e-5)
    assert found["sem"] == pytest.approx(np.std(each, ddof=1) / SUBJECTS**0.5, abs=1e-5)
    assert (found["subjects"], found["n_stimuli"], found["model"]) == (SUBJECTS, N, "gru")
    of_mean = spearmanr(entries(x), EACH.mean(0))[0]
    assert abs(found["score"] - of_mean) > 0.005, "the score against the mean is another number"


def test_partial_scores_are_correlations_of_residual_ranks():
    """Per subject, the correlation of what is left of both rank vectors after a regression on the silhouette's."""

    def residual(values: np.ndarray) -> np.ndarray:
        design = np.stack([np.ones(len(values)), rankdata(entries(OUTLINES))], axis=1)
        ranks = rankdata(values)
        return ranks - design @ np.linalg.lstsq(design, ranks)[0]

    x = entries(FOUND.groups[2].array[0])
    expected = np.mean([np.corrcoef(residual(x), residual(rdm))[0, 1] for rdm in EACH])
    found = row(measure="rsa", recording="it", layer="second", kind="network", name="m0")
    assert found["partial"] == pytest.approx(expected, abs=1e-5)
    assert np.isnan(row(measure="rsa", recording="it", kind="baseline", name="silhouette")["partial"])


def test_of_a_network_that_is_the_silhouette_but_for_rounding_no_partial_score_is_told():
    """In single precision a formula without a limit would return the rounding of 1 - r^2."""
    draw = np.random.default_rng(1)
    copies = (OUTLINES + 1e-3 * draw.normal(size=(2, N, OUTLINES.shape[1]))).astype(np.float32)
    labels = pd.DataFrame(
        {"member": ["m0", "m1"], "layer": "rate", "trained": True, "model": "gru", "status": "solved"}
    )
    shown = Representations((Group(("m0/rate", "m1/rate"), labels, copies),), "probe")
    comparison = comparison_of(shown, ["cka", "rsa(compare=pearson)"], OTHERS)
    near = comparison.select(np.array([0, 1, comparison.names.index("baseline/silhouette")]))
    assert all(0 < 1 - np.float64(m.values[0, 2]) ** 2 < 1e-5 for m in near.measures.values())
    table = score_table(comparison, OTHERS)
    assert table[table["kind"] == "network"]["score"].notna().all()
    assert table[table["kind"] == "network"]["partial"].isna().all()
    assert table[(table["name"] == "kind") & (table["measure"] == "rsa")]["partial"].notna().all()


def test_the_ceiling_is_on_the_scale_of_one_subject_and_bounds_the_best_model():
    ranks = rankdata(EACH, axis=1)
    upper = np.mean([spearmanr(ranks.mean(0), rdm)[0] for rdm in EACH])
    lower = np.mean([spearmanr(np.delete(ranks, i, 0).mean(0), rdm)[0] for i, rdm in enumerate(EACH)])
    part = TABLE[(TABLE["measure"] == "rsa") & (TABLE["recording"] == "it")]
    np.testing.assert_allclose(part["ceiling_upper"], upper, atol=1e-10)
    np.testing.assert_allclose(part["ceiling_lower"], lower, atol=1e-10)
    assert (part["score"] <= upper).all()
    assert TABLE[TABLE["recording"] == "cells"]["ceiling_upper"].isna().all(), "one recording has no ceiling"


def test_baselines_and_other_recordings_are_rows_beside_the_networks():
    found = row(measure="rsa", recording="it", kind="baseline", name="kind")
    each = [spearmanr(SHARED > 0.5, rdm)[0] for rdm in EACH]
    assert found["score"] == pytest.approx(np.mean(each), abs=1e-5)
    found = row(measure="rsa", recording="it", kind="recording", name="cells")
    assert found["score"] == pytest.approx(np.mean([spearmanr(entries(UNITS), rdm)[0] for rdm in EACH]), abs=1e-5)
    half = row(measure="rsa", recording="cells", kind="recording", name="other half of the units")
    one, other = (entries(half.array) for half in OTHERS if half.labels["source"] == "half")
    assert half["score"] == pytest.approx(spearmanr(one, other)[0], abs=1e-5)
    assert set(TABLE["kind"]) == {"network", "untrained", "baseline", "recording"}
    assert not ((TABLE["recording"] == "it") & (TABLE["name"] == "it")).any(), "nothing is scored on itself"


def test_an_rdm_takes_part_in_rsa_only_and_diverged_networks_are_left_out():
    assert set(TABLE[TABLE["measure"] == "cka"]["recording"]) == {"cells"}
    assert "it/0" in RESULT.measures["cka"].record.empty
    assert set(TABLE[TABLE["kind"] == "network"]["name"]) == {"m0", "m1"}
    assert set(TABLE[TABLE["kind"] == "untrained"]["name"]) == {"m0", "m1", "m2"}


def test_negative_scores_are_kept():
    part = TABLE[(TABLE["measure"] == "rsa") & (TABLE["kind"] == "network")]
    turned, own = (part[part["recording"] == name]["score"].to_numpy() for name in ("anti", "it"))
    np.testing.assert_allclose(turned, -own, atol=1e-5)
    assert (turned < 0).any()


def test_networks_alone_have_their_labels_as_they_were():
    alone = RESULT.networks()
    assert alone.names == [name for group in FOUND.groups for name in group.names]
    assert not {"source", "recording", "subject"} & set(alone.items)
    for name, kind in {"hidden": "int64", "units": "int64", "l2": "float64", "trained": "bool"}.items():
        assert str(alone.items[name].dtype) == kind, name
    assert str(RESULT.items["hidden"].dtype) == "Int64", "whole numbers also beside what has none"
    assert alone.networks() is alone


def test_whole_numbers_that_were_given_as_floats_stay_floats():
    shown = Representations(
        tuple(Group(g.names, g.labels.assign(tau=100.0), g.array) for g in FOUND.groups), FOUND.probe
    )
    alone = comparison_of(shown, ["rsa"], OTHERS).networks()
    assert str(alone.items["tau"].dtype) == "float64"


def test_what_came_from_outside_joins_every_layer_after_its_networks():
    found = [(measure, layer, table["item"].tolist()) for measure, layer, table, _ in slices(RESULT)]
    guests = [other.name for other in OTHERS]
    for measure, layer, items in found:
        own = [f"m{i}/{layer}{state}" for state in ("", "/untrained") for i in range(3)]
        assert items == [*own, *guests], measure
    _, _, table, similarity = slices(RESULT)[3]
    assert table["hidden"].tolist()[:6] == [64] * 6
    assert all(isinstance(value, int) for value in table["hidden"][:6])
    assert table["source"].tolist()[:6] == ["zoo"] * 6
    assert similarity[0, 6] == RESULT.dataset()["rsa"].sel(a="m0/second", b="it/0")
    assert [len(table) for _, _, table, _ in slices(RESULT.networks())] == [6] * 4


def test_lines_name_layer_references_ceiling_and_n():
    lines = list(score_lines(TABLE[TABLE["measure"] == "rsa"], RESULT.measures))
    assert lines[0].startswith("against it (rsa, mean over 5 subjects, n = 12 stimuli; higher is more alike")
    assert "1 is identical; noise ceiling ." in lines[0]
    assert "mean of 2 networks at their best layer here, " in lines[1]
    assert "given the silhouette" in lines[1]
    assert "untrained there" in lines[1]
    assert lines[2].startswith("  beside it: anti -."), "of its subjects, which have no mean"
    assert ", cells " in lines[2]
    assert any("other half of the units" in line for line in lines)


def probe_of(task: Any) -> Probe:
    trials = task.probe(task.data())
    conditions = {name: np.asarray(values) for name, values in trials.conditions.items()}
    if isinstance(task, digits.Task):
        conditions["image"] = task.places()
    cohort: Any = SimpleNamespace(members=[SimpleNamespace(task=task)])
    return Probe("id", (cohort,), np.asarray(trials.inputs), conditions, float(task.dt), lengths(trials.mask))


@pytest.mark.parametrize("by", ["step", "trial"])
def test_the_baseline_of_target_classes_is_one_hot_at_every_step(by, tmp_path):
    task = class_targets.Task(by=by)
    np.savez(tmp_path / "rates.npz", firing_rate=DRAW.uniform(size=(6, 8, 5)))
    joined = outside([tmp_path / "rates.npz"], {"labels": probe_of(task)})["labels"].members
    arrays = {member.name: member.array for member in joined}
    right = np.asarray(task.probe().conditions["match"])
    np.testing.assert_array_equal(arrays["baseline/target"], np.repeat(np.eye(2)[right][:, None], 8, axis=1))


def test_of_several_tasks_a_recording_joins_the_one_whose_stimuli_it_is_of(tmp_path):
    known = {"digits": probe_of(digits.Task(probe_images=20)), "reach": probe_of(reach.Task())}
    rates = DRAW.uniform(size=(17, 121, 8))
    np.savez(tmp_path / "m1.npz", firing_rate=rates, time_ms=np.arange(-800, 401, 10))
    found = outside([tmp_path / "m1.npz"], known)
    assert list(found) == ["reach"]
    arrays = {member.name: member.array for member in found["reach"].members}
    names = ["m1/firing_rate", "m1/firing_rate/half 1", "m1/firing_rate/half 2", "baseline/input", "baseline/target"]
    assert list(arrays) == names
    np.testing.assert_allclose(arrays["m1/firing_rate"], rates.transpose(2, 1, 0)[:, ::5])
    assert arrays["baseline/target"].shape == (8, 25, 2)
    whole = DRAW.uniform(size=(359, 3))
    np.savez(tmp_path / "choices.npz", whole)
    (choices, *baselines) = outside([tmp_path / "choices.npz"], known)["digits"].members
    np.testing.assert_array_equal(choices.array, whole[known["digits"].conditions["image"]])
    assert [member.name.rpartition("/")[2] for member in baselines] == ["pixels", "silhouette", "V1 model", "label"]
    np.savez(tmp_path / "other.npz", DRAW.uniform(size=(33, 3)))
    with pytest.raises(ValueError, match="Two recordings are called 'choices/arr_0'; rename one"):
        outside([tmp_path / "choices.npz"] * 2, known)
    with pytest.raises(ValueError, match=r"nothing of the 20 \(digits\) or 8 \(reach\) stimuli"):
        outside([tmp_path / "other.npz"], known)
    assert outside([], known) == {}


def test_recordings_join_the_comparison_of_a_directory_and_leave_it_again(tmp_path, capsys):
    zoo = Zoo(
        "small",
        task=digits.Task(probe_images=20),
        model=mlp.Model(layers=(4,)),
        training=Training(steps=2, batch=4),
        seeds=range(2),
    )
    trained = train(zoo, tmp_path / "zoo")
    rdms = np.stack([squareform(DRAW.uniform(size=190)) for _ in range(3)])
    np.savez(tmp_path / "brain.npz", it=rdms)
    lines: list[str] = []
    plain_request = Request(["rsa"], exclude_degenerate=True)
    request = dataclasses.replace(plain_request, against=[tmp_path / "brain.npz"], export=["csv"])
    compare_zoo(trained.path, request, lines.append)
    folder = trained.path / "analysis"
    table = pd.read_csv(folder / "digits-scores.csv")
    assert set(table["recording"]) == {"brain/it"}
    assert set(table["subjects"]) == {3}
    assert any(line.startswith("against brain/it (rsa, mean over 3 subjects, n = 20 stimuli") for line in lines)
    whole = Comparison.load(folder / "digits.nc")
    assert {"brain/it/1", "brain/it/mean", "baseline/pixels"} <= set(whole.names)
    assert (folder / "digits-pairs.csv").exists()
    (tmp_path / "brain.pkl").touch()
    assert run_zoo.main(["compare", str(trained.path), "--against", str(tmp_path / "brain.pkl")]) == 2
    assert "is a pickle" in capsys.readouterr().err
    compare_zoo(trained.path, plain_request, lines.append)
    assert not (folder / "digits-scores.csv").exists()
    assert not (folder / "digits-pairs.csv").exists()
    plain, alone = Comparison.load(folder / "digits.nc"), whole.networks()
    np.testing.assert_allclose(alone.measures["rsa"].values, plain.measures["rsa"].values, atol=1e-6)
    assert plain.measures["rsa"].record == alone.measures["rsa"].record
    pd.testing.assert_frame_equal(plain.items, alone.items)
