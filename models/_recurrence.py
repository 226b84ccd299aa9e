"""What the recurrent architectures share: the scan over time, initial recurrent weights, noise.

A cell is two pure functions of a state (an array, or a NamedTuple of arrays, each `(trial, unit)`):

    cell(floats, state, drive, recurrent, noise) -> state
    rate(state) -> (trial, unit)

`drive` is the projected input `x_t W_in + b`, computed for all time steps in one product outside the scan, and
`recurrent` is `rate(state) W + bias`, one product per step; the cell gets both as a list with one (trial, unit) array
per gate. `noise` is an array or None; `floats` holds the traced fields that the cell needs, such as alpha.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from models._layers import scaled

Gates = Sequence[jax.Array]
Cell = Callable[[Any, Any, Gates, Gates, jax.Array | None], Any]
Rate = Callable[[Any], jax.Array]

INITS = ("orthogonal", "normal", "identity")


def recurrent_init(name: str, gain: Any, gates: int = 1) -> Callable[..., jax.Array]:
    """Initial recurrent weights `(unit, gates x unit)`, each gate's square block drawn by itself.

    - "orthogonal": gain Q, Q uniform over orthogonal matrices; spectral radius gain (Saxe et al. 2014).
    - "normal": gain / sqrt(N) times standard normals; spectral radius near gain (Sompolinsky et al. 1988).
    - "identity": gain I (Le et al. 2015).
    """
    draws = {
        "orthogonal": jax.nn.initializers.orthogonal(),
        "normal": jax.nn.initializers.variance_scaling(1.0, "fan_in", "normal"),
        "identity": lambda key, shape, dtype: jnp.eye(*shape, dtype=dtype),
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


def advance(
    cell: Cell, rate: Rate, weight: jax.Array, bias: jax.Array | None, floats: Any, state: Any, drive: jax.Array
) -> Any:
    """One noise-free time step: the next state, of arguments as in `unroll`; `drive` is (trial, gates x unit)."""
    return _advance(cell, rate, weight, bias, floats, state, split(drive, weight.shape[0]))


def _advance(
    cell: Cell,
    rate: Rate,
    weight: Any,
    bias: Any,
    floats: Any,
    state: Any,
    drive: Any,
    noise: Any = None,
    tap: Any = None,
) -> Any:
    recurrent = rate(state) @ weight
    if bias is not None:
        recurrent = recurrent + bias[None]
    gates = split(recurrent, weight.shape[0])
    if tap is not None:
        gates = [plus(gate, zero) for gate, zero in zip(gates, tap)]
    return cell(floats, state, drive, gates, noise)


def unroll(
    cell: Cell,
    rate: Rate,
    weight: jax.Array,
    bias: jax.Array | None,
    floats: Any,
    state: Any,
    drive: jax.Array,
    noise: jax.Array | None = None,
    *,
    inside: tuple[int, ...] = (),
) -> jax.Array:
    """Runs a cell over time; gives the rates, (time, trial, unit).

    Equal to a `lax.scan` of `advance`, gradients included, but faster to train: a plain scan's backward pass adds
    `rate_{t-1}^T delta_t` to the gradient of `weight` at every step; here delta, the gradient of the recurrent input,
    is kept for all steps and the weight's gradient is formed afterwards as one product,
    `dW = sum_t rate_{t-1}^T delta_t`.
    It has a custom reverse rule: `jax.grad`, also `jvp` of `grad`, work through it, a bare `jax.jvp` does not;
    for forward-mode derivatives use the model's `step`.

    Args:
      cell, rate: see the module's text; static, and nothing traced may be closed over.
      weight: (unit, gates x unit).
      bias: (gates x unit,), or None where the drive's bias says it all.
      floats: traced numbers for the cell: hyperparameters, to which no gradient flows.
      state: initial state; cast to the drive's dtype.
      drive: (time, trial, gates x unit).
      noise: (time, trial, unit) or None.
      inside: the gates whose recurrent input the cell does not simply add to their drive. Their delta is taken at
        a zero added to the recurrent input; that of the others is the drive's gradient.
    """
    dtype = drive.dtype
    state, floats = jax.tree.map(lambda x: jnp.asarray(x, dtype), (state, floats))
    # Gates go into the scan as separate arrays: XLA's CPU code for slices of one is 2.7 times slower (GRU, forward).
    return _unroll(cell, rate, inside, weight, bias, floats, state, split(drive, weight.shape[0]), noise)


def _scan(
    cell: Cell, rate: Rate, weight: Any, bias: Any, floats: Any, state: Any, drive: Any, noise: Any, tap: Any
) -> jax.Array:
    def body(state: Any, now: Any) -> tuple[Any, jax.Array]:
        state = _advance(cell, rate, weight, bias, floats, state, *now)
        return state, rate(state)

    return lax.scan(body, state, (drive, noise, tap))[1]


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _unroll(
    cell: Cell,
    rate: Rate,
    inside: tuple[int, ...],
    weight: Any,
    bias: Any,
    floats: Any,
    state: Any,
    drive: Any,
    noise: Any,
) -> jax.Array:
    return _scan(cell, rate, weight, bias, floats, state, drive, noise, None)


def _forward(
    cell: Cell,
    rate: Rate,
    inside: tuple[int, ...],
    weight: Any,
    bias: Any,
    floats: Any,
    state: Any,
    drive: Any,
    noise: Any,
) -> tuple[jax.Array, Any]:
    # weight and bias are constants of this vjp: their gradients come from delta, after the backward scan. So are the
    # floats: nobody trains a hyperparameter, and its gradient would be a reduction in every step.
    run = partial(_scan, cell, rate, weight, bias, floats)
    tap = [jnp.zeros_like(gate) if i in inside else None for i, gate in enumerate(drive)]
    rates, pullback = jax.vjp(run, state, drive, noise, tap)
    previous = jnp.concatenate([rate(state)[None], rates[:-1]])
    return rates, (pullback, previous, weight, bias, floats)


def _backward(cell: Cell, rate: Rate, inside: tuple[int, ...], residuals: Any, cotangent: jax.Array) -> tuple[Any, ...]:
    pullback, previous, weight, bias, floats = residuals
    d_state, d_drive, d_noise, d_tap = pullback(cotangent)
    delta = jnp.concatenate([plain if tap is None else tap for plain, tap in zip(d_drive, d_tap)], axis=-1)
    d_weight = jnp.einsum("tbi,tbj->ij", previous, delta).astype(weight.dtype)
    d_bias = None if bias is None else delta.sum((0, 1)).astype(bias.dtype)
    return d_weight, d_bias, jax.tree.map(jnp.zeros_like, floats), d_state, d_drive, d_noise


_unroll.defvjp(_forward, _backward)
