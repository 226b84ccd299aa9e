"""Generalization to longer times: what is evaluated, against the same network in NumPy, and what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis.assays.generalization import Assay
from tests.analysis.assayed_zoo import ZOO, directory, population, vanilla_outputs
from zoo import load
from zoo.tasks import context, discrimination, flipflop, integration, memory, sine


def test_a_network_is_scored_on_its_own_task_made_longer() -> None:
    result = Assay(longer=3.0).run(population("vanilla"))
    assert result["duration"].to_numpy().tolist() == [1.0, 3.0]
    assert result["trial_steps"].to_numpy().tolist() == [[8, 24]] * 2
    trained, own = load(directory()), ZOO.members[0].task
    for row, member in enumerate(result["member"].to_numpy().tolist()):
        for place, task in enumerate((own, dataclasses.replace(own, steps=24))):
            trials = task.evaluation()
            outputs = jnp.asarray(vanilla_outputs(trained.params(member), np.asarray(trials.inputs)), jnp.float32)
            loss, score = task.loss(outputs, trials), task.score(outputs, trials)
            np.testing.assert_allclose(result["held_out_loss"][row, place], loss, rtol=1e-4)
            np.testing.assert_allclose(result["held_out_score"][row, place], score, atol=1e-2)
        table = trained.members.set_index("member")
        np.testing.assert_allclose(result["held_out_loss"][row, 0], table.loc[member, "loss"], rtol=1e-5)


def test_a_task_that_cannot_be_made_longer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = population("vanilla")
    monkeypatch.setattr(type(networks), "task", property(lambda self: context.Task()))
    with pytest.raises(ValueError, match=r"^context\.Task cannot be made longer: it has no method `longer`\.$"):
        Assay().run(networks)


@pytest.mark.parametrize(
    ("task", "fields"),
    [
        (flipflop.Task(), {"steps": 200}),
        (sine.Task(), {"steps": 200}),
        (integration.Task(), {"steps": 200}),
        (discrimination.Task(), {"shortest_delay": 100.0, "longest_delay": 400.0}),
        (memory.Task(delay=100.0), {"delay": 200.0, "longest_delay": 800.0}),
    ],
    ids=["flipflop", "sine", "integration", "discrimination", "memory"],
)
def test_a_task_twice_as_long_has_twice_the_trial_or_the_delay_and_all_else_is_the_same(task, fields) -> None:
    twice = task.longer(2.0)
    assert twice == dataclasses.replace(task, **fields)
    assert (twice.outputs, twice.input_shape[1], twice.dt) == (task.outputs, task.input_shape[1], task.dt)
    assert twice.input_shape[0] > task.input_shape[0]

    def scored(noise):
        longer = dataclasses.replace(task, noise=noise).longer(1.5)
        trials = longer.evaluation()
        return longer.score(trials.targets, trials)

    np.testing.assert_allclose(jax.jit(jax.vmap(scored))(jnp.array([0.1, 0.2])), 1, atol=1e-5)
