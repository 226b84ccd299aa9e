"""What `perturbations` runs on the devices, and how its numbers are labelled."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from analysis.assays._held_out import activity_moments
from analysis.dynamics.modes import modes_of, turned
from analysis.dynamics.simulation import Intervention, linearised, simulated, within
from analysis.dynamics.states import flow_of, jacobian_of, visited_states
from zoo.keys import threefry_key

INTERVENTIONS = {
    "noise": "noise",
    "silence": "silenced units",
    "clamp": "units clamped to their mean",
    "drive": "driven units",
}
"""What can be done to units -> in words."""

NOISE_SEED, UNITS_SEED, MODES_SEED = 0x9E270001, 0x9E270002, 0x9E270003
"""Seeds of the noise, of the sets of units and of the random modes."""


class Removals(NamedTuple):
    """Modes that are removed, of every network and static input; NaN where there is none.

    Attributes:
      points: fixed points, `(member, input, coordinate)`.
      inputs: `(member, input, unit)`.
      right, left: of modes, and of random ones of the same norm, `(member, input, rank, 1 + draw, 2, coordinate)`.
      eigenvalues, norms: `(member, input, rank)`.
    """

    points: np.ndarray
    inputs: np.ndarray
    right: np.ndarray
    left: np.ndarray
    eigenvalues: np.ndarray
    norms: np.ndarray


@functools.cache
def intervening(
    window: tuple[int, int],
    levels: tuple[tuple[str, tuple[float, ...]], ...],
    is_number: bool,
    drive: float,
    draws: int,
    most: int,
) -> Any:
    """A function for `Assayed.map`: the score of a network, how many trials it is of, and kind -> its scores `(level,
    draw)`.

    Args:
      window: time steps.
      levels: of every kind.
      is_number: whether those of sets of units are their numbers, else fractions.
      drive: standard deviations.
      draws: of every level.
      most: trials that are taken.
    """

    def scores(bound: Any, variables: Any, key: Any, data: Any) -> Any:
        trials = jax.tree.map(lambda x: x[:most], bound.task.evaluation(data))
        count = len(trials.inputs)
        _, rates = simulated(bound.model, variables, trials.inputs)
        mean, variance = activity_moments(rates, trials.mask)
        deviation, units = jnp.sqrt(variance), rates.shape[-1]
        none = jnp.zeros(units)

        def score(what: Intervention, seed: int | None = None) -> Any:
            outputs, _ = simulated(bound.model, variables, trials.inputs, within(window, what, count, seed))
            return bound.task.score(outputs, trials)

        held_at = {"silence": none, "clamp": mean, "drive": drive * deviation}

        def noisy(given: Any) -> Any:
            level, draw = given
            return score(Intervention(none + 1, none, level * deviation, draw), NOISE_SEED)

        def held(kind: str, units: Any) -> Any:
            keeps = 1.0 if kind == "drive" else 0.0
            return score(Intervention(1 - (1 - keeps) * units, units * held_at[kind], none, 0))

        of_kinds = {}
        for kind, values in levels:
            if kind == "noise":
                each: Any = (
                    jnp.repeat(jnp.asarray(values, jnp.float32), draws),
                    jnp.tile(jnp.arange(draws), len(values)),
                )
                run: Any = noisy
            else:
                each, run = _at_random(units, values, is_number, draws), functools.partial(held, kind)
            if values:
                of_kinds[kind] = jax.lax.map(run, each).reshape(len(values), draws)
        # By the same program as what is perturbed, so that nothing done gives no other score, to the last bit.
        intact = jax.lax.map(functools.partial(held, "silence"), jnp.zeros((1, units)))[0]
        return intact, jnp.int32(count), of_kinds

    return scores


def _at_random(units: int, levels: tuple[float, ...], is_number: bool, draws: int) -> jax.Array:
    """Random sets of units, 1 in a set and 0 outside, `(level x draw, unit)`; the larger of a draw has the smaller."""
    if not levels:
        return jnp.zeros((0, units))
    numbers = [min(round(x) if is_number else max(round(x * units), int(x > 0)), units) for x in levels]
    keys = jax.vmap(lambda i: jax.random.fold_in(threefry_key(UNITS_SEED), i))(jnp.arange(draws))
    places = jax.vmap(lambda key: jax.random.permutation(key, units))(keys)
    held = places[None] < jnp.asarray(numbers)[:, None, None]
    return held.reshape(-1, units).astype(jnp.float32)


def centre(bound: Any, variables: Any, key: Any, inputs: Any, weights: Any) -> Any:
    """The mean state that a network visits on the probe, `(coordinate,)`; weights are 1 where a time step counts."""
    states = visited_states(bound.model, variables, inputs)
    return (weights.T.reshape(-1) / weights.sum()) @ states.reshape(-1, states.shape[-1])


def nearest(states: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The fixed point nearest to the centre: `(member, input, point, coordinate)` -> `(member, input, coordinate)`; NaN
    where there is none."""
    distances = np.linalg.norm(states - centres[:, None, None], axis=-1)
    distances = np.where(np.isfinite(distances), distances, np.inf)
    return np.take_along_axis(states, distances.argmin(-1)[..., None, None], axis=2)[:, :, 0]


