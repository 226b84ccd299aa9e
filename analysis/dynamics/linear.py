"""Networks made linear about points: Jacobians, their modes, and how far they foretell what the network does.

About a point x* under an input u*, with J = dF/dx and B = dF/du there, and f = F(x*, u*) - x*, which is 0 at a fixed
point,

    x(t + 1) - x* = f + J (x(t) - x*) + B (u(t) - u*).

A mode is an eigenvalue l of J with a right eigenvector r, J r = l r, and a left one s, s J = l s. States that differ by
r go on to differ by l r; s says how much of a difference is along r: s r = 1, and 0 of the r of other modes
(Sussillo & Barak 2013, Neural Computation 25:626).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from analysis.dynamics.newton import MARGIN
from analysis.dynamics.states import Flow, flow_of, input_jacobian_of, jacobian_of, layout_of, rates_of

DRAWS = 16
"""Starts of the simulations that a linear one is compared with."""


class Linearized(NamedTuple):
    """Networks about points, `(point, ...)`; modes by falling modulus, vectors of the first of them only.

    Attributes:
      eigenvalues: of J, `(point, coordinate)`, complex.
      right: eigenvectors of unit norm, `(point, vector, coordinate)`, complex.
      left: `(point, vector, coordinate)`, complex: with `right` of the same mode, without conjugation, 1.
      inputs: B, `(point, coordinate, unit)`.
      error: of the linear simulation, `(point,)`: root of the summed squared distance from the network's states, over
        that of these from the point.
      leading: right and left eigenvector of the first mode, and B, in coordinates in which inputs can be modulated: the
        rates, where the state is one array that the rates are a function of, else the state itself. `(point,
        coordinate)` twice, complex, and `(point, coordinate, unit)`.
    """

    eigenvalues: Any
    right: Any
    left: Any
    inputs: Any
    error: Any
    leading: tuple[Any, Any, Any]


def modes_of(jacobians: jax.Array, vectors: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Eigenvalues by falling modulus, and right and left eigenvectors of the first of them; on the CPU.

    Left ones are infinite or NaN of a mode that has no eigenvector of its own (a defective eigenvalue). Modes of one
    eigenvalue are made biorthonormal among those that are given.

    Args:
      jacobians: `(point, coordinate, coordinate)`.
      vectors: how many modes to give the eigenvectors of, at most as many as there are.
    """
    eigenvalues, left, right = lax.linalg.eig(jacobians)
    order = jnp.argsort(-jnp.abs(eigenvalues), axis=-1)
    eigenvalues = jnp.take_along_axis(eigenvalues, order, axis=-1)
    first = order[:, None, :vectors]
    left, right = (jnp.swapaxes(jnp.take_along_axis(v, first, axis=-1), 1, 2) for v in (left, right))
    left = left.conj()
    left = left / jnp.einsum("pvc,pvc->pv", left, right)[..., None]
    gram = jnp.einsum("pvc,pwc->pvw", left, right)
    apart = jnp.linalg.solve(gram, left)
    return eigenvalues, right, jnp.where(jnp.isfinite(apart), apart, left)


def simulation_error(
    flow: Flow, point: jax.Array, inputs: jax.Array, jacobian: jax.Array, starts: jax.Array, steps: int
) -> jax.Array:
    """How far a linear simulation is from the network: sqrt(sum |x_linear - x|^2 / sum |x - x*|^2), over starts and
    over the time steps after each.

    Args:
      flow: the network.
      point: x*, `(coordinate,)`.
      inputs: `(unit,)`.
      jacobian: J there, `(coordinate, coordinate)`.
      starts: x(0) - x*, `(start, coordinate)`.
      steps: how many.
    """
    held = jnp.broadcast_to(inputs[None], (len(starts), len(inputs)))
    drift = flow(point[None], inputs[None]) - point[None]

    def further(carry: Any, _: Any) -> Any:
        x, linear = carry
        x, linear = flow(x, held), drift + linear @ jacobian.T
        away = x - point[None]
        return (x, linear), (jnp.sum((linear - away) ** 2), jnp.sum(away**2))

    _, (wrong, size) = lax.scan(further, (point[None] + starts, starts), length=steps)
    return jnp.sqrt(wrong.sum() / size.sum())


