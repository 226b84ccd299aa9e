"""From a cohort to pure functions of one member: `init`, `advance` (training steps) and `represent`. No I/O.

`zoo.devices.executable` maps these over the members of a block and compiles them; nothing here knows how many members
there are.
"""

import functools
import operator
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from models import on
from zoo.rules import is_gradient
from zoo.spec.cohorts import Cohort
from zoo.training.binding import Binder, Floats, Variables
from zoo.training.optimizers import descended, optimizer_of
from zoo.training.status import DIVERGED, RUNNING, STOPPED

OUTPUT = "output"
"""The name of the outputs among the layers."""


class Reached(NamedTuple):
    """A member at the first evaluations at which it reached the score levels of `Training.score_levels`.

    Attributes:
      step: of these evaluations, `(level,)`; -1 of a level that it has not reached.
      params, stats: as of `State`, each with `level` as the first axis; 0 of a level that it has not reached.
    """

    step: Int[Array, "*member level"]
    params: Any
    stats: Any


class State(NamedTuple):
    """Everything that training changes in one member; of a block, the member axis comes first.

    Attributes:
      step: steps taken.
      status: RUNNING, STOPPED or DIVERGED.
      params: what the rule trains.
      stats: collections of variables that a forward pass updates (batch statistics); {} where there are none.
      constants: the collection that is drawn once and never trained; {} where there is none.
      optimizer: optax state; () of a rule that makes its updates itself.
      rule: what the rule remembers; () where it remembers nothing.
      losses: sum and number of the training losses since the last evaluation, `(2,)`.
      train_loss: mean training loss between the last two evaluations; NaN before.
      loss, score: on the evaluation set, at the last evaluation; NaN before.
      reached: a `Reached`; () where there are no score levels.
    """

    step: Int[Array, "*member"]
    status: Int[Array, "*member"]
    params: Any
    stats: Any
    constants: Any
    optimizer: Any
    rule: Any
    losses: Float[Array, "*member 2"]
    train_loss: Float[Array, "*member"]
    loss: Float[Array, "*member"]
    score: Float[Array, "*member"]
    reached: Any = ()

    @property
    def variables(self) -> Variables:
        """What `model.apply` takes."""
        return {"params": self.params, **self.stats, **({"constants": self.constants} if self.constants else {})}


class Program(NamedTuple):
    """The pure functions of one member of a cohort.

    Attributes:
      init: `(floats) -> State`, from the seed; traced hyperparameters scale the draws but never change them.
      advance: `(state, floats, data, steps, evaluate) -> State`: up to `steps` training steps, then, if `evaluate`, an
        evaluation. Both are arguments: how many steps one call takes never recompiles and never changes a bit.
      represent: `(variables, floats, inputs) -> dict`: layer -> activations on inputs `(stimulus, ...)` as the model
        takes them, "output" last.
    """

    init: Callable[[Floats], State]
    advance: Callable[[State, Floats, Any, Any, Any], State]
    represent: Callable[[Variables, Floats, Any], dict[str, jax.Array]]


def program_of(cohort: Cohort, **given: Any) -> Program:
    """The functions of a cohort's members.

    Args:
      cohort: whose first member stands for all that is static.
      **given: fields of the model that the recipe fills in (`conv_form`), where the model has them.
    """
    binder = Binder(cohort.members[0], given)
    return Program(partial(_init, binder), partial(_advance, binder), partial(_represent, binder))


def _init(binder: Binder, floats: Floats) -> State:
    bound = binder.bind(floats)
    variables, remembered = binder.begun(bound, floats)
    nan = jnp.float32(jnp.nan)
    state = State(
        step=jnp.int32(0),
        status=jnp.int32(RUNNING),
        params=variables.pop("params"),
        constants=variables.pop("constants", {}),
        stats=variables,
        optimizer=(),
        rule=remembered,
        losses=jnp.zeros(2),
        train_loss=nan,
        loss=nan,
        score=nan,
    )
    moments = optimizer_of(bound.training).init(state.params) if is_gradient(bound.rule) else ()
    return state._replace(optimizer=moments, reached=_unreached(bound.training.score_levels, state))


def _unreached(levels: tuple[float, ...], state: State) -> Any:
    """`State.reached` of a member that has not been evaluated."""
    if not levels:
        return ()
    none = jax.tree.map(lambda x: jnp.zeros((len(levels), *x.shape), x.dtype), (state.params, state.stats))
    return Reached(jnp.full(len(levels), -1, jnp.int32), *none)