def jacobians(bound: Any, variables: Any, key: Any, points: Any, inputs: Any) -> Any:
    """Those of one step, `(input, coordinate, coordinate)`."""
    return jacobian_of(flow_of(bound.model, variables))(points, inputs)


def removals(points: np.ndarray, inputs: np.ndarray, jacobian: np.ndarray, modes: int, draws: int) -> Removals:
    """The leading modes of every Jacobian `(member, input, coordinate, coordinate)`, and random ones beside them."""
    shape = jacobian.shape[:2]
    right, left, values, norms = [], [], [], []
    for at in np.ndindex(shape):
        of_one = modes_of(jacobian[at], modes)
        random = turned(of_one, draws, MODES_SEED)
        right.append(np.concatenate([of_one.right[:, None], random[0]], axis=1))
        left.append(np.concatenate([of_one.left[:, None], random[1]], axis=1))
        values.append(of_one.eigenvalues)
        norms.append(of_one.norms)
    stacked = (np.stack(each).reshape(*shape, *each[0].shape) for each in (right, left, values, norms))
    return Removals(points, inputs, *stacked)


@functools.cache
def removing(linear: bool, most: int) -> Any:
    """A function for `Assayed.map`: the score of a network, or of its linearisation about every point, `(input,)`, and
    of the same without each mode, `(input, rank, 1 + draw)`, on the trials whose mean input is nearest to that input;
    NaN where there is none.

    Args:
      linear: whether it is the linearisation.
      most: trials that are taken.
    """

    def scores(bound: Any, variables: Any, key: Any, data: Any, points: Any, inputs: Any, right: Any, left: Any) -> Any:
        every = jax.tree.map(lambda x: x[:most], bound.task.evaluation(data))
        apart = jnp.linalg.norm(every.inputs.mean(1)[:, None] - inputs[None], axis=-1)
        whose = jnp.argmin(apart, axis=1)

        def of_input(given: Any) -> Any:
            place, point, input_, rights, lefts = given
            trials = every._replace(mask=jnp.where((whose == place)[:, None], every.mask, 0.0))
            flow = linearised(bound.model, variables, point, input_) if linear else None

            def score(vectors: Any) -> Any:
                right, left = vectors

                def without(x: Any) -> Any:
                    return x - ((x - point[None]) @ left.T) @ right

                outputs, _ = simulated(bound.model, variables, trials.inputs, changed=without, flow=flow)
                return jnp.where((whose == place).any(), bound.task.score(outputs, trials), jnp.nan)

            several = [each.reshape(-1, *each.shape[2:]) for each in (rights, lefts)]
            nothing = [jnp.concatenate([jnp.zeros((1, *each.shape[1:])), each]) for each in several]
            whole = jax.lax.map(score, tuple(nothing))
            return whole[0], whole[1:].reshape(rights.shape[:2])

        return jax.lax.map(of_input, (jnp.arange(len(points)), points, inputs, right, left))

    return scores