@functools.cache
def linearizing(vectors: int, noise: float, steps: int, through_rates: bool) -> Any:
    """A function for `at_places` that gives `Linearized`, with the range of visited states, `(member,)`, beside: the
    same function each time, traced once.

    Args:
      vectors: modes to give the eigenvectors of.
      noise: root mean square distance of the simulations' starts from the point, of the range.
      steps: of the simulations.
      through_rates: whether the state is one array that the rates are a function of; see `has_rates_of_its_own`.
    """

    def linearize(bound: Any, variables: Any, key: Any, states: Any, inputs: Any, scale: Any) -> Linearized:
        flow = flow_of(bound.model, variables)
        jacobians, into = jacobian_of(flow)(states, inputs), input_jacobian_of(flow)(states, inputs)
        eigenvalues, right, left = modes_of(jacobians, vectors)
        width = states.shape[-1]
        starts = jax.random.normal(key, (DRAWS, width), states.dtype) * noise * scale / jnp.sqrt(width)
        error = jax.vmap(lambda x, u, j: simulation_error(flow, x, u, j, starts, steps))(states, inputs, jacobians)
        leading = right[:, 0], left[:, 0], into
        if through_rates:
            rates = rates_of(bound.model, variables)
            after, shown = jacobian_of(rates)(states, inputs), input_jacobian_of(rates)(states, inputs)
            leading = (*_in_rates(eigenvalues[:, 0], right[:, 0], left[:, 0], after), shown)
        return Linearized(eigenvalues, right, left, into, error, leading)

    return linearize


def has_rates_of_its_own(model: Any, variables: Any, width: int) -> bool:
    """Whether a network's state is one array and its rates are another: currents that a nonlinearity makes rates of.

    Args:
      model: its model.
      variables: its own.
      width: of its inputs.
    """
    layout = layout_of(model, variables)
    x = jnp.linspace(-1.0, 1.0, layout.width)[None]
    state, rate = model.apply(variables, layout.tree(x), jnp.ones((1, width)), method="step")
    row = layout.row(state)
    return len(layout.widths) == 1 and rate.shape == row.shape and not bool(jnp.array_equal(row, rate))


def _in_rates(eigenvalue: jax.Array, right: jax.Array, left: jax.Array, after: jax.Array) -> tuple[Any, Any]:
    """A mode in the coordinates of the rates g(x).

    With G = dg/dx, `after` is G J, since it is the rates of the next state that a step gives. There the right
    eigenvector is G r = G J r / l, of unit norm, and the left one z has z G = s: that which is least of those with
    z G J = s J = l s. It is 0 of rates that do not depend on the state.
    """
    moved = jnp.einsum("prc,pc->pr", after, right) / eigenvalue[:, None]
    size = jnp.linalg.norm(moved, axis=-1, keepdims=True)
    # What is inverted has s in its scale, so that it waits for the eigenvectors: two solvers of one program that run at
    # once on a CPU can wait for each other's threads for ever, as `zoo.devices.compilation.SOLVERS` says of programs.
    scale = jnp.abs(eigenvalue) * jnp.linalg.norm(left, axis=-1)
    inverse = jnp.linalg.pinv(after / scale[:, None, None]).astype(left.dtype)
    seen = jnp.einsum("p,pc,pcr->pr", eigenvalue / scale, left, inverse)
    return moved / size, seen * size


def time_constants(eigenvalues: np.ndarray, dt: float) -> np.ndarray:
    """-dt / log |l|, in the unit of dt: the time in which a mode decays to 1/e or, negative, grows e times as large;
    infinite where |l| is 1 up to `MARGIN`, and 0 at l = 0."""
    with np.errstate(divide="ignore"):
        rate = np.log(np.abs(eigenvalues))
        return np.where(np.abs(rate) <= MARGIN, np.inf, -dt / rate)


def frequencies(eigenvalues: np.ndarray, dt: float) -> np.ndarray:
    """|angle of l| / (2 pi dt), in Hz where dt is in ms: 0 of a positive eigenvalue, 500 / dt of a negative one, whose
    mode changes its sign at every time step."""
    return np.abs(np.angle(eigenvalues)) / (2 * np.pi * dt / 1000)


def participation_ratio(states: np.ndarray) -> float:
    """(sum of l)^2 / sum of l^2, with l the eigenvalues of the states' covariance: 1 of a line, k where k directions
    vary alike; NaN of fewer than three states, since two are always on a line, or of one place.

    Args:
      states: `(state, coordinate)`.
    """
    if len(states) < 3:
        return np.nan
    away = states - states.mean(0)
    total = (away**2).sum()
    return total**2 / ((away @ away.T) ** 2).sum() if total > 0 else np.nan
