"""Every file of `zoo/rules/` keeps the contract of a rule, and the engine's promises hold under it."""

import atexit
import dataclasses
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import cnn, dale, gru, mlp, reservoir, vanilla
from zoo import Training, Zoo, load, lookup, population_map, train
from zoo.devices.blocks import blocks_of
from zoo.devices.executable import Executable
from zoo.devices.recipe import Recipe
from zoo.rules import TAKEN, TUNABLE, bptt, force, is_gradient, plastic, reinforce
from zoo.running import planning
from zoo.spec.contracts import check_contract, class_of
from zoo.store.reader import Trained
from zoo.tasks import bandit, digits, flipflop, is_environment, targets
from zoo.training.binding import Binder, floats_of
from zoo.training.program import program_of
from zoo.training.shapes import check, state_bytes
from zoo.training.status import DIVERGED

TASKS = {
    "trials": targets.Task(steps=20),
    "environment": bandit.Task(steps=6, arms=2, eval_trials=4, probe_trials=4),
    "images": digits.Task(),
}
SMALL = Training(steps=4, batch=2, evaluate_every=2)


MODELS = (gru.Model(hidden=4), mlp.Model())


def pair_of(rule: Any) -> tuple[Any, Any]:
    """A task that a rule takes and a model that it can train on it."""
    pairs = [(task, model) for task in TASKS.values() for model in MODELS]
    fitting = [pair for pair in pairs if _takes(rule, pair[0]) and rule.fits(pair[1], pair[0]) is None]
    assert fitting, f"add a model or a task that {rule} fits"
    return fitting[0]


def _takes(rule: Any, task: Any) -> bool:
    return is_environment(task) == (rule.takes == "environment")


def zoo_of(name: str, **fields: Any) -> Zoo:
    """Three members under a rule, on a task that it takes with a model that fits."""
    rule = class_of("rule", name)()
    task, model = pair_of(rule)
    settings = {name: value for name, value in fields.items() if name in TUNABLE and name in rule.uses}
    training = dataclasses.replace(SMALL, **settings)
    return Zoo("ruled", task=task, model=model, training=training, rule=rule, seeds=3)


