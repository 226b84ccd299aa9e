"""The networks at the score levels of Training: whose they are, and that nothing else depends on them."""

import re
import shutil
from pathlib import Path
from typing import Any

import chex
import jax
import numpy as np
import pytest

from analysis.zoo_assays import assay_zoo
from tests.faults.rig import everything, folders
from tests.zoo.small_zoos import tiny
from zoo import Training, load, population_map, train
from zoo.devices import default_recipes
from zoo.spec.encoding import to_json
from zoo.store.reader import Trained
from zoo.training.binding import floats_of
from zoo.training.program import program_of
from zoo.training.shapes import state_bytes

PLAIN = tiny(steps=12, learning_rate=0.03, batch=4)
EVALUATIONS = range(0, 13, 2)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Every evaluation is a snapshot: what a level must hold is there."""
    path = tmp_path_factory.mktemp("plain") / "zoo"
    return train(PLAIN.replace("snapshots", list(EVALUATIONS)[1:]), path, quiet=True)


@pytest.fixture(scope="module")
def levels(plain: Trained) -> tuple[float, ...]:
    """One that all have from the start, one that members reach at different steps, and one that nobody reaches."""
    best = plain.curves.groupby("member")["score"].max()
    return -1e6, round(float(best.sort_values().iloc[1]) - 1e-3, 6), 1e6


@pytest.fixture(scope="module")
def trained(levels: tuple[float, ...], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    path = tmp_path_factory.mktemp("levels") / "zoo"
    return train(PLAIN.replace("score_levels", levels), path, quiet=True, block=3)


def test_without_levels_a_spec_is_what_it_was() -> None:
    assert "score_levels" not in to_json(Training())
    assert tiny(score_levels=()).members == tiny().members


def test_each_member_is_kept_as_it_was_at_its_first_evaluation_with_that_score(
    trained: Trained, plain: Trained, levels: tuple[float, ...]
) -> None:
    low, middle, high = levels
    ids, theirs = list(trained.members["member"]), list(plain.members["member"])
    chex.assert_trees_all_equal(trained.params(ids), plain.params(theirs))
    chex.assert_trees_all_equal(trained.params(ids, at=f"score={low}"), plain.params(theirs, at="initial"))
    curves, steps = plain.curves, trained.reached(middle)
    assert len(set(steps)) > 1, "all at once: the test shows little"
    for member, other in zip(ids, theirs):
        scores = curves[curves["member"] == other].set_index("step")["score"]
        above = scores.index[scores >= np.float32(middle)]
        if len(above):
            assert steps[member] == above[0]
            at = trained.params(member, at=f"score={middle}")
            chex.assert_trees_all_equal(at, plain.params(other, at=int(above[0]) or "initial"))
        else:
            assert member not in steps
            with pytest.raises(ValueError, match=f"{member} has not reached score"):
                trained.params(member, at=f"score={middle}")
    assert trained.with_checkpoint(ids, f"score={high}") == []


def test_what_is_kept_does_not_depend_on_kills_blocks_or_packs(
    trained: Trained, levels: tuple[float, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    zoo, at = trained.zoo, f"score={levels[1]}"
    ids = trained.with_checkpoint([member.id for member in zoo.members], at)
    path = train(zoo, tmp_path / "zoo", quiet=True, block=1, keep=99, save_every=1e-9).path
    for folder in folders(path):  # as a kill leaves it
        for step in folder.steps()[2:]:
            shutil.rmtree(folder.path / str(step))
    again = train(zoo, path, quiet=True)
    chex.assert_trees_all_equal(again.variables(ids, at=at), trained.variables(ids, at=at))
    chex.assert_trees_all_equal(everything(path), everything(trained.path))
    monkeypatch.setitem(default_recipes.TABLE, ("cpu", "recurrent"), (2, "vmap", "columns"))
    packed = train(zoo, tmp_path / "packed", quiet=True)
    chex.assert_trees_all_close(packed.variables(ids, at=at), trained.variables(ids, at=at), atol=1e-4)


def test_levels_are_counted_in_the_plan(trained: Trained) -> None:
    (cohort,) = trained.zoo.cohorts
    state: Any = jax.eval_shape(program_of(cohort).init, jax.tree.map(lambda x: x[0], floats_of(cohort)))
    assert state_bytes(cohort) == sum(int(np.prod(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(state))


def test_maps_and_assays_take_the_members_that_have_reached_a_level(
    trained: Trained, levels: tuple[float, ...], tmp_path: Path
) -> None:
    (cohort,), at = trained.zoo.cohorts, f"score={levels[1]}"
    reached = trained.with_checkpoint([member.id for member in cohort.members], at)
    assert 0 < len(reached) < 4
    ids, weights = population_map(trained, cohort, lambda bound, v, key: v["params"]["recurrent"], at=at)
    assert ids == reached
    np.testing.assert_array_equal(weights, trained.params(ids, at=at)["recurrent"])
    copy = Path(shutil.copytree(trained.path, tmp_path / "zoo"))
    lines: list[str] = []
    result = assay_zoo(copy, "dimensionality", f"{at}0", lines.append)
    assert (copy / "analysis" / "assays" / f"dimensionality@{at}.nc").exists(), "a level has one name, however written"
    assert set(result["member"].to_numpy().tolist()) == set(reached)
    assert f"{4 - len(reached)} of 4 members have not reached {at}0 and are left out" in lines


def test_maps_and_assays_at_a_level_that_no_member_keeps_name_the_levels_that_there_are(
    plain: Trained, trained: Trained, levels: tuple[float, ...]
) -> None:
    at = "score=-5.0"
    for zoo, kept in ((plain, "none"), (trained, ", ".join(map(str, levels)))):
        said = f"^at is '{at}'; the scores in Training.score_levels of {re.escape(str(zoo.path))} are {kept}.$"
        with pytest.raises(ValueError, match=said):
            population_map(zoo, zoo.zoo.cohorts[0], lambda bound, v, key: 0.0, at=at)
        with pytest.raises(ValueError, match=said):
            assay_zoo(zoo.path, "dimensionality", at, str)


@pytest.mark.parametrize(
    ("at", "sentence"),
    [
        (
            "score=0.123",
            r"has no networks at score 0\.123; the scores that it has are those of .*, -1000000\.0, ",
        ),
        ("score=1000000.0", r"has not reached score 1e\+06"),
    ],
)
def test_a_level_that_cannot_be_read_is_refused_in_one_sentence(at: str, sentence: str, trained: Trained) -> None:
    with pytest.raises(ValueError, match=sentence):
        trained.params(trained.zoo.members[0].id, at=at)


def test_rule_states_at_a_level_are_refused(trained: Trained) -> None:
    with pytest.raises(ValueError, match="What a rule remembers is not kept at score levels"):
        load(trained.path).variables(trained.zoo.members[0].id, at="score=-1000000.0", rule_state=True)
