"""Feedback alignment is backpropagation with other weights on the way back, and learns nevertheless."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import mlp, vanilla
from zoo import Training, Zoo
from zoo.rules import Context, bptt, feedback_alignment
from zoo.tasks import digits, flipflop
from zoo.training.binding import Binder, floats_of
from zoo.training.program import program_of

CTX = Context(jnp.int32(0), jax.random.key(0), lambda: jax.random.key(0))


def bound_and_variables(task: Any, model: Any) -> tuple[Any, Any]:
    (cohort,) = Zoo("one", task=task, model=model).cohorts
    bound = Binder(cohort.members[0], {}).bind(jax.tree.map(lambda x: x[0], floats_of(cohort)))
    return bound, bound.model.init(jax.random.key(3), task.evaluation(task.data()).inputs)


def test_the_gradient_of_a_network_of_two_layers_is_that_of_the_paper() -> None:
    """dW_out = r' e, dW_1 = x' (e B' f'), with the error e of the outputs and B of the readout."""
    task = digits.Task()
    bound, variables = bound_and_variables(task, mlp.Model(layers=(7,), activation="tanh"))
    trials = task.evaluation(task.data())
    rule = feedback_alignment.Rule(scale=2.0)
    B = rule.init(bound, variables, jax.random.key(5))
    assert jax.tree.map(jnp.shape, B) == {"dense1": {"kernel": (64, 7)}, "readout": {"kernel": (7, 10)}}
    result = rule.gradient(bound, variables, B, trials, CTX)
    assert result.state is B
    x = np.asarray(trials.inputs, np.float64).reshape(len(trials.inputs), -1)
    weights = jax.tree.map(lambda w: np.asarray(w, np.float64), variables["params"])
    r = np.tanh(x @ weights["dense1"]["kernel"] + weights["dense1"]["bias"])
    outputs = jnp.float32(r @ weights["readout"]["kernel"] + weights["readout"]["bias"])
    error = np.asarray(jax.grad(lambda y: task.loss(y, trials))(outputs), np.float64)
    np.testing.assert_allclose(result.grads["readout"]["kernel"], r.T @ error, atol=1e-6)
    delta = error @ np.asarray(B["readout"]["kernel"]).T * (1 - r**2)
    np.testing.assert_allclose(result.grads["dense1"]["kernel"], x.T @ delta, atol=1e-6)
    np.testing.assert_allclose(result.grads["dense1"]["bias"], delta.sum(0), atol=1e-6)


def test_the_error_of_a_recurrent_network_goes_back_in_time_through_b() -> None:
    """The same recursion once more in float64: e_t = y_t B_out' + e_{t+1} f'_{t+1} B'."""
    task = flipflop.Task(bits=1, steps=6, eval_trials=8)
    bound, variables = bound_and_variables(task, vanilla.Model(hidden=5))
    trials = task.evaluation()
    rule = feedback_alignment.Rule()
    B = rule.init(bound, variables, jax.random.key(5))
    grads = rule.gradient(bound, variables, B, trials, CTX).grads
    outputs, layers = bound.model.apply(variables, trials.inputs)
    r = np.asarray(layers["rate"], np.float64)
    of_outputs = np.asarray(jax.grad(lambda y: task.loss(y, trials))(outputs), np.float64)
    back, to_recurrent, later = np.asarray(B["recurrent"], np.float64), 0.0, 0.0
    for t in reversed(range(r.shape[1])):
        delta = (of_outputs[:, t] @ np.asarray(B["readout"]["kernel"]).T + later) * (1 - r[:, t] ** 2)
        to_recurrent = to_recurrent + (r[:, t - 1].T @ delta if t else 0.0)
        later = delta @ back.T
    np.testing.assert_allclose(grads["recurrent"], to_recurrent, rtol=1e-5, atol=1e-5)


def test_b_has_its_scale_and_comes_from_its_key() -> None:
    bound, variables = bound_and_variables(digits.Task(), mlp.Model(layers=(200,)))
    draw = feedback_alignment.Rule(scale=3.0).init
    B = draw(bound, variables, jax.random.key(1))
    assert float(B["readout"]["kernel"].std()) == pytest.approx(3 / 200**0.5, rel=0.1)
    assert float(B["dense1"]["kernel"].std()) == pytest.approx(3 / 64**0.5, rel=0.1)
    assert not np.array_equal(B["readout"]["kernel"], draw(bound, variables, jax.random.key(2))["readout"]["kernel"])


def test_the_forward_weights_come_into_line_with_those_of_the_way_back() -> None:
    """The cosine of the gradient with that of backpropagation, below the readout, rises, and the task is learned."""
    task = digits.Task()
    training = Training(steps=300, batch=32, learning_rate=0.3, optimizer="sgd", momentum=0.0)
    rule = feedback_alignment.Rule()
    (cohort,) = Zoo("fa", task=task, model=mlp.Model(layers=(30,)), training=training, rule=rule).cohorts
    program, floats, data = program_of(cohort), jax.tree.map(lambda x: x[0], floats_of(cohort)), task.data()
    start = jax.jit(program.init)(floats)
    end = jax.jit(program.advance)(start, floats, data, 300, True)
    bound, trials = Binder(cohort.members[0], {}).bind(floats), task.evaluation(data)

    @jax.jit
    def alignment(state: Any) -> Any:
        ours = rule.gradient(bound, state.variables, state.rule, trials, CTX).grads["dense1"]["kernel"]
        exact = bptt.Rule().gradient(bound, state.variables, (), trials, CTX).grads["dense1"]["kernel"]
        return jnp.sum(ours * exact) / jnp.sqrt(jnp.sum(ours**2) * jnp.sum(exact**2))

    assert abs(alignment(start)) < 0.3
    assert alignment(end) > 0.5
    assert end.score > 0.8