@functools.cache
def trained_by(name: str) -> Trained:
    """These members, trained; only read by tests."""
    place = Path(tempfile.mkdtemp(prefix="ruled-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return train(zoo_of(name), place / "zoo", quiet=True, block=2)


@pytest.fixture(params=lookup.names("rule"))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_is_a_frozen_dataclass_that_says_what_it_takes_and_reads(name: str) -> None:
    rule = class_of("rule", name)()
    assert hash(rule) == hash(dataclasses.replace(rule))
    assert rule.takes in TAKEN
    assert rule.uses <= set(TUNABLE)
    assert hasattr(rule, "gradient") or hasattr(rule, "update")


def test_what_is_learned_and_remembered_is_the_same_however_often_it_is_saved(name: str, tmp_path: Path) -> None:
    whole = trained_by(name)
    few = train(zoo_of(name), tmp_path / "few", quiet=True, block=2, save_every=1e-9)
    again = load(tmp_path / "few")
    for member in whole.members["member"]:
        ours, theirs = (z.variables(member, rule_state=True) for z in (whole, again))
        chex.assert_trees_all_equal(ours, theirs)
        assert few.params(member).keys() == ours["params"].keys()


def test_the_rules_state_is_kept_counted_and_read_as_the_tree_that_init_gives(name: str) -> None:
    zoo = zoo_of(name)
    (cohort,) = zoo.cohorts
    state = jax.eval_shape(program_of(cohort).init, jax.tree.map(lambda x: x[0], floats_of(cohort)))
    needed = sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    assert state_bytes(cohort) == needed
    trained = trained_by(name)
    remembered = trained.variables(zoo.members[0].id, rule_state=True)["rule"]
    chex.assert_trees_all_equal_shapes_and_dtypes(remembered, state.rule)
    ids, mapped = population_map(trained, cohort, lambda bound, variables, key: variables["rule"], rule_state=True)
    chex.assert_trees_all_equal(mapped, trained.variables(ids, rule_state=True)["rule"])
    assert bool(jax.tree.leaves(state.optimizer)) <= is_gradient(zoo.members[0].rule)


def test_a_member_that_is_not_finite_freezes_with_its_rules_state(name: str) -> None:
    zoo = zoo_of(name)
    (cohort,) = zoo.cohorts
    executable = Executable(cohort, Recipe(3, "map", "columns", 2))
    (block,), device = blocks_of(cohort, executable.recipe), jax.local_devices()[0]
    state = executable.advance(executable.init(block, device), block.floats, device, 2, True)
    before = jax.device_get(state)
    broken = before._replace(
        params=jax.tree.map(
            lambda x: np.where(np.arange(3).reshape(-1, *(1,) * (x.ndim - 1)) == 1, np.nan, x), before.params
        )
    )
    after = jax.device_get(executable.advance(jax.device_put(broken, device), block.floats, device, 2, True))
    assert after.status[1] == DIVERGED
    chex.assert_trees_all_equal(*(jax.tree.map(lambda x: x[1], s.rule) for s in (broken, after)))
    assert (np.delete(after.step, 1) == 4).all()


def test_the_rule_is_a_column_and_a_field_of_the_zoo(tmp_path: Path) -> None:
    rules = [force.Rule(alpha=1.0), force.Rule(alpha=0.1), bptt.Rule()]
    zoo = Zoo("both", task=TASKS["trials"], model=reservoir.Model(hidden=8), training=SMALL, rule=rules, seeds=2)
    assert [len(cohort.members) for cohort in zoo.cohorts] == [4, 2]
    assert zoo.cohorts[0].traced["rule"] == ("alpha",)
    trained = train(zoo, tmp_path / "zoo", quiet=True)
    assert trained.members["rule"].tolist() == ["force"] * 4 + ["bptt"] * 2
    assert trained.members["alpha"].tolist()[:4] == [1.0, 1.0, pytest.approx(0.1), pytest.approx(0.1)]
    assert load(tmp_path / "zoo").zoo == zoo
    assert trained.fields_of(zoo.members[2].id)["rule"] == {"alpha": 0.1, "every": 2}
    alone = Zoo("both", task=TASKS["trials"], model=reservoir.Model(hidden=8), training=SMALL, seeds=2)
    assert [m.id for m in alone.members] == [m.id for m in zoo.members[4:]], "bptt is in no id"


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (
            dict(task=digits.Task(), model=cnn.Model(), rule=force.Rule()),
            "force.Rule cannot train cnn.Model on digits.Task: it needs a recurrent model, and the family is conv",
        ),
        (
            dict(task=bandit.Task(), model=gru.Model()),
            "bptt.Rule learns from a task of trials, and bandit.Task is an environment",
        ),
        (
            dict(task=flipflop.Task(), model=gru.Model(), rule=reinforce.Rule()),
            "reinforce.Rule learns from an environment.*flipflop.Task is a task of trials",
        ),
        (
            dict(task=digits.Task(), model=mlp.Model(), rule=plastic.Rule(inner=force.Rule())),
            "plastic.Rule cannot train mlp.Model on digits.Task: it needs a recurrent model",
        ),
        (
            dict(task=targets.Task(), model=vanilla.Model(), rule=plastic.Rule(weights=("readut",))),
            "plastic.Rule cannot train vanilla.Model on targets.Task: there are no weights 'readut'; the nearest are",
        ),
        (
            dict(task=targets.Task(), model=vanilla.Model(), rule=plastic.Rule(weights=())),
            r"its weights are \(\); name one at least of recurrent, input.kernel, input.bias, readout.kernel,",
        ),
        (
            dict(task=targets.Task(), model=vanilla.Model(), rule=plastic.Rule(), training=Training(optimizer="adamw")),
            "adamw decays all weights, plastic or not",
        ),
        (
            dict(task=targets.Task(), model=vanilla.Model(), rule=plastic.Rule(("recurrent",), force.Rule())),
            "plastic.Rule cannot train .* its inner rule changes none of the weights recurrent",
        ),
        (
            dict(task=targets.Task(steps=20), model=vanilla.Model(), rule=force.Rule(every=20)),
            "force.Rule cannot train .* its every is 20, and a trial has 20 time steps",
        ),
        (
            dict(task=targets.Task(), model=vanilla.Model(), rule=plastic.Rule(inner=reinforce.Rule())),
            "plastic.Rule learns from an environment.*targets.Task is a task of trials",
        ),
        (
            dict(task=targets.Task(), model=gru.Model(), training=Training(steps=5, snapshots=(6,))),
            "Training.snapshots has step 6; the last that is trained is 5",
        ),
        (
            dict(task=bandit.Task(), model=gru.Model(noise=0.1), rule=reinforce.Rule()),
            "with noise 0.1 the network would act otherwise",
        ),
        (
            dict(task=targets.Task(), model=vanilla.Model(), rule=force.Rule(), training=Training(learning_rate=0.1)),
            "force.Rule does not read Training.learning_rate, which is 0.1; leave it at its default, 0.001",
        ),
        (
            dict(task=bandit.Task(), model=gru.Model(), rule=reinforce.Rule(), training=Training(l2=0.1)),
            "reinforce.Rule does not read Training.l2, which is 0.1",
        ),
        (
            dict(
                task=targets.Task(),
                model=vanilla.Model(),
                rule=force.Rule(),
                training=[Training(), Training(l2=0.1)],
            ),
            "force.Rule does not read Training.l2, which is 0.1",
        ),
    ],
)
def test_what_a_rule_cannot_train_or_does_not_read_is_refused_in_one_sentence(
    parts: Any, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=sentence):
        train(Zoo("bad", **parts), tmp_path / "zoo", quiet=True)
    assert not (tmp_path / "zoo").exists()


