"""From a cohort to pure functions of one member: `init`, `advance` (training steps) and `represent`. No I/O.

The executor maps these over the members of a block and compiles them; nothing here knows how many members there are.
"""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.errors
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from models import on
from zoo import lookup
from zoo.spec.cohorts import Cohort
from zoo.spec.encoding import canonical_json
from zoo.spec.fields import label, values_of
from zoo.spec.member import SECTIONS
from zoo.spec.settings import Training
from zoo.training.evaluation import in_parts
from zoo.training.optimizers import multiplier, optimizer_of
from zoo.training.status import DIVERGED, RUNNING, STOPPED

_INIT, _DATA, _NOISE = range(3)  # the streams of a member


class Floats(NamedTuple):
    """What differs between the members of a cohort: arguments of the program, one value per member.

    Attributes:
      task, model, training: traced field -> value, float32.
      seed: uint32.
    """

    task: dict[str, Any]
    model: dict[str, Any]
    training: dict[str, Any]
    seed: Any


class State(NamedTuple):
    """Everything that training changes in one member.

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

    step: jax.Array
    status: jax.Array
    params: Any
    stats: Any
    optimizer: Any
    losses: jax.Array
    train_loss: jax.Array
    loss: jax.Array
    score: jax.Array


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


def floats_of(cohort: Cohort) -> Floats:
    """The floats and seeds of a cohort's members, stacked: `(member,)` NumPy arrays."""
    sections = [{n: np.asarray(v, np.float32) for n, v in cohort.floats(s).items()} for s in SECTIONS]
    return Floats(*sections, seed=np.asarray([member.seed for member in cohort.members], np.uint32))


def bound_model(model: Any, task: Any, **given: Any) -> Any:
    """The model with what belongs to the task (sizes, dt) and the recipe (`conv_form`) filled in, where it asks."""
    values = {"outputs": task.outputs, "dt": task.dt, **given}
    return model.clone(**{n: v for n, v in values.items() if hasattr(model, n)})


