"""What several architectures share: activations, scaled initial weights, dropout, perturbed rates."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from models import is_before_nonlinearity, on
from models._products import Dense

Activation = Callable[[jax.Array], jax.Array]
Perturbation = Mapping[str, tuple[Any, Any]]
"""Layer -> (scale, shift), each `(unit,)` or `(channel,)`; of rates also `(trial, unit)`."""

ACTIVATIONS: dict[str, Activation] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "softplus": jax.nn.softplus,
    "sigmoid": jax.nn.sigmoid,
    "elu": jax.nn.elu,
    "retanh": lambda x: jnp.tanh(jax.nn.relu(x)),
    "power": lambda x: jnp.square(jax.nn.relu(x)),
    "linear": lambda x: x,
}
"""Name -> nonlinearity f, elementwise; the derivative of those with a kink is 0 at 0."""


SATURATING = ("tanh", "sigmoid", "retanh")
"""Those whose values lie between two bounds."""


def activation(name: str) -> Activation:
    """The nonlinearity called `name`."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation is {name!r}, but must be one of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]


def scaled(initializer: Callable[..., jax.Array], gain: Any) -> Callable[..., jax.Array]:
    """`gain` times an initializer: the draws depend on the key alone, so a traced gain only scales them."""
    return lambda key, shape, dtype=jnp.float32: initializer(key, shape, dtype) * jnp.asarray(gain, dtype)


def feedforward_init(name: str, gain: Any) -> Callable[..., jax.Array]:
    """Initial weights before the nonlinearity `name`: sd = gain sqrt(c / fan-in), truncated at two sd.

    c = 2 where half of the inputs are cut off (He et al. 2015), else 1 (LeCun et al. 1998).
    """
    c = 2.0 if name in ("relu", "elu", "retanh", "power") else 1.0
    return scaled(jax.nn.initializers.variance_scaling(c, "fan_in", "truncated_normal"), gain)


def dropout(x: jax.Array, rate: Any, key: jax.Array) -> jax.Array:
    """Sets each unit to 0 with probability `rate` and divides the others by 1 - rate (Srivastava et al. 2014).

    Unlike `nn.Dropout` it never branches on the rate, which may be traced.
    """
    keep = 1.0 - jnp.asarray(rate, x.dtype)
    return jnp.where(jax.random.bernoulli(key, keep, x.shape), x / keep, jnp.zeros_like(x))


def perturbed(r: jax.Array, perturb: Perturbation | None, layer: str, axis: int = -1) -> jax.Array:
    """`scale r + shift` where the layer is perturbed, else r: (0, 0) is a lesion, (1, s) a drive.

    Args:
      r: the layer's rates.
      perturb: layer -> (scale, shift), each `(unit,)`; or, where r is `(trial, unit)`, as r or `(1, unit)`.
      layer: its name.
      axis: of r, that of units or channels.
    """
    if not perturb or layer not in perturb:
        return r
    units, shape = r.shape[axis], [1] * r.ndim
    shape[axis] = units
    scale, shift = (jnp.asarray(x, r.dtype) for x in perturb[layer])
    for x in (scale, shift):
        if x.shape != (units,) and not (r.ndim == 2 and x.shape in (r.shape, (1, units))):
            raise ValueError(f"perturb has an array of shape {x.shape} for {layer}, but it must be ({units},).")
    scale, shift = (x.reshape(shape) if x.ndim == 1 else x for x in (scale, shift))
    return scale * r + shift


def check_layers(perturb: Perturbation | None, layers: Iterable[str]) -> None:
    """Refuse to perturb a layer that is not there; what comes before a nonlinearity is none."""
    known = [layer for layer in layers if not is_before_nonlinearity(layer)]
    for layer in perturb or ():
        if layer not in known:
            raise ValueError(f"perturb names the layer {layer!r}, but must name one of {', '.join(known)}.")


def dense_layers(
    module: Any,
    x: jax.Array,
    units: Sequence[int],
    name: str,
    train: bool,
    perturb: Perturbation | None,
    first: Callable[..., Any] = Dense,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Dense layers r_l = f(r_{l-1} W_l + b_l) with dropout after f in training, inside a module's compact method.

    Args:
      module: has `gain` and `dropout`.
      x: `(trial, unit)`, or what `first` takes.
      units: of each layer.
      name: of f.
      train: whether units are dropped.
      perturb: layer -> (scale, shift) of its rates.
      first: the class of the first layer.

    Returns:
      The last layer's rates, and {"dense1.pre": before f, "dense1": after it, ...}.
    """
    f, init = activation(name), feedforward_init(name, module.gain)
    representations = {}
    for layer, count in enumerate(units, start=1):
        kind: Callable[..., Any] = first if layer == 1 else Dense
        x = kind(count, kernel_init=init, name=f"dense{layer}")(x)
        representations[f"dense{layer}.pre"] = x
        x = perturbed(f(x), perturb, f"dense{layer}")
        representations[f"dense{layer}"] = x
        if train and on(module.dropout):
            x = dropout(x, module.dropout, module.make_rng("noise"))
    return x, representations
