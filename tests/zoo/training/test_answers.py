"""What a task, an environment, a model or a rule gives in another shape than its contract's is one sentence."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from models import gru, mlp
from tests.zoo.tasks import class_targets
from zoo import Training, Zoo
from zoo.rules import Update, bptt
from zoo.tasks import Trials, bandit, flipflop
from zoo.training import answers
from zoo.training.shapes import check

FLIPFLOP = flipflop.Task(steps=20, bits=1, eval_trials=4, probe_trials=4)
BANDIT = bandit.Task(steps=6, arms=2, eval_trials=4, probe_trials=4)


def with_members(task: Any, members: dict[str, Any], module: str = "zoo.tasks.mine") -> Any:
    """The task, or rule, with members of another class."""
    cls = dataclasses.dataclass(frozen=True)(
        type(type(task).__name__, (type(task),), {**members, "__module__": module})
    )
    return cls(**{f.name: getattr(task, f.name) for f in dataclasses.fields(task)})


def changed(part: str, **changes: Callable[[Any], Any]) -> dict[str, Any]:
    """`part` of the flip-flop with fields of its trials changed."""

    def member(self: Any, *arguments: Any, **named: Any) -> Trials:
        trials = getattr(super(type(self), self), part)(*arguments, **named)
        return trials._replace(**{name: change(getattr(trials, name)) for name, change in changes.items()})

    return {part: member}


def act(change: Callable[..., Any]) -> dict[str, Any]:
    """The bandit's `act` with what it gives changed."""
    return {"act": lambda self, *arguments: change(*bandit.Task.act(self, *arguments))}


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (
            changed("sample", targets=lambda x: x[:, :3, 0]),
            "sample gives targets float32 (8, 3), but must give float32 (8, 20, 1): trial, time, outputs; "
            "or int32 (8, 20): trial, time, of classes; or int32 (8,): trial, of classes.",
        ),
        (
            changed("sample", inputs=lambda x: x[:, :, 0]),
            "sample gives inputs float32 (8, 20), but must give float32 (8, 20, 1): trial, time, unit.",
        ),
        (
            changed("sample", mask=lambda x: x[:, :, None]),
            "sample gives mask float32 (8, 20, 1), but must give float32 (8, 20): trial, time.",
        ),
        (
            changed("sample", conditions=lambda x: {"state": x["state"][:3]}),
            "sample gives the condition 'state' as int32 (3,), but must give (8,): trial.",
        ),
        (
            changed("evaluation", targets=lambda x: x[:, 0] > 0),
            "evaluation gives targets bool (4, 1), but must give float32 (4, 20, 1)",
        ),
        (
            changed("probe", inputs=lambda x: x[:, :5]),
            "probe gives inputs float32 (4, 5, 1), but must give float32 (4, 20",
        ),
        (
            {"sample": lambda self, key, batch, step, data: FLIPFLOP.sample(key, batch if step < 9 else 2, step, data)},
            "sample fails: TracerBoolConversionError: ",
        ),
        (
            {"sample": lambda self, key, batch, step, data: None},
            "sample gives nothing, but must give zoo.tasks.Trials.",
        ),
        ({"loss": lambda self, outputs, trials: outputs}, "loss gives float32 (8, 20, 1), but must give float32 ()."),
        ({"data": lambda self: [1]}, "data is a list, but must be a dict of arrays, or None."),
        (
            {"input_shape": [20, 1]},
            "input_shape is [20, 1], but must be (time, unit) or (height, width, channel), whole",
        ),
        (
            {"loss": lambda self, outputs, trials: outputs.sum() if self.pulse_rate > 0.5 else trials.mask.sum()},
            "loss fails: TracerBoolConversionError: ",
        ),
        (
            changed("sample", targets=lambda x: x[:, :, 0].astype(jnp.int32)),
            "outputs is 1, but must be 2 or more, one for each class, since its targets are classes.",
        ),
        ({"outputs": 1.0}, "outputs is 1.0, but must be a whole number above 0."),
        ({"chance": -0.5}, "chance is -0.5, but must be 0 or more."),
        ({"solved": 1.5}, "solved is 1.5, but must be at most 1, which the targets score."),
        ({"solved": 0.2}, "solved is 0.2, but must be above chance, 0.5."),
    ],
)
def test_a_task_that_gives_another_shape_is_one_sentence_with_file_member_and_what_is_expected(
    members: dict[str, Any], sentence: str
) -> None:
    refused(
        Zoo("bad", task=with_members(FLIPFLOP, members), model=gru.Model(hidden=3)), f"zoo/tasks/mine.py: {sentence}"
    )


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (
            {"reset": lambda self, key: (jnp.int32(0), jnp.zeros(2))},
            "reset gives an observation float32 (2,), but must give float32 (3,): unit.",
        ),
        (
            {"reset": lambda self, key: jnp.zeros(3)},
            "reset gives float32 (3,), but must give (world, observation).",
        ),
        (
            act(lambda world, seen, reward, done: (world, seen[:2], reward, done)),
            "act gives an observation float32 (2,), but must give float32 (3,): unit.",
        ),
        (
            act(lambda world, seen, reward, done: (world, seen, seen, done)),
            "act gives a reward float32 (3,), but must give float32 ().",
        ),
        (
            act(lambda world, seen, reward, done: (world, seen, reward, 1 * done)),
            "act gives done int32 (), but must give bool ().",
        ),
        (
            act(lambda world, seen, reward, done: (world._replace(pulls=0.5 * world.pulls), seen, reward, done)),
            "act gives a world pulls float32 (), but must give int32 (), as what reset gives.",
        ),
        (
            act(lambda world, seen, reward, done: (world._replace(pulls=()), seen, reward, done)),
            "act gives a world without pulls, but must give the structure of what reset gives.",
        ),
        (
            {"probe": lambda self, data=None: bandit.Task.probe(self)._replace(conditions={"best": jnp.zeros(3)})},
            "probe gives the condition 'best' as float32 (3,), but must give (4,): trial.",
        ),
        ({"evaluation": lambda self, data=None: jnp.zeros(4)}, "evaluation is float32 (4,), but must be the keys"),
        ({"data": lambda self: {"maze": jnp.zeros(3)}}, "data is a dict, but must be None: an environment is"),
        ({"steps": 7, "input_shape": (6, 3)}, "steps is 7, but must be the first number of input_shape, 6."),
    ],
)
def test_an_environment_that_gives_another_shape_is_one_sentence(members: dict[str, Any], sentence: str) -> None:
    if "steps" in members:

        @dataclasses.dataclass(frozen=True)
        class Task(bandit.Task):
            steps: int = 7
            input_shape = (6, 3)

        Task.__module__ = "zoo.tasks.mine"
        task: Any = Task()
    else:
        task = with_members(BANDIT, members)
    refused(Zoo("bad", task=task, model=gru.Model(hidden=3)), f"zoo/tasks/mine.py: {sentence}")