def labelled(
    members: list[str],
    about: Mapping[str, Any],
    levels: Mapping[str, tuple[float, ...]],
    scores: Mapping[str, np.ndarray],
    inputs: list[str],
    taken: Removals,
    unmodified: np.ndarray,
    without: np.ndarray,
    dt: float,
) -> xr.Dataset:
    """The result; what there is not is NaN.

    Args:
      members: their ids.
      about: name -> number, of all networks or of each.
      levels, scores: of every kind, as `intervening` has them.
      inputs: names of the static inputs.
      taken: the modes.
      unmodified, without: as `removing` gives them.
      dt: ms per time step.
    """
    every = sorted({float(level) for values in levels.values() for level in values}) or [0.0]
    draws = without.shape[-1] - 1
    score = np.full((len(members), len(INTERVENTIONS), len(every), draws), np.nan)
    for k, kind in enumerate(INTERVENTIONS):
        for place, level in enumerate(levels[kind]):
            score[:, k, every.index(float(level))] = scores[kind][:, place]
    known = np.isfinite(taken.points).all(-1)
    without = np.where(np.isfinite(taken.norms)[..., None], np.float64(without), np.nan)
    modulus, angle = np.abs(taken.eigenvalues), np.abs(np.angle(taken.eigenvalues))
    with np.errstate(divide="ignore", invalid="ignore"):
        constant, period = -dt / np.log(modulus), np.where(angle > 0, 2 * np.pi * dt / angle, np.nan)
    words = {
        "intact": ("score of the unperturbed network on these trials", "1"),
        "chance": ("score that counts as chance", "1"),
        "begin": ("beginning of the window", "ms"),
        "end": ("end of the window", "ms"),
        "trials": ("held-out trials taken", "1"),
    }
    of_member, of_mode = {}, ("member", "input", "rank")
    for name, (long, units) in words.items():
        values = np.broadcast_to(np.asarray(about[name], np.float64), len(members))
        of_member[name] = ("member", values, {"long_name": long, "units": units})
    points = known.astype(np.float64)
    variables = {
        "has_point": (("member", "input"), points, {"long_name": "1 where the network has a fixed point"}),
        "perturbed": (("member", "kind", "level", "draw"), score, {"long_name": "score when perturbed"}),
        "unmodified": (
            ("member", "input"),
            np.where(known, np.float64(unmodified), np.nan),
            {"long_name": "score of the system that modes are removed from"},
        ),
        "without_mode": (of_mode, without[..., 0], {"long_name": "score without the mode"}),
        "without_random": (
            (*of_mode, "draw"),
            without[..., 1:],
            {"long_name": "score without a mode of its norm in a random direction"},
        ),
        "modulus": (of_mode, modulus, {"long_name": "modulus of the mode's eigenvalue"}),
        "time_constant": (
            of_mode,
            constant,
            {"long_name": "time in which the mode decays to 1/e, negative where it grows", "units": "ms"},
        ),
        "period": (of_mode, period, {"long_name": "period of the mode, none of a real one", "units": "ms"}),
        "norm": (of_mode, taken.norms, {"long_name": "norm of the projection onto the mode, 1 of a normal one"}),
    }
    return xr.Dataset(
        {**of_member, **variables},
        {
            "member": members,
            "kind": list(INTERVENTIONS),
            "level": every,
            "draw": np.arange(draws),
            "input": inputs,
            "rank": np.arange(taken.norms.shape[-1]) + 1,
        },
    )
