"""The files that docs/extending.md shows keep their contracts, train, and do what they say."""

import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import vanilla
from tests.zoo.tasks import test_tasks
from zoo import Training, Zoo, train
from zoo.rules import Context, bptt
from zoo.spec.contracts import check_contract
from zoo.training.binding import Binder, floats_of

GUIDE = (Path(__file__).parent.parent / "docs" / "extending.md").read_text(encoding="utf-8")
OF_TASKS = [
    test
    for name, test in vars(test_tasks).items()
    if name.startswith("test_")
    and list(inspect.signature(test).parameters) == ["task"]
    and not hasattr(test, "pytestmark")  # not of tasks that it names
]
SMALL = Training(learning_rate=1e-2, steps=6, batch=8, evaluate_every=3)


@pytest.fixture(scope="module")
def shown() -> Any:
    """The guide's files as modules of their packages: path -> module."""
    modules = {}
    for path, code in re.findall(r"```python\n# ([\w/]+)\.py\n(.*?)```", GUIDE, re.DOTALL):
        name = path.replace("/", ".")
        module = ModuleType(name)
        sys.modules[name] = module
        exec(compile(code, f"{path}.py", "exec"), module.__dict__)
        modules[path] = module
    yield modules
    for module in modules.values():
        del sys.modules[module.__name__]


def test_every_file_of_the_guide_keeps_its_contract(shown: Any) -> None:
    kinds = {"zoo/tasks/matching": "task", "models/learned_tau": "model", "zoo/rules/weight_perturbation": "rule"}
    assert shown.keys() == kinds.keys()
    for path, kind in kinds.items():
        check_contract(kind, getattr(shown[path], kind.capitalize()))


def test_a_network_with_learned_time_constants_trains_on_the_new_task_by_the_new_rule(
    shown: Any, tmp_path: Path
) -> None:
    task, model = shown["zoo/tasks/matching"].Task(noise=0.1), shown["models/learned_tau"].Model(hidden=6)
    rules = [shown["zoo/rules/weight_perturbation"].Rule(), bptt.Rule()]
    trained = train(
        Zoo("new", task=task, model=model, training=SMALL, rule=rules, seeds=2), tmp_path / "zoo", quiet=True
    )
    assert trained.members["rule"].tolist() == ["weight_perturbation"] * 2 + ["bptt"] * 2
    for member in trained.members["member"]:
        before, after = (trained.params(member, initial=initial)["scale"] for initial in (True, False))
        assert (before == 0).all()
        assert (after != 0).all(), "the time constants learn"


@pytest.mark.parametrize("check", OF_TASKS)
def test_the_task_of_the_guide_passes_what_every_task_has_to(check: Any, shown: Any) -> None:
    check(shown["zoo/tasks/matching"].Task())


def test_weight_perturbation_is_the_gradient_on_average(shown: Any) -> None:
    task = shown["zoo/tasks/matching"].Task(delay=2)
    zoo = Zoo("one", task=task, model=vanilla.Model(hidden=2), training=SMALL)
    (cohort,) = zoo.cohorts
    bound = Binder(cohort.members[0], {}).bind(jax.tree.map(lambda x: x[0], floats_of(cohort)))
    trials = task.sample(jax.random.key(0), 8)
    variables = bound.model.init({"params": jax.random.key(1)}, trials.inputs)
    rule = shown["zoo/rules/weight_perturbation"].Rule()

    def estimate(key: jax.Array) -> Any:
        return rule.gradient(bound, variables, (), trials, Context(jnp.int32(0), key, lambda: key)).grads

    def exact(params: Any) -> jax.Array:
        return bound.objective({"params": params}, trials, jax.random.key(0))[0]

    drawn = jax.jit(jax.vmap(estimate))(jax.random.split(jax.random.key(2), 4_000))
    for ours, theirs in zip(jax.tree.leaves(drawn), jax.tree.leaves(jax.grad(exact)(variables["params"])), strict=True):
        error = np.asarray(ours).std(0) / np.sqrt(4_000)
        np.testing.assert_array_less(np.abs(np.asarray(ours).mean(0) - theirs), 5 * error + 2e-4)
