"""From a cohort to pure functions of one member: `init`, `advance` (training steps) and `represent`. No I/O.

`zoo.devices.executable` maps these over the members of a block and compiles them; nothing here knows how many members
there are.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from models import on
from zoo import lookup
from zoo.rules import Rule
from zoo.spec.cohorts import Cohort
from zoo.training.binding import Binder, Bound, Floats
from zoo.training.evaluation import in_parts
from zoo.training.optimizers import multiplier, optimizer_of
from zoo.training.status import DIVERGED, RUNNING, STOPPED


class State(NamedTuple):
    """Everything that training changes in one member; of a block, the member axis comes first.

    Attributes:
      step: steps taken.
      status: RUNNING, STOPPED or DIVERGED.
      params: what the rule trains.
      stats: other collections of variables (batch statistics); {} where there are none.
      optimizer: optax state.
      losses: sum and number of the training losses since the last evaluation, `(2,)`.
      train_loss: mean training loss between the last two evaluations; NaN before.
      loss, score: on the evaluation set, at the last evaluation; NaN before.
    """

    step: Int[Array, "*member"]
    status: Int[Array, "*member"]
    params: Any
    stats: Any
    optimizer: Any
    losses: Float[Array, "*member 2"]
    train_loss: Float[Array, "*member"]
    loss: Float[Array, "*member"]
    score: Float[Array, "*member"]


class Program(NamedTuple):
    """The pure functions of one member of a cohort.

    Attributes:
      init: `(floats) -> State`, from the seed; traced hyperparameters scale the draws but never change them.
      advance: `(state, floats, data, steps, evaluate) -> State`: up to `steps` training steps, then, if `evaluate`, an
        evaluation. Both are arguments: how many steps one call takes never recompiles and never changes a bit.
      represent: `(params, stats, floats, inputs) -> dict`: layer -> activations on inputs `(stimulus, ...)` as the
        model takes them, "output" last.
    """

    init: Callable[[Floats], State]
    advance: Callable[[State, Floats, Any, Any, Any], State]
    represent: Callable[[Any, Any, Floats, Any], dict[str, jax.Array]]


def program_of(cohort: Cohort, **given: Any) -> Program:
    """The functions of a cohort's members.

    Args:
      cohort: whose first member stands for all that is static.
      **given: fields of the model that the recipe fills in (`conv_form`), where the model has them.
    """
    member = cohort.members[0]
    binder, rule = Binder(member, given), lookup.find("rule", member.training.rule).Rule()
    return Program(partial(_init, binder), partial(_advance, binder, rule), partial(_represent, binder))


def _init(binder: Binder, floats: Floats) -> State:
    task, model, training = binder.bind(floats)
    variables = dict(model.init({"params": binder.initial_key(floats)}, jnp.zeros((1, *task.input_shape))))
    params = variables.pop("params")
    nan = jnp.float32(jnp.nan)
    return State(
        step=jnp.int32(0),
        status=jnp.int32(RUNNING),
        params=params,
        stats=variables,
        optimizer=optimizer_of(training).init(params),
        losses=jnp.zeros(2),
        train_loss=nan,
        loss=nan,
        score=nan,
    )


def _advance(binder: Binder, rule: Rule, state: State, floats: Floats, data: Any, steps: Any, evaluate: Any) -> State:
    training = binder.member.training
    goal = jnp.minimum(state.step + steps, training.steps)
    with jax.default_matmul_precision(training.precision):
        # A loop to a traced goal: a frozen member costs nothing where members run one after the other.
        state = lax.while_loop(
            lambda s: (s.step < goal) & (s.status == RUNNING), lambda s: _step(binder, rule, s, floats, data), state
        )
        # `evaluate` is the block's, so it stays a branch under vmap; the status is a member's and becomes a select.
        # A member that diverged keeps its last evaluation: one more would depend on how the steps were cut.
        return lax.cond(
            evaluate,
            lambda s: lax.cond(s.status == RUNNING, lambda s: _evaluated(binder, s, floats, data), lambda s: s, s),
            lambda s: s,
            state,
        )


def _step(binder: Binder, rule: Rule, state: State, floats: Floats, data: Any) -> State:
    """One training step; the old state, marked as diverged, where anything in it is not finite."""
    bound = binder.bind(floats)
    training = bound.training
    trials = bound.task.sample(binder.data_key(floats), training.batch, state.step, data)
    rngs = {"noise": binder.noise_key(floats, state.step)}
    objective = partial(_objective, bound, state.stats, trials, rngs)
    (total, (loss, stats)), gradient = rule.gradient(objective, state.params)
    norm = optax.tree.norm(gradient)
    if on(training.clip):
        shrink = jnp.minimum(1.0, training.clip / jnp.maximum(norm, 1e-20))
        gradient = jax.tree.map(lambda g: g * shrink, gradient)
    updates, optimizer_state = optimizer_of(training).update(gradient, state.optimizer, state.params)
    if training.optimizer == "adamw":
        updates = jax.tree.map(lambda u, p: u + training.l2 * p if p.ndim > 1 else u, updates, state.params)
    # The rate is applied here and not by the optimizer: so it may be a tracer, and the bits are the plain optimizer's.
    rate = training.learning_rate * multiplier(training, state.step)
    params = jax.tree.map(lambda p, u: p - rate * u, state.params, updates)
    new = state._replace(
        step=state.step + 1,
        params=params,
        stats=stats,
        optimizer=optimizer_state,
        losses=state.losses + jnp.stack([loss, 1.0]),
    )
    # One NaN must not cost the last good state: the step is taken whole or not at all.
    finite = jnp.isfinite(total) & jnp.isfinite(norm) & jnp.isfinite(optax.tree.norm((params, stats)))
    return jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, state._replace(status=jnp.int32(DIVERGED)))


def _objective(bound: Bound, stats: Any, trials: Any, rngs: Any, params: Any) -> tuple[jax.Array, Any]:
    """What is minimised, and with it the task's loss and the new batch statistics."""
    task, model, training = bound
    variables = {"params": params, **stats}
    (outputs, layers), stats = model.apply(variables, trials.inputs, train=True, rngs=rngs, mutable=list(stats))
    loss = task.loss(outputs, trials)
    total = loss if training.optimizer == "adamw" else loss + training.l2 * sum(map(_square, _weights(params)))
    if on(training.rate_l2):
        rates = [x for name, x in layers.items() if not name.endswith(".pre")]
        total += training.rate_l2 * sum(jnp.mean(x**2) for x in rates) / len(rates)
    return total, (loss, stats)


