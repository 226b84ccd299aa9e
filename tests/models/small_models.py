"""A small network of every architecture, its inputs and its passes."""

import dataclasses
import importlib
import typing
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import models

FILES = sorted(path.stem for path in Path(models.__file__).parent.glob("*.py") if not path.stem.startswith("_"))
# Small sizes; a new file is tested with its defaults, small where it has `hidden` units, until it is named here.
SMALL: dict[str, dict[str, Any]] = {
    "cnn": dict(channels=(3, 4), dense=(6,), normalization="batch"),
    "mlp": dict(layers=(6, 5)),
    "resnet": dict(channels=(3, 4), blocks=1),
    "vanilla": dict(continuous=True),
}
GIVEN = {"outputs": 2, "hidden": 7, "dt": 20.0}
INPUTS = {"recurrent": (4, 6, 3), "feedforward": (4, 5, 3), "convolutional": (4, 9, 7, 2)}
INIT, NOISE, DATA = jax.random.key(0), jax.random.key(1), jax.random.key(2)


def make(file: str, **fields: Any) -> Any:
    Model = importlib.import_module(f"models.{file}").Model
    given = {f.name: GIVEN[f.name] for f in dataclasses.fields(Model) if f.name in GIVEN}
    return Model(**{**given, **SMALL.get(file, {}), **fields})


RECURRENT = [file for file in FILES if make(file).family == "recurrent"]


@cache
def inputs_of(family: str) -> Any:
    return jax.random.normal(DATA, INPUTS[family], jnp.float32)


@cache
def start(model: Any) -> Any:
    """Its initial variables and some inputs."""
    with jax.enable_x64(False):  # kept for all tests, whichever asks first
        x = inputs_of(model.family)
        return jax.jit(model.init)(INIT, x), x


def trained(model: Any) -> Any:
    """Variables as training could leave them, where nothing is at a special value, and some inputs; float64."""
    variables, x = start(model)
    leaves, tree = jax.tree.flatten(variables["params"])
    keys = jax.random.split(NOISE, len(leaves))
    params = tree.unflatten([p + 0.2 * jax.random.normal(key, p.shape) for key, p in zip(keys, leaves)])
    return jax.tree.map(lambda a: jnp.asarray(a, "float64"), ({**variables, "params": params}, x))


def traced_fields(model: Any) -> dict[str, Any]:
    """Name -> its dataclass field."""
    hints = typing.get_type_hints(type(model), include_extras=True)
    return {f.name: f for f in dataclasses.fields(model) if hints.get(f.name) is float and "given" not in f.metadata}


def two_values(field: Any) -> Any:
    """Two values of a traced field, neither its default."""
    at = np.array([0.7, 0.9], np.float32)
    return field.default * at if field.default and "off" not in field.metadata else field.default + at / 3


def train(model: Any, variables: Any, inputs: Any, **floats: Any) -> Any:
    """Outputs, representations and new batch statistics of a training pass under other floats."""
    model = model.clone(**floats)
    return model.apply(variables, inputs, train=True, rngs={"noise": NOISE}, mutable=["batch_stats"])


def outputs_and_gradients(model: Any, variables: Any, x: Any) -> Any:
    """Of a training pass: gradients of parameters and inputs, outputs and representations."""

    def loss(params: Any, x: Any) -> Any:
        (outputs, representations), _ = train(model, {**variables, "params": params}, x)
        return (outputs**2).sum(), (outputs, representations)

    return jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(variables["params"], x)


def one_by_one(model: Any, variables: Any, inputs: Any, perturb: Any = None) -> tuple[Any, Any]:
    """Outputs and rates of a recurrent model by a plain scan of its methods."""

    def body(state: Any, now: Any) -> Any:
        following, rate = model.apply(variables, state, now, perturb, method="step")
        return following, (model.apply(variables, state, now, perturb, method="respond")[1], rate)

    state = model.apply(variables, len(inputs), method="initial_state")
    by_time = lax.scan(body, state, jnp.swapaxes(inputs, 0, 1))[1]
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), by_time)


def layers_of(model: Any, representations: Any) -> list[str]:
    """The layers that can be perturbed."""
    return ["rate"] if model.family == "recurrent" else [name for name in representations if name[-4:] != ".pre"]


def perturbation(layers: Any, representations: Any, unit: int | None = None, scale: float = 1.0) -> Any:
    """(scale, 0) for one unit, or for all, (1, 0) for the others."""
    by = {}
    for layer in layers:
        units = representations[layer].shape[-1]
        chosen = jnp.arange(units) == (jnp.arange(units) if unit is None else unit)
        by[layer] = (jnp.where(chosen, scale, 1.0), jnp.zeros(units))
    return by


def assert_close(a: Any, b: Any, atol: float = 1e-6) -> None:
    jax.tree.map(partial(np.testing.assert_allclose, rtol=atol, atol=atol), a, b)


def assert_equal(a: Any, b: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)
