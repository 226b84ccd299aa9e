"""The modes of linear networks as labelled arrays, and pictures of them: what `linearization` gives and draws."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from analysis.assays import _pictures
from analysis.dynamics.linear import Linearized, frequencies, participation_ratio, time_constants
from analysis.dynamics.newton import MARGIN
from analysis.dynamics.selection import MECHANISMS, Modes, alignments, selection_of

ONE_PLACE = 0.05
"""Root mean square distance from their mean, of the range of visited states, below which points are in one place, and
have no shape."""
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.75**0.5]])
"""Of the triangle of mechanisms, in their order."""
BEYOND = 1.5
"""How far from the middle of the triangle, whose sides are 1, a network is drawn at most."""
NOWHERE = complex(np.nan, np.nan)


class About(NamedTuple):
    """What a result is about.

    Attributes:
      members: ids.
      names: of the static inputs.
      coordinates: of the state.
      inputs: `(input, channel)`.
      dt: ms per time step.
    """

    members: list[str]
    names: list[str]
    coordinates: list[str]
    inputs: np.ndarray
    dt: float


def labelled(
    about: About,
    given: Mapping[tuple[int, int], Linearized],
    fixed: Sequence[Sequence[np.ndarray]],
    slow: Sequence[Sequence[np.ndarray]],
    scale: np.ndarray,
) -> xr.Dataset:
    """The modes of all networks, in arrays that hold the one with most points.

    Args:
      about: the networks.
      given: (network, input) -> networks made linear about points; {} where there is no point.
      fixed, slow: all fixed points and slow points, for every network and input.
      scale: range of visited states, `(member,)`.
    """
    shape = len(about.members), len(about.names)
    most = max([1, *(len(one.error) for one in given.values())])
    vectors = next((one.left.shape[1] for one in given.values()), 1)
    width, channels = len(about.coordinates), about.inputs.shape[1]
    values = {name: np.full(shape, np.nan) for name in BY_INPUT}
    eigenvalues = np.full((*shape, most, width), NOWHERE)
    errors = np.full((*shape, most), np.nan)
    right, left = (np.full((*shape, most, vectors, width), NOWHERE) for _ in range(2))
    projection = np.full((*shape, most, vectors, channels), NOWHERE)
    alignment = np.full((*shape, channels), np.nan)
    for m, i in np.ndindex(shape):
        _shapes(values, (m, i), fixed[m][i], slow[m][i], scale[m])
        count = len(given[m, i].error) if given else 0
        values["points"][m, i] = count
        values["left_out"][m, i] = max(len(fixed[m][i]) - count, 0)
        values["instead"][m, i] = count > 0 and not len(fixed[m][i])
        if not count:
            continue
        one, here = given[m, i], (m, i, slice(count))
        eigenvalues[here], errors[here], right[here], left[here] = one.eigenvalues, one.error, one.right, one.left
        projection[here] = np.einsum("pvc,pcu->pvu", one.left, one.inputs)
        alignment[m, i] = alignments(one.leading[1], one.leading[2])
        first = one.eigenvalues[:, 0]
        slowest = first[[np.abs(np.log(np.maximum(np.abs(first), 1e-300))).argmin()]]
        values["time_constant"][m, i] = time_constants(slowest, about.dt)[0]
        values["frequency"][m, i] = frequencies(slowest, about.dt)[0]
        values["real_share"][m, i] = _is_real(first).mean()
        stable = first[(np.abs(first) < 1 - MARGIN) & bool(len(fixed[m][i]))]
        values["stable_time_constant"][m, i] = time_constants(stable, about.dt).max() if len(stable) else np.nan
        values["median_error"][m, i] = np.median(one.error)
    at, by = ("member", "input", "point"), ("member", "input", "point", "mode")
    vector = (*at, "vector", "coordinate")
    unstable = np.where(np.isfinite(errors), (np.abs(eigenvalues) > 1 + MARGIN).sum(-1), np.nan)
    complex_ = {
        "eigenvalue": (by, eigenvalues, "eigenvalue of the Jacobian"),
        "right": (vector, right, "right eigenvector, of unit norm"),
        "left": (vector, left, "left eigenvector, 1 with the right one of its mode"),
        "projection": ((*at, "vector", "channel"), projection, "left eigenvector times the Jacobian of the input"),
    }
    variables: dict[str, Any] = {
        name: (("member", "input"), values[name], {"long_name": words, "units": units})
        for name, (words, units) in BY_INPUT.items()
    }
    for name, (dims, array, words) in complex_.items():
        variables[f"{name}_real"] = dims, np.real(array), {"long_name": f"{words}, real part"}
        variables[f"{name}_imaginary"] = dims, np.imag(array), {"long_name": f"{words}, imaginary part"}
    times, hertz = time_constants(eigenvalues, about.dt), frequencies(eigenvalues, about.dt)
    variables |= {
        "alignment": (("member", "input", "channel"), alignment, {"long_name": "|cosine| of leading left eigenvector"}),
        "unstable": (at, unstable, {"long_name": "unstable modes"}),
        "error": (at, errors, {"long_name": "relative error of the linear simulation"}),
        "mode_time_constant": (by, times, {"long_name": "-dt / log |eigenvalue|", "units": "ms"}),
        "mode_frequency": (by, hertz, {"long_name": "frequency of the mode", "units": "Hz"}),
        **_selections(about, given),
    }
    return xr.Dataset(
        variables,
        {
            "member": about.members,
            "input": about.names,
            "point": np.arange(most),
            "mode": np.arange(width),
            "vector": np.arange(vectors),
            "coordinate": about.coordinates,
            "channel": np.arange(channels),
            "mechanism": list(MECHANISMS),
        },
    )


BY_INPUT = {
    "points": ("points about which the network is made linear", "1"),
    "left_out": ("fixed points beyond the most that are taken", "1"),
    "instead": ("1 where these are slow points, for there is no fixed point", "1"),
    "real_share": ("share of these whose leading mode is real and not negative", "1"),
    "time_constant": ("time constant of the leading mode, where it is slowest; negative of one that grows", "ms"),
    "stable_time_constant": ("longest time constant of a stable fixed point", "ms"),
    "frequency": ("frequency of this mode; 0 of a real, positive one", "Hz"),
    "median_error": ("relative error of the linear simulation, median of points", "1"),
    "slow_points": ("visited states that led to a slow point", "1"),
    "slow_spread": ("root mean square distance of slow points from their mean, of the range", "1"),
    "slow_participation_ratio": ("participation ratio of slow points", "1"),
    "fixed_participation_ratio": ("participation ratio of all fixed points", "1"),
}
"""Variables `(member, input)`: what they are, and units."""


def _shapes(values: dict[str, Any], at: tuple[int, int], fixed: np.ndarray, slow: np.ndarray, scale: Any) -> None:
    """Writes what shape the fixed and the slow points of one network have."""
    values["slow_points"][at] = len(slow)
    for name, states in (("slow", slow.astype(np.float64)), ("fixed", fixed)):
        known = len(states) > 0 and scale > 0  # of a network that stays where it starts, there is no range
        spread = np.sqrt(((states - states.mean(0)) ** 2).sum(1).mean()) / scale if known else np.nan
        if name == "slow":
            values["slow_spread"][at] = spread
        if spread >= ONE_PLACE:
            values[f"{name}_participation_ratio"][at] = participation_ratio(states)


def _is_real(eigenvalues: np.ndarray) -> np.ndarray:
    return (np.imag(eigenvalues) == 0) & (np.real(eigenvalues) >= 0)


def _selections(about: About, given: Mapping[tuple[int, int], Linearized]) -> dict[str, Any]:
    """How every network selects what it integrates: variables of a result."""
    members, channels = len(about.members), about.inputs.shape[1]
    evidence = np.flatnonzero(np.ptp(about.inputs, axis=0) == 0) if len(about.inputs) > 1 else np.zeros(0, int)
    contexts, parallel = np.full(members, np.nan), np.full(members, np.nan)
    coordinates, selectivity = np.full((members, len(MECHANISMS)), np.nan), np.full((members, channels), np.nan)
    modulation = np.full((members, channels, len(MECHANISMS)), np.nan)
    for m in range(members) if len(evidence) else ():
        modes = []
        for i in range(len(about.names)) if given else ():
            real = _is_real(given[m, i].eigenvalues[:, 0])
            right, left, inputs = (np.real(part[real]) for part in given[m, i].leading)
            finite = np.isfinite(left).all(1) & np.isfinite(right).all(1)
            modes.append(Modes(right[finite], left[finite], inputs[finite]))
        contexts[m] = sum(len(each.right) > 0 for each in modes)
        selected = selection_of(modes, evidence)
        coordinates[m], parallel[m] = selected.coordinates, selected.parallel
        selectivity[m, evidence], modulation[m, evidence] = selected.selectivity, selected.by_channel
    by = ("member", "channel")
    words = "part of what an input moves the state more in one context than in another"
    return {
        "contexts": ("member", contexts, {"long_name": "inputs under which a leading mode is real and positive"}),
        "parallel": ("member", parallel, {"long_name": "|cosine| between the leading modes of contexts"}),
        "selectivity": (by, selectivity, {"long_name": "difference of what an input does, of its sum over contexts"}),
        "modulation": ((*by, "mechanism"), modulation, {"long_name": words}),
        "coordinates": (("member", "mechanism"), coordinates, {"long_name": "shares of the mechanisms of selection"}),
    }


def draw_modes(left: Any, right: Any, result: xr.Dataset) -> None:
    """The leading mode's time constant and frequency, and the slow points' participation ratio, of every network.

    Args:
      left, right: axes.
      result: of the networks on one probe.
    """
    there = np.isfinite(result["points"].transpose("member", "input").to_numpy()).any(0)
    names = result["input"].to_numpy()[there]
    for place, (state, part) in enumerate(_pictures.states(result)):
        for i, name in enumerate(names):
            at = part.sel(input=name)
            time, real = at["time_constant"].to_numpy(), at["frequency"].to_numpy() == 0
            spread = np.linspace(-0.12, 0.12, len(time)) if len(time) > 1 else np.zeros(1)
            x = i + 0.4 * place - 0.2 + spread
            for grows, mark in ((False, "o"), (True, "^")):
                for is_real, face in ((True, f"C{place}"), (False, "none")):
                    of = (real == is_real) & ((time < 0) == grows) & np.isfinite(time)
                    left.plot(x[of], np.abs(time[of]), mark, ms=4, color=f"C{place}", mfc=face)
            ratio = at["slow_participation_ratio"].to_numpy()
            right.plot(x, ratio, ".", color=f"C{place}", label=state if i == 0 else None)
    for face, mark, word in (("0.3", "o", "real"), ("none", "o", "oscillating"), ("0.3", "^", "growing")):
        left.plot([], [], mark, ms=4, color="0.3", mfc=face, label=word)
    left.set_yscale("log")
    left.set_ylabel("|time constant| of the leading mode, ms")
    right.set_ylabel("participation ratio of slow points\n(1: a line)")
    right.set_ylim(bottom=0.9)
    for axes in (left, right):
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.legend(fontsize=8)


def draw_triangle(axes: Any, result: xr.Dataset) -> None:
    """Every network among the three mechanisms of selection.

    Args:
      axes: where.
      result: of the networks on one probe.
    """
    axes.plot(*CORNERS[[0, 1, 2, 0]].T, color="0.6", lw=0.8)
    outside, shown = 0, [CORNERS]
    for place, (state, part) in enumerate(_pictures.states(result)):
        shares = part["coordinates"].to_numpy()
        at = shares[np.isfinite(shares).all(1)] @ CORNERS
        near = np.linalg.norm(at - CORNERS.mean(0), axis=1) <= BEYOND
        outside += int((~near).sum())
        shown.append(at[near])
        axes.plot(*at[near].T, ".", color=f"C{place}", label=state, zorder=3 - place)
    for corner, name, align in zip(CORNERS, MECHANISMS, ("top", "top", "bottom")):
        axes.text(*corner, name, ha="center", va=align, fontsize=8)
    low, high = np.concatenate(shown).min(0) - 0.2, np.concatenate(shown).max(0) + 0.2
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title("what selects the input" + (f" ({outside} further out)" if outside else ""), fontsize=9)
    axes.legend(fontsize=8)