def rule_giving(change: Callable[[Any], Any], **members: Any) -> Any:
    """A rule that gives what bptt does, changed."""

    def gradient(self: Any, bound: Any, variables: Any, state: Any, batch: Any, ctx: Any) -> Any:
        return change(bptt.Rule.gradient(self, bound, variables, state, batch, ctx))

    return with_members(bptt.Rule(), {"gradient": gradient, **members}, "zoo.rules.mine")


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (rule_giving(lambda given: given.grads), "gradient gives a dict, but must give a zoo.rules.Gradient."),
        (rule_giving(lambda given: Update(*given)), "gradient gives a Update, but must give a zoo.rules.Gradient."),
        (
            rule_giving(lambda given: given._replace(grads={**given.grads, "recurrent": given.grads["recurrent"][:2]})),
            "gradient gives grads recurrent float32 (2, 9), but must give float32 (3, 9), as the parameters.",
        ),
        (
            rule_giving(lambda given: given._replace(grads={"recurrent": given.grads["recurrent"]})),
            "gradient gives grads without input.bias, but must give the structure of the parameters.",
        ),
        (
            rule_giving(lambda given: given._replace(state={"trace": given.loss})),
            "gradient gives state with trace, but must give the structure of what init gives.",
        ),
        (
            rule_giving(lambda given: given._replace(state=given.loss), init=lambda *_: jnp.zeros(2)),
            "gradient gives state float32 (), but must give float32 (2,), as what init gives.",
        ),
        (
            rule_giving(lambda given: given._replace(loss=given.loss[None])),
            "gradient gives loss float32 (1,), but must give float32 ().",
        ),
        (
            rule_giving(lambda given: given._replace(watch=given.loss)),
            "gradient gives float32 () as watch, but must give a tuple of scalars.",
        ),
        (rule_giving(lambda given: given, fits=lambda *_: True), "fits gives True, but must give None, or a clause"),
    ],
)
def test_a_rule_whose_update_is_not_as_its_contract_says_is_one_sentence(rule: Any, sentence: str) -> None:
    refused(Zoo("bad", task=FLIPFLOP, model=gru.Model(hidden=3), rule=rule), f"zoo/rules/mine.py: {sentence}")


