"""A rule that holds another: its fields are part of the spec, and only the weights that it names learn."""

from pathlib import Path
from typing import Any

import chex
import jax
import numpy as np
import pytest

from models import reservoir, vanilla
from zoo import Training, Zoo, load, product, train
from zoo.rules import bptt, force, plastic
from zoo.tasks import targets
from zoo.training.binding import floats_of
from zoo.training.program import program_of

TASK, SMALL = targets.Task(steps=20), Training(steps=4, batch=2, evaluate_every=2)


def ends(rule: Any, model: Any = None) -> tuple[Any, Any]:
    """The parameters of a network before and after four steps, and its whole state."""
    model = vanilla.Model(hidden=4) if model is None else model
    (cohort,) = Zoo("one", task=TASK, model=model, training=SMALL, rule=rule).cohorts
    program, floats = program_of(cohort), jax.tree.map(lambda x: x[0], floats_of(cohort))
    start = jax.jit(program.init)(floats)
    return start.params, jax.jit(program.advance)(start, floats, TASK.data(), 4, True)


def test_only_the_named_weights_change() -> None:
    before, after = ends(plastic.Rule(weights=("recurrent", "readout.bias")))
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), before, after.params)
    assert changed["recurrent"]
    assert changed["readout"] == {"kernel": False, "bias": True}
    assert changed["input"] == {"kernel": False, "bias": False}


def test_with_all_weights_it_is_the_inner_rule_bit_for_bit() -> None:
    for inner, model in ((bptt.Rule(), None), (force.Rule(alpha=0.5), reservoir.Model(hidden=6))):
        alone = ends(inner, model)[1]
        everything = tuple(alone.params)
        chex.assert_trees_all_equal(ends(plastic.Rule(weights=everything, inner=inner), model)[1], alone)


def test_the_inner_rules_floats_vary_within_a_cohort_and_the_spec_comes_back(tmp_path: Path) -> None:
    rules = [plastic.Rule(inner=inner) for inner in product(force.Rule, alpha=[0.1, 1.0])]
    zoo = Zoo("nested", task=TASK, model=reservoir.Model(hidden=6), training=SMALL, rule=[*rules, plastic.Rule()])
    assert [len(cohort.members) for cohort in zoo.cohorts] == [2, 1]
    assert zoo.cohorts[0].floats("rule") == {"inner.alpha": [0.1, 1.0]}
    trained = train(zoo, tmp_path / "zoo", quiet=True)
    assert load(tmp_path / "zoo").zoo == zoo
    assert trained.members["inner"].tolist() == ["force", "force", "bptt"]
    np.testing.assert_allclose(trained.members["inner.alpha"], [0.1, 1.0, np.nan])
    shown = trained.fields_of(zoo.members[0].id)["rule"]
    assert shown == {"weights": ["readout"], "inner": {"name": "force", "alpha": 0.1, "every": 2}}
    for member, rule in zip(zoo.members[:2], rules):
        alone = ends(rule, reservoir.Model(hidden=6))[1].params
        chex.assert_trees_all_equal(trained.params(member.id), jax.device_get(alone))


def test_a_flag_reaches_the_inner_rule_and_its_fields() -> None:
    zoo = Zoo("flags", task=TASK, model=reservoir.Model(), rule=plastic.Rule())
    zoo = zoo.replace("rule.inner", "force").replace("rule.inner.alpha", 3).replace("inner.every", 5)
    assert zoo.members[0].rule == plastic.Rule(inner=force.Rule(alpha=3.0, every=5))


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("rule.inner", "forc", "Unknown rule 'forc'; the nearest is 'force'"),
        ("rule.inner", 3, r"plastic\.Rule\.inner is 3; it must be a rule of the folder zoo\.rules, or .* name of one"),
        ("rule.inner.alpha", -1.0, r"force\.Rule\.alpha is -1\.0; it must be above 0\.0"),
        ("rule.inner.alpa", 1.0, "has no field 'rule.inner.alpa'; the nearest is 'rule.inner.alpha'"),
    ],
)
def test_a_wrong_inner_rule_or_field_is_refused_in_one_sentence(path: str, value: Any, sentence: str) -> None:
    zoo = Zoo("flags", task=TASK, model=reservoir.Model(), rule=plastic.Rule(inner=force.Rule()))
    with pytest.raises(ValueError, match=sentence):
        zoo.replace(path, value)