def program_of(cohort: Cohort, **given: Any) -> Program:
    """The functions of a cohort's members.

    Args:
      cohort: whose first member stands for all that is static.
      **given: fields of the model that the executor fills in (`conv_form`), where the model has them.
    """
    member = cohort.members[0]
    rule = lookup.find("rule", member.training.rule).Rule()
    optimizer = optimizer_of(member.training)
    shared = zlib.crc32(canonical_json(member.task).encode())

    def bind(floats: Floats) -> tuple[Any, Any, Training]:
        task, model, training = (type(i)(**{**values_of(i), **values}) for i, values in zip(member[1:4], floats[:3]))
        return task, bound_model(model, task, **given), training

    def stream(floats: Floats, which: int) -> jax.Array:
        return jax.random.fold_in(jax.random.key(floats.seed, impl="threefry2x32"), which)

    def data_stream(floats: Floats) -> jax.Array:
        if member.training.data == "own":
            return stream(floats, _DATA)
        return jax.random.fold_in(jax.random.key(member.training.data_seed, impl="threefry2x32"), shared)

    def init(floats: Floats) -> State:
        task, model, training = bind(floats)
        variables = dict(model.init({"params": stream(floats, _INIT)}, jnp.zeros((1, *task.input_shape))))
        params = variables.pop("params")
        nan = jnp.float32(jnp.nan)
        return State(
            step=jnp.int32(0),
            status=jnp.int32(RUNNING),
            params=params,
            stats=variables,
            optimizer=optimizer(training).init(params),
            losses=jnp.zeros(2),
            train_loss=nan,
            loss=nan,
            score=nan,
        )

    def train_step(state: State, floats: Floats, data: Any) -> State:
        task, model, training = bind(floats)
        trials = task.sample(data_stream(floats), training.batch, state.step, data)
        rngs = {"noise": jax.random.fold_in(stream(floats, _NOISE), state.step)}

        def objective(params: Any) -> tuple[jax.Array, Any]:
            variables = {"params": params, **state.stats}
            (outputs, layers), stats = model.apply(
                variables, trials.inputs, train=True, rngs=rngs, mutable=list(state.stats)
            )
            loss = task.loss(outputs, trials)
            total = loss if training.optimizer == "adamw" else loss + training.l2 * sum(map(_square, _weights(params)))
            if on(training.rate_l2):
                rates = [x for name, x in layers.items() if not name.endswith(".pre")]
                total += training.rate_l2 * sum(jnp.mean(x**2) for x in rates) / len(rates)
            return total, (loss, stats)

        (total, (loss, stats)), gradient = rule.gradient(objective, state.params)
        norm = optax.tree.norm(gradient)
        if on(training.clip):
            shrink = jnp.minimum(1.0, training.clip / jnp.maximum(norm, 1e-20))
            gradient = jax.tree.map(lambda g: g * shrink, gradient)
        updates, optimizer_state = optimizer(training).update(gradient, state.optimizer, state.params)
        if training.optimizer == "adamw":
            updates = jax.tree.map(lambda u, p: u + training.l2 * p if p.ndim > 1 else u, updates, state.params)
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

    def evaluated(state: State, floats: Floats, data: Any) -> State:
        task, model, training = bind(floats)
        trials = task.evaluation(data)
        outputs = in_parts(lambda x: model.apply({"params": state.params, **state.stats}, x)[0], trials.inputs)
        loss, score = task.loss(outputs, trials), task.score(outputs, trials)
        stop = state.step >= training.steps
        if on(training.target):
            stop |= score >= training.target
        status = jnp.where(jnp.isfinite(loss), jnp.where(stop, STOPPED, RUNNING), DIVERGED)
        mean = state.losses[0] / state.losses[1]
        return state._replace(status=status, losses=jnp.zeros(2), train_loss=mean, loss=loss, score=jnp.float32(score))

    def advance(state: State, floats: Floats, data: Any, steps: Any, evaluate: Any) -> State:
        goal = jnp.minimum(state.step + steps, member.training.steps)
        with jax.default_matmul_precision(member.training.precision):
            # A loop to a traced goal: a frozen member costs nothing where members run one after the other.
            state = lax.while_loop(
                lambda s: (s.step < goal) & (s.status == RUNNING), lambda s: train_step(s, floats, data), state
            )
            # `evaluate` is the block's, so it stays a branch under vmap; the status is a member's and becomes a select.
            # A member that diverged keeps its last evaluation: one more would depend on how the steps were cut.
            return lax.cond(
                evaluate,
                lambda s: lax.cond(s.status == RUNNING, lambda s: evaluated(s, floats, data), lambda s: s, s),
                lambda s: s,
                state,
            )

    def represent(params: Any, stats: Any, floats: Floats, inputs: Any) -> dict[str, jax.Array]:
        _, model, _ = bind(floats)
        with jax.default_matmul_precision("highest"):
            outputs, layers = model.apply({"params": params, **stats}, inputs)
        return {**layers, "output": outputs}

    return Program(init, advance, represent)


def check(cohort: Cohort) -> None:
    """Refuse a cohort whose parts do not fit together, before anything is compiled or written."""
    member = cohort.members[0]
    task = member.task
    lookup.find("rule", member.training.rule)
    task.data()  # says itself what is wrong with a file

    def forward() -> Any:
        trials = task.evaluation(task.data())
        model = bound_model(member.model, task)
        (outputs, _), _ = model.init_with_output({"params": jax.random.key(0)}, trials.inputs)
        return task.loss(outputs, trials), task.score(outputs, trials)

    try:
        jax.eval_shape(forward)
    except (ValueError, TypeError, IndexError, ZeroDivisionError, flax.errors.FlaxError) as error:
        why = str(error).strip().split("\n")[0]
        raise ValueError(f"{label(member.model)} cannot be trained on {label(task)}: {why}") from None


def _weights(params: Any) -> list[jax.Array]:
    return [p for p in jax.tree.leaves(params) if p.ndim > 1]


def _square(x: jax.Array) -> jax.Array:
    return jnp.sum(x * x)
