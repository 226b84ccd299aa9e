"""The scan over time of the recurrent architectures, with its backward pass; initial recurrent weights; noise.

What an architecture says is three pure functions of a state, an array or a NamedTuple of arrays `(trial, unit)`:

    cell(q, state, drive, recurrent, noise) -> state
    observe(q, state) -> {"rate": (trial, unit), ...}     what is returned and compared, the rate first
    transmit(q, state, rate) -> (trial, unit)             what goes into the recurrent weights

`drive` is the projected input `x_t W_in + b`, computed for all time steps in one product outside the scan, and
`recurrent` is `transmit(...) W + bias`, one product per step; the cell gets both as a list with one (trial, unit) array
per gate. `noise` is an array or None; `q` holds the numbers that the functions need, such as alpha.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from models._layers import Perturbation, perturbed, scaled
from models._products import product

Gates = Sequence[jax.Array]


class Roles(NamedTuple):
    """The three functions of an architecture; nothing traced may be closed over.

    Attributes:
      cell: the next state.
      observe: what is shown of a state.
      transmit: what goes into the recurrent weights; None where it is the rate.
    """

    cell: Callable[[Any, Any, Gates, Gates, jax.Array | None], Any]
    observe: Callable[[Any, Any], dict[str, jax.Array]]
    transmit: Callable[[Any, Any, jax.Array], jax.Array] | None


class Weights(NamedTuple):
    """What a step needs beside the state.

    Attributes:
      recurrent: `(unit, gates x unit)`.
      bias: `(gates x unit,)`, or None where the drive's bias says it all.
      fixed: numbers of the functions that are not trained, name -> array: no gradient flows to them.
      trained: those that are.
      backward: what the error of the recurrent product goes back through, `(unit, gates x unit)`; None for the weights
        themselves.
    """

    recurrent: jax.Array
    bias: jax.Array | None
    fixed: dict[str, Any]
    trained: dict[str, Any]
    backward: jax.Array | None = None

    @property
    def quantities(self) -> dict[str, Any]:
        """`q` of the functions."""
        return {**self.fixed, **self.trained}


INITS = ("orthogonal", "normal", "identity", "uniform", "xavier")


def recurrent_init(name: str, gain: Any, gates: int = 1) -> Callable[..., jax.Array]:
    """Initial recurrent weights `(unit, gates x unit)`, each gate's square block drawn by itself.

    - "orthogonal": gain Q, Q uniform over orthogonal matrices; spectral radius gain (Saxe et al. 2014).
    - "normal": gain / sqrt(N) times standard normals; spectral radius near gain (Sompolinsky et al. 1988).
    - "identity": gain I (Le et al. 2015).
    - "uniform": within gain / sqrt(N) of 0; spectral radius near gain / sqrt(3); PyTorch's.
    - "xavier": uniform within gain sqrt(3 / N) of 0; spectral radius near gain (Glorot & Bengio 2010).
    """
    draws = {
        "orthogonal": jax.nn.initializers.orthogonal(),
        "normal": jax.nn.initializers.variance_scaling(1.0, "fan_in", "normal"),
        "identity": lambda key, shape, dtype: jnp.eye(*shape, dtype=dtype),
        "uniform": lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -1, 1) / shape[0] ** 0.5,
        "xavier": jax.nn.initializers.glorot_uniform(),
    }
    if name not in draws:
        raise ValueError(f"initial_weights is {name!r}, but must be one of {', '.join(draws)}.")

    def blocks(key: jax.Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> jax.Array:
        keys = jax.random.split(key, gates)
        return jnp.concatenate([draws[name](k, (shape[0], shape[1] // gates), dtype) for k in keys], axis=1)

    return scaled(blocks, gain)


def gate_bias(gates: int, gate: int, value: Any) -> Callable[..., jax.Array]:
    """Initial bias (gates x unit,): `value` for one gate, 0 for the others."""

    def blocks(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        del key
        chosen = jnp.arange(shape[0]) // (shape[0] // gates) == gate
        return jnp.where(chosen, jnp.asarray(value, dtype), jnp.zeros((), dtype))

    return blocks


def time_step(dt: float) -> float:
    """dt, ms, of a network that needs steps of some ms."""
    if dt <= 0:
        raise ValueError(f"dt is {dt} ms, but a continuous network needs a task with steps of some ms.")
    return dt


def by_time(x: jax.Array) -> jax.Array:
    """(trial, time, unit) to (time, trial, unit), the scan's order."""
    if x.ndim != 3:
        raise ValueError(f"inputs have shape {x.shape}, but a recurrent network needs (trial, time, unit).")
    return jnp.swapaxes(x, 0, 1)