def test_a_file_that_breaks_its_contract_is_named_with_what_it_lacks() -> None:
    @dataclasses.dataclass(frozen=True)
    class Rule:
        takes = "trials"

    Rule.__module__ = "zoo.rules.mine"
    with pytest.raises(
        ValueError, match=r"zoo/rules/mine\.py: Rule has no `fits`; the contract of a rule, Rule, asks for it"
    ):
        check_contract("rule", Rule)


def test_a_rule_whose_update_has_another_shape_is_refused_before_it_runs() -> None:
    @dataclasses.dataclass(frozen=True)
    class Rule(bptt.Rule):
        def gradient(self, bound, variables, state, batch, ctx):
            given = super().gradient(bound, variables, state, batch, ctx)
            return given._replace(grads=jax.tree.map(lambda g: g[..., None], given.grads))

    Rule.__module__ = "zoo.rules.mine"
    zoo = Zoo("bad", task=TASKS["trials"], model=gru.Model(hidden=3), training=SMALL, rule=Rule())
    with pytest.raises(ValueError, match=r"zoo/rules/mine\.py: gradient gives grads .*, but must give float32 .*"):
        check(zoo.cohorts[0])


def test_force_takes_the_rates_that_the_readout_takes() -> None:
    zoo = Zoo("dale", task=TASKS["trials"], model=dale.Model(hidden=6), training=SMALL, rule=force.Rule())
    check(zoo.cohorts[0])


def test_every_rule_takes_its_task_as_it_says(name: str) -> None:
    rule = class_of("rule", name)()
    check(zoo_of(name).cohorts[0])
    for task in TASKS.values():
        if not _takes(rule, task):
            with pytest.raises(ValueError, match="Rule learns from "):
                check(Zoo("other", task=task, model=MODELS[0], training=SMALL, rule=rule).cohorts[0])