def _advance(binder: Binder, state: State, floats: Floats, data: Any, steps: Any, evaluate: Any) -> State:
    training = binder.member.training
    goal = jnp.minimum(state.step + steps, _last(binder.bind(floats).training))
    # Constants and what was reached stay outside the loop: what is carried is selected at every step.
    constants, reached, state = state.constants, state.reached, state._replace(constants={}, reached=())

    def whole(state: State) -> State:
        return state._replace(constants=constants)

    with jax.default_matmul_precision(training.precision):
        # A loop to a traced goal: a frozen member costs nothing where members run one after the other.
        state = lax.while_loop(
            lambda s: (s.step < goal) & (s.status == RUNNING),
            lambda s: _step(binder, whole(s), floats, data)._replace(constants={}),
            state,
        )
        # `evaluate` is the block's, so it stays a branch under vmap; the status is a member's and becomes a select.
        # A member that diverged keeps its last evaluation: one more would depend on how the steps were cut.
        state = lax.cond(
            evaluate,
            lambda s: lax.cond(
                s.status == RUNNING,
                lambda s: _evaluated(binder, whole(s), floats, data)._replace(constants={}),
                lambda s: s,
                s,
            ),
            lambda s: s,
            state._replace(reached=reached),
        )
    return whole(state)


def _step(binder: Binder, state: State, floats: Floats, data: Any) -> State:
    """One training step; the old state, marked as diverged, where anything in it is not finite."""
    bound = binder.bind(floats)
    batch, ctx = binder.batch(bound, floats, state.step, data), binder.context(floats, state.step)
    if is_gradient(bound.rule):
        grads, remembered, loss, stats, watch = bound.rule.gradient(bound, state.variables, state.rule, batch, ctx)
        params, moments, norm = descended(bound.training, state.params, state.optimizer, grads, state.step)
        watch = (*watch, norm)
    else:
        moments = state.optimizer
        params, remembered, loss, stats, watch = bound.rule.update(bound, state.variables, state.rule, batch, ctx)
        watch = (*watch, loss)
    new = state._replace(
        step=state.step + 1,
        params=params,
        stats=stats,
        optimizer=moments,
        rule=remembered,
        losses=state.losses + jnp.stack([loss, 1.0]),
    )
    # One NaN must not cost the last good state: the step is taken whole or not at all.
    finite = functools.reduce(operator.and_, map(jnp.isfinite, watch)) & jnp.isfinite(optax.tree.norm((params, stats)))
    for leaf in jax.tree.leaves(remembered):  # which may be large, or count: its norm would overflow
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            finite &= jnp.isfinite(leaf).all()
    return jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, state._replace(status=jnp.int32(DIVERGED)))


def _last(training: Any) -> Any:
    """The step that a member stops after."""
    if not on(training.horizon):
        return training.steps
    return jnp.minimum(jnp.ceil(training.horizon).astype(jnp.int32), training.steps)


def _evaluated(binder: Binder, state: State, floats: Floats, data: Any) -> State:
    """The state after an evaluation, which may stop the member."""
    bound = binder.bind(floats)
    loss, score = bound.evaluated(state.variables, data)
    stop = state.step >= _last(bound.training)
    if on(bound.training.target):
        stop |= score >= bound.training.target
    status = jnp.where(jnp.isfinite(loss), jnp.where(stop, STOPPED, RUNNING), DIVERGED)
    mean = state.losses[0] / state.losses[1]
    state = state._replace(status=status, losses=jnp.zeros(2), train_loss=mean, loss=loss, score=jnp.float32(score))
    return state._replace(reached=_reached(bound.training.score_levels, state))


def _reached(levels: tuple[float, ...], state: State) -> Any:
    """`State.reached` after an evaluation."""
    if not levels:
        return ()
    before = state.reached
    now = (before.step < 0) & (state.score >= jnp.asarray(levels, jnp.float32)) & (state.status != DIVERGED)

    def kept(old: jax.Array, new: jax.Array) -> jax.Array:
        return jnp.where(now.reshape(-1, *(1,) * new.ndim), new[None], old)

    new = jax.tree.map(kept, (before.params, before.stats), (state.params, state.stats))
    return Reached(jnp.where(now, state.step, before.step), *new)


def _represent(binder: Binder, variables: Variables, floats: Floats, inputs: Any) -> dict[str, jax.Array]:
    with jax.default_matmul_precision("highest"):
        outputs, layers = binder.bind(floats).model.apply(variables, inputs)
    return {**layers, OUTPUT: outputs}