def by_trial(x: jax.Array) -> jax.Array:
    """(time, trial, unit) to (trial, time, unit)."""
    return jnp.swapaxes(x, 0, 1)


def normals(key: jax.Array, drive: jax.Array, units: int) -> jax.Array:
    """Standard normals for all time steps at once, (time, trial, unit): drawing them inside the scan is slower."""
    return jax.random.normal(key, (*drive.shape[:2], units), drive.dtype)


def plus(x: jax.Array, noise: jax.Array | None) -> jax.Array:
    """x with its noise, where there is any."""
    return x if noise is None else x + noise


def split(x: jax.Array, units: int) -> list[jax.Array]:
    """The gates of (..., gates x unit), one array each."""
    return jnp.split(x, x.shape[-1] // units, axis=-1)


def shown(
    roles: Roles, q: Any, state: Any, perturb: Perturbation | None = None
) -> tuple[dict[str, jax.Array], jax.Array]:
    """What is observed of a state, and what it transmits.

    Args:
      roles: of the architecture.
      q: its numbers.
      state: to look at.
      perturb: {"rate": (scale, shift)}, each `(unit,)`.
    """
    observed = dict(roles.observe(q, state))
    if "rate" not in observed:
        shows = ", ".join(map(repr, observed)) or "nothing"
        raise ValueError(
            f"{_file(roles.observe)}: observe gives {shows}, but must give 'rate', and what else is shown."
        )
    observed["rate"] = rate = perturbed(observed["rate"], perturb, "rate")
    return observed, rate if roles.transmit is None else roles.transmit(q, state, rate)


def advance(
    roles: Roles,
    weights: Weights,
    state: Any,
    drive: Gates,
    noise: jax.Array | None = None,
    tap: Any = None,
    perturb: Perturbation | None = None,
) -> Any:
    """One time step: the next state, of arguments as in `unroll`; `drive` has one `(trial, unit)` array per gate."""
    q = weights.quantities
    recurrent = product(shown(roles, q, state, perturb)[1], weights.recurrent, weights.backward)
    if weights.bias is not None:
        recurrent = recurrent + weights.bias[None]
    gates = split(recurrent, weights.recurrent.shape[0])
    if tap is not None:
        gates = [plus(gate, zero) for gate, zero in zip(gates, tap)]
    after = roles.cell(q, state, drive, gates, noise)
    was, now = (jax.tree.map(jnp.shape, tree) for tree in (state, after))
    if was != now:
        raise ValueError(f"{_file(roles.cell)}: cell gives a state {now}, but must give {was}, as the one before.")
    return after


def _file(role: Callable[..., Any]) -> str:
    """Where a function of an architecture is written: "models/gru.py"."""
    return f"{role.__module__.replace('.', '/')}.py"


def unroll(
    roles: Roles,
    weights: Weights,
    state: Any,
    drive: jax.Array,
    noise: jax.Array | None = None,
    *,
    inside: tuple[int, ...] = (),
    perturb: Perturbation | None = None,
) -> dict[str, jax.Array]:
    """Runs a cell over time; gives what is observed, name -> `(time, trial, unit)`.

    Equal to a `lax.scan` of `advance`, gradients included, but faster to train: a plain scan's backward pass adds
    `transmitted_{t-1}^T delta_t` to the gradient of the weights at every step; here delta, the gradient of the
    recurrent input, is kept for all steps and the weights' gradient is formed afterwards as one product,
    `dW = sum_t transmitted_{t-1}^T delta_t`.
    It has a custom reverse rule: `jax.grad`, also `jvp` of `grad`, work through it, a bare `jax.jvp` does not;
    for forward-mode derivatives use the model's `step`.

    Args:
      roles: static, and nothing traced may be closed over.
      weights: what a step needs.
      state: initial state; cast to the drive's dtype.
      drive: (time, trial, gates x unit).
      noise: (time, trial, unit) or None.
      inside: the gates whose recurrent input the cell does not simply add to their drive. Their delta is taken at
        a zero added to the recurrent input; that of the others is the drive's gradient.
      perturb: {"rate": (scale, shift)} at every step; then the scan is a plain one.
    """
    dtype = drive.dtype
    state, fixed, trained = jax.tree.map(lambda x: jnp.asarray(x, dtype), (state, weights.fixed, weights.trained))
    weights = weights._replace(fixed=fixed, trained=trained)
    # Gates go into the scan as separate arrays: XLA's CPU code for slices of one is 2.7 times slower (GRU, forward).
    gates = split(drive, weights.recurrent.shape[0])
    if perturb:
        return _scan(roles, weights, state, gates, noise, None, perturb)[0]
    return _unroll(roles, inside, weights, state, gates, noise)


def _scan(
    roles: Roles, weights: Weights, state: Any, drive: Any, noise: Any, tap: Any, perturb: Perturbation | None = None
) -> tuple[dict[str, jax.Array], jax.Array | None]:
    """What is observed, and what is transmitted where that is not the rate, by time."""

    def body(state: Any, now: Any) -> tuple[Any, Any]:
        state = advance(roles, weights, state, *now, perturb=perturb)
        observed, transmitted = shown(roles, weights.quantities, state, perturb)
        return state, (observed, None if roles.transmit is None else transmitted)

    return lax.scan(body, state, (drive, noise, tap))[1]


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _unroll(
    roles: Roles, inside: tuple[int, ...], weights: Weights, state: Any, drive: Any, noise: Any
) -> dict[str, jax.Array]:
    return _scan(roles, weights, state, drive, noise, None)[0]


def _forward(
    roles: Roles, inside: tuple[int, ...], weights: Weights, state: Any, drive: Any, noise: Any
) -> tuple[dict[str, jax.Array], Any]:
    # The recurrent weights and the bias are constants of this vjp: their gradients come from delta, after the backward
    # scan. So are the fixed numbers: nobody trains a hyperparameter, and its gradient would be a reduction per step.
    def run(trained: Any, *args: Any) -> Any:
        return _scan(roles, weights._replace(trained=trained), *args)

    tap = [jnp.zeros_like(gate) if i in inside else None for i, gate in enumerate(drive)]
    (observed, transmitted), pullback = jax.vjp(run, weights.trained, state, drive, noise, tap)
    first = shown(roles, weights.quantities, state)[1]
    later = observed["rate"] if transmitted is None else transmitted
    previous = jnp.concatenate([first[None], later[:-1]])
    return observed, (pullback, previous, weights, None if transmitted is None else jnp.zeros_like(transmitted))


def _backward(roles: Roles, inside: tuple[int, ...], residuals: Any, cotangent: Any) -> tuple[Any, ...]:
    pullback, previous, weights, nothing = residuals
    d_trained, d_state, d_drive, d_noise, d_tap = pullback((cotangent, nothing))
    delta = jnp.concatenate([plain if tap is None else tap for plain, tap in zip(d_drive, d_tap)], axis=-1)
    d_weight = jnp.einsum("tbi,tbj->ij", previous, delta).astype(weights.recurrent.dtype)
    d_bias = None if weights.bias is None else delta.sum((0, 1)).astype(weights.bias.dtype)
    d_fixed, d_backward = jax.tree.map(jnp.zeros_like, (weights.fixed, weights.backward))
    d_weights = Weights(d_weight, d_bias, d_fixed, d_trained, d_backward)
    return d_weights, d_state, d_drive, d_noise


_unroll.defvjp(_forward, _backward)