def test_a_rule_that_fails_is_one_sentence_with_what_it_raised() -> None:
    rule = rule_giving(lambda given: given.nothing)
    refused(
        Zoo("bad", task=FLIPFLOP, model=gru.Model(hidden=3), rule=rule),
        "mine.Rule cannot train gru.Model on flipflop.Task: AttributeError: ",
    )


def test_outputs_that_the_task_has_no_targets_for_are_one_sentence() -> None:
    refused(
        Zoo("bad", task=FLIPFLOP, model=mlp.Model(layers=(3,))),
        "mlp.Model cannot be trained on flipflop.Task: its outputs are float32 (4, 1), but must be float32 (4, 20, 1): "
        "trial, time, unit.",
    )


def test_outputs_without_time_that_the_tasks_loss_cannot_read_are_one_sentence() -> None:
    task = with_members(class_targets.Task(by="trial"), {"loss": lambda self, y, trials: jnp.mean(y[:, -1, :] ** 2)})
    check(Zoo("over-time", task=task, model=gru.Model(hidden=3)).cohorts[0])
    refused(
        Zoo("flat", task=task, model=mlp.Model(layers=(3,))),
        "mlp.Model cannot be trained on mine.Task: IndexError: Too many indices",
    )


def test_a_rule_that_branches_on_the_step_is_one_sentence() -> None:
    class Rule(bptt.Rule):
        def gradient(self, bound: Any, variables: Any, state: Any, batch: Any, ctx: Any) -> Any:
            return super().gradient(bound, variables, state if ctx.step > 3 else (), batch, ctx)

    rule = with_members(Rule(), {}, "zoo.rules.mine")
    refused(
        Zoo("bad", task=FLIPFLOP, model=gru.Model(hidden=3), rule=rule),
        "mine.Rule cannot train gru.Model on flipflop.Task: TracerBoolConversionError: ",
    )


def refused(zoo: Zoo, beginning: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011, the whole beginning is compared
        check(zoo.cohorts[0])
    assert str(caught.value).startswith(beginning), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("by", ["step", "trial"])
def test_targets_over_time_may_be_classes_by_step_or_by_trial(by: str) -> None:
    task = class_targets.Task(by=by)
    answers.check_task(task)
    trials = jax.eval_shape(task.evaluation)
    assert trials.targets.ndim == {"step": 2, "trial": 1}[by]


def test_a_task_is_traced_once_for_all_its_cohorts() -> None:
    answers.check_task.cache_clear()
    zoo = Zoo("once", task=FLIPFLOP, model=gru.Model(hidden=3), training=[Training(batch=2), Training(batch=4)])
    for cohort in zoo.cohorts:
        check(cohort)
    assert answers.check_task.cache_info().misses == 1