def _evaluated(binder: Binder, state: State, floats: Floats, data: Any) -> State:
    """The state after an evaluation, which may stop the member."""
    task, model, training = binder.bind(floats)
    trials = task.evaluation(data)
    outputs = in_parts(lambda x: model.apply({"params": state.params, **state.stats}, x)[0], trials.inputs)
    loss, score = task.loss(outputs, trials), task.score(outputs, trials)
    stop = state.step >= training.steps
    if on(training.target):
        stop |= score >= training.target
    status = jnp.where(jnp.isfinite(loss), jnp.where(stop, STOPPED, RUNNING), DIVERGED)
    mean = state.losses[0] / state.losses[1]
    return state._replace(status=status, losses=jnp.zeros(2), train_loss=mean, loss=loss, score=jnp.float32(score))


def _represent(binder: Binder, params: Any, stats: Any, floats: Floats, inputs: Any) -> dict[str, jax.Array]:
    with jax.default_matmul_precision("highest"):
        outputs, layers = binder.bind(floats).model.apply({"params": params, **stats}, inputs)
    return {**layers, "output": outputs}


def _weights(params: Any) -> list[jax.Array]:
    return [p for p in jax.tree.leaves(params) if p.ndim > 1]


def _square(x: jax.Array) -> jax.Array:
    return jnp.sum(x * x)