@pytest.mark.parametrize("poisoned", ["state", "loss"])
def test_a_rule_whose_state_or_loss_is_not_finite_freezes_its_member(poisoned: str) -> None:
    @dataclasses.dataclass(frozen=True)
    class Rule(force.Rule):
        def update(self, bound, variables, state, batch, ctx):
            given = super().update(bound, variables, state, batch, ctx)
            if poisoned == "loss":
                return given._replace(loss=jnp.where(ctx.step == 2, jnp.nan, given.loss))
            return given._replace(state=given.state.at[0, 0].set(jnp.where(ctx.step == 2, jnp.nan, given.state[0, 0])))

    Rule.__module__ = "zoo.rules.mine"
    state = advanced(Zoo("bad", task=TASKS["trials"], model=gru.Model(hidden=3), training=SMALL, rule=Rule()), steps=4)
    assert state.status[0] == DIVERGED
    assert state.step[0] == 2
    assert np.isfinite(state.rule).all()


def test_a_rules_counters_and_large_numbers_are_no_reason_to_freeze() -> None:
    @dataclasses.dataclass(frozen=True)
    class Rule(bptt.Rule):
        def init(self, bound, variables, key):
            return {"count": jnp.int32(50_000), "large": jnp.float32(1e30)}

    Rule.__module__ = "zoo.rules.mine"
    zoo = Zoo("good", task=TASKS["trials"], model=gru.Model(hidden=3), training=SMALL, rule=Rule())
    state = advanced(zoo, steps=2)
    assert state.status[0] != DIVERGED
    assert state.step[0] == 2


def advanced(zoo: Zoo, steps: int) -> Any:
    """The state of a zoo of one cohort after some steps, on the host."""
    (cohort,) = zoo.cohorts
    executable = Executable(cohort, Recipe(len(cohort.members), "map", "columns", 2))
    (block,), device = blocks_of(cohort, executable.recipe), jax.local_devices()[0]
    return jax.device_get(executable.advance(executable.init(block, device), block.floats, device, steps, True))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("takes", "trial", r"zoo/rules/mine\.py: takes is 'trial'; it must be 'trials' or 'environment'"),
        (
            "uses",
            frozenset({"learning_rat"}),
            r"zoo/rules/mine\.py: uses has 'learning_rat'; the nearest is 'learning_rate'",
        ),
    ],
)
def test_words_that_the_engine_does_not_know_are_refused(field: str, value: Any, sentence: str) -> None:
    cls = type("Rule", (bptt.Rule,), {field: value, "__module__": "zoo.rules.mine"})
    with pytest.raises(ValueError, match=sentence):
        check_contract("rule", cls)


def test_members_that_share_their_data_explore_each_for_itself() -> None:
    zoo = zoo_of("reinforce").replace("data", "shared").replace("training.learning_rate", 1e-30)
    one = zoo.members[0]
    bound = Binder(one, {}).bind(jax.tree.map(lambda x: x[0], floats_of(zoo.cohorts[0])))
    variables = bound.model.init({"params": jax.random.key(0)}, jnp.zeros((1, *one.task.input_shape)))
    floats = [jax.tree.map(lambda x, row=row: x[row], floats_of(zoo.cohorts[0])) for row in (0, 1)]
    binder = Binder(one, {})
    worlds = [jax.random.split(jax.random.fold_in(binder.data_key(f), 0), 8) for f in floats]
    episodes = [bound.rollout(variables, keys, binder.noise_key(f, 0)) for keys, f in zip(worlds, floats)]
    np.testing.assert_array_equal(*(episode.worlds.chances for episode in episodes))
    assert not np.array_equal(*(episode.actions for episode in episodes))


def test_a_dry_run_refuses_what_training_would(tmp_path: Path) -> None:
    zoo = Zoo("bad", task=digits.Task(), model=cnn.Model(), rule=force.Rule())
    with pytest.raises(ValueError, match=r"force\.Rule cannot train cnn\.Model"):
        planning.plan(zoo)
