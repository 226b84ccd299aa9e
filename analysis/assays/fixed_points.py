"""Fixed points: states that a network stays in under an input that stays, stable ones and saddles, of every network.

A fixed point x of the time step F has F(x) = x. Perturbations decay along modes of F's Jacobian J whose eigenvalues
have a modulus below 1, and grow along the others, the unstable modes: none of a stable point, one or more of a saddle
(Sussillo & Barak 2013, Neural Computation 25:626; Golub & Sussillo 2018, JOSS 3:1003).

Starts are states that the network visits on the probe; more follow midway of every two points found, until a round
finds nothing new, and then a third of the way, unless the indices say that an even number is missing at most (below).
Each descends on its own (Levenberg-Marquardt), is made exact by Newton's method in double precision, and counts as a
fixed point by its speed |F(x) - x| and by the length of its Newton step: low speed alone admits ghosts.
Points nearer than 1e-5 of the range of visited states are one, in whatever order they were found.

Where a ball of states is mapped into itself, the indices of all points, the signs of det(I - J), add up to 1: another
sum says that some were not found. That it is 1 does not say that all were: a single start has found one point. So a
search counts as complete where the sum is 1 and at most a twentieth of all starts that converged came to a point that
no other came to, which is the probability that one more start would find a new one (Good 1953, Biometrika 40:237).

On the kink of an activation, as at 0 in a network with ReLU and without bias, the step has no Jacobian: such points
count, but have no unstable modes, no eigenvalues and no index.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from analysis.assays import _pictures, _point_figures
from analysis.assays._assayed import Assayed
from analysis.dynamics import search
from analysis.dynamics.newton import MARGIN, indices
from analysis.dynamics.search import Ends, Found, Range, Settings
from analysis.dynamics.states import layout_of
from models import Static, setting
from zoo import lookup
from zoo.spec.fields import name_of
from zoo.tasks import static_inputs


@dataclasses.dataclass(frozen=True)
class Assay:
    """See the module's text.

    Attributes:
      inputs: names of the task's static inputs; all of them where none is named.
      period: time steps after which a point is where it was: 1 of fixed points, k of cycles of k steps, with which
        those of all its divisors are found.
      starts: from visited states, of every network and input.
      spread: standard deviation of the noise on these, of the range of visited states.
      reach: distance from their mean, of their range, beyond which a start has escaped and no point counts.
      rounds: of starts between points, at most.
    """

    inputs: tuple[str, ...] = ()
    period: int = setting(1, least=1, most=16)
    starts: int = setting(256, least=1, most=4096)
    spread: Static[float] = setting(0.0, least=0.0)
    reach: Static[float] = setting(10.0, above=0.0)
    rounds: int = setting(8, least=0)

    takes: ClassVar[frozenset[str]] = frozenset({"recurrent", "environment"})
    needs: ClassVar[tuple[str, ...]] = ()

    def run(self, population: Assayed) -> xr.Dataset:
        """Variables `(member, input)`: points, marginal, outside, kinks, unseen, index_sum, and how starts ended;
        `(member, input, modes)`: points_by_modes; `(member, input, point)`: speed, newton_step, unstable, starts,
        distance; `(member, input, point, coordinate)`: state; `(member, input, point, mode)`: eigenvalue_real,
        eigenvalue_imaginary; along principal components of visited states `(member, visit, component)`: visited,
        `(member, input, point, component)`: projection, and `(member, component)`: explained. NaN where there is no
        such point, of a kink what needs a Jacobian, and index_sum where no ball is known to be mapped into itself, or a
        point has an eigenvalue of 1 or none."""
        names, inputs = self._inputs(population.task)
        probe = population.probe
        weights = (np.arange(probe.inputs.shape[1]) < probe.lasts[:, None]).astype(np.float32)
        if not hasattr(population.model, "step"):
            raise ValueError(f"{name_of(population.model)} has no step; fixed points are those of a step.")
        where = Range(*population.map(search.visiting(self.starts), [np.asarray(probe.inputs), weights]))
        bounded = getattr(population.model, "bounded", False)
        settings = Settings(self.period, self.starts, self.spread, self.reach, self.rounds, bounded)
        found = search.fixed_points(population.map, population.members, where, inputs, settings)
        variables = population.trained.variables(population.members[0])
        coordinates = layout_of(population.model, variables).coordinates
        result = _labelled(population.members, names, coordinates, found, bounded)
        return result.assign(_projected(where, result["state"].to_numpy()))

    def _inputs(self, task: Any) -> tuple[list[str], np.ndarray]:
        known = static_inputs(task)
        for name in self.inputs:
            if name not in known:
                raise ValueError(f"The task has no static input {name!r}; {lookup.nearest(name, known)}.")
        names = list(self.inputs or known)
        return names, np.stack([known[name] for name in names])

    def tables(self, result: xr.Dataset) -> Iterator[tuple[str, pd.DataFrame]]:
        """A row per network, state and input: how many points, of which kinds, and how the search went."""
        for name, part in _pictures.probes(result):
            rows = []
            for m, i in np.ndindex(part.sizes["member"], part.sizes["input"]):
                at = part.isel(member=m, input=i)
                if np.isnan(at["points"]):  # another task's input
                    continue
                kinds = {f"unstable_{k}": int(n) for k, n in enumerate(np.nan_to_num(at["points_by_modes"]))}
                total = at["index_sum"].item()
                rows.append(
                    {
                        **{column: at[column].item() for column in ("member", "trained", "input")},
                        "points": int(at["points"]),
                        **kinds,
                        "marginal": int(at["marginal"]),
                        "outside": int(at["outside"]),
                        "kinks": int(at["kinks"]),
                        "index_sum": "" if np.isnan(total) else int(total),
                        "complete": "" if np.isnan(total) else total == 1 and at["unseen"].item() <= UNSEEN,
                        **{end: int(at[end]) for end in Ends._fields},
                    }
                )
            yield name, pd.DataFrame(rows)

    def lines(self, result: xr.Dataset) -> list[str]:
        """A line per probe, input and state."""
        lines = []
        for name, of_probe in _pictures.probes(result):
            for input_ in of_probe["input"].to_numpy().tolist():
                for state, part in _pictures.states(of_probe.sel(input=input_)):
                    if len(rows := np.flatnonzero(np.isfinite(part["points"]))):
                        lines.append(f"{name}, {input_}, {state}: {self._line(part.isel(member=rows))}")
        return lines

    def _line(self, part: xr.Dataset) -> str:
        points = part["points"].to_numpy()
        kinds = np.nan_to_num(part["points_by_modes"].to_numpy()).astype(int)
        most, count = _commonest(kinds)
        what = "fixed points" if self.period == 1 else f"points of cycles of {self.period} steps or a divisor"
        shape = ", ".join(f"{n} with {k}" for k, n in enumerate(most) if n) or "none"
        words = [
            f"{what} {np.median(points):g} (median of {len(points)} networks, {points.min():g} to {points.max():g})",
            f"by unstable modes {shape} in {count} of {len(points)}",
        ]
        if outside := int(part["outside"].sum()):
            words.append(f"{outside} of {int(points.sum())} points lie outside the range of visited states")
        if kinks := int(part["kinks"].sum()):
            words.append(f"{kinks} lie on the kink of an activation and have no unstable modes that could be told")
        if marginal := int(part["marginal"].sum()):
            words.append(f"{marginal} have a mode that neither grows nor decays, and may be places of a continuum")
        total = part["index_sum"].to_numpy()
        if (known := np.isfinite(total)).any():
            words.append(f"indices add up to 1 in {int((total[known] == 1).sum())} of {int(known.sum())}")
        ends = {end: float(part[end].sum()) for end in Ends._fields}
        words.append(f"{ends['converged'] / max(sum(ends.values()), 1):.1%} of starts converged")
        if not points.any():
            words.append("no start came to a fixed point")
        return "; ".join(words)

    def figures(self, result: xr.Dataset) -> Iterator[tuple[str, Figure]]:
        """Per probe, how many points of each kind every network has, and the eigenvalues of all of them; and where they
        lie among the visited states of a few networks."""
        for name, of_probe in _pictures.probes(result):
            yield name, _point_figures.counts(name, of_probe)
            if of_probe["points"].any():
                yield f"{name}-states", _point_figures.places(name, of_probe)


UNSEEN = 0.05
"""Share of starts that alone came to their point up to which a search counts as complete."""
COUNTS = ("points", "marginal", "outside", "kinks", "unseen", "index_sum")


COMPONENTS, MOST_VISITS = 3, 256
"""Principal components of visited states that points are projected on, and visited states that are kept along them."""


def _projected(where: Range, states: np.ndarray) -> dict[str, Any]:
    """Some visited states, and the points, along the principal components of the states that starts were drawn from."""
    members, count, _ = where.starts.shape
    kept = min(count, MOST_VISITS)
    visited = np.full((members, kept, COMPONENTS), np.nan)
    points, explained = np.full((*states.shape[:3], COMPONENTS), np.nan), np.full((members, COMPONENTS), np.nan)
    for m, (starts, centre) in enumerate(zip(where.starts.astype(np.float64), where.centre)):
        if not np.isfinite(starts).all() or not (away := starts - centre).any():
            continue
        _, lengths, axes = np.linalg.svd(away, full_matrices=False)
        few = min(COMPONENTS, len(axes))
        explained[m, :few] = (lengths**2 / (lengths**2).sum())[:few]
        visited[m, :, :few] = away[:kept] @ axes[:few].T
        points[m, ..., :few] = (states[m] - centre) @ axes[:few].T
    about = "along the principal components of visited states"
    return {
        "visited": (("member", "visit", "component"), visited, {"long_name": f"some visited states {about}"}),
        "projection": (("member", "input", "point", "component"), points, {"long_name": f"points {about}"}),
        "explained": (("member", "component"), explained, {"long_name": "share of the variance of visited states"}),
        "component": np.arange(COMPONENTS) + 1,
        "visit": np.arange(kept),
    }


def _commonest(kinds: np.ndarray) -> tuple[list[int], int]:
    """The commonest row, and how many are so."""
    rows, counts = np.unique(kinds, axis=0, return_counts=True)
    return rows[counts.argmax()].tolist(), int(counts.max())


def _labelled(
    members: list[str], names: list[str], coordinates: list[str], found: list[list[Found]], bounded: bool
) -> xr.Dataset:
    """What was found, in arrays that hold the network with most points."""
    shape, width = (len(members), len(names)), len(coordinates)
    most = max([1, *(len(one.states) for of_member in found for one in of_member)])
    states, real, imaginary = (np.full((*shape, most, width), np.nan) for _ in range(3))
    speed, step, unstable, starts, distance = (np.full((*shape, most), np.nan) for _ in range(5))
    counts = {name: np.zeros(shape) for name in COUNTS} | {end: np.zeros(shape) for end in Ends._fields}
    by_modes = np.zeros((*shape, width + 1))
    for m, i in np.ndindex(shape):
        one = found[m][i]
        here, size = (m, i, slice(len(one.states))), np.abs(one.eigenvalues)
        modes = np.where(one.kinked, np.nan, (size > 1 + MARGIN).sum(1))
        states[here], speed[here], step[here], unstable[here] = one.states, one.speeds, one.steps, modes
        starts[here], distance[here] = one.starts, one.distances
        real[here], imaginary[here] = np.real(one.eigenvalues), np.imag(one.eigenvalues)
        by_modes[m, i] = np.bincount(modes[~one.kinked].astype(int), minlength=width + 1)
        counts["points"][m, i] = len(one.states)
        counts["marginal"][m, i] = (np.abs(size - 1) <= MARGIN).any(1).sum()
        counts["outside"][m, i] = one.outside.sum()
        counts["kinks"][m, i] = one.kinked.sum()
        counts["unseen"][m, i] = one.starts[one.starts == 1].sum() / max(one.starts.sum(), 1)
        unknown = one.kinked.any() or (np.abs(one.eigenvalues - 1) <= MARGIN).any()
        counts["index_sum"][m, i] = indices(one.eigenvalues).sum() if bounded and not unknown else np.nan
        for end, number in one.ends._asdict().items():
            counts[end][m, i] = number
    kinds = by_modes[..., : max(1, int(np.flatnonzero(by_modes.any((0, 1))).max(initial=0)) + 1)]
    table, points = ("member", "input"), ("member", "input", "point")
    about = {
        "points": "fixed points, or points of cycles",
        "marginal": f"of these with an eigenvalue whose modulus is 1 to {MARGIN:g}",
        "outside": "of these further from the mean of the visited states than all of them",
        "kinks": "of these on the kink of an activation, where there is no Jacobian",
        "unseen": "share of converged starts that alone came to their point",
        "index_sum": "sum of the signs of det(I - J): 1 where all were found and a ball is mapped into itself",
        "converged": "starts that led to a fixed point",
        "slow": "starts that led to a slow place that is none",
        "stuck": "starts that came to where no step led to a slower place, which is not slow",
        "escaped": "starts that left the reach",
        "budget": "starts that were not at their end when the steps were",
    }
    return xr.Dataset(
        {
            **{name: (table, counts[name], {"long_name": words, "units": "1"}) for name, words in about.items()},
            "points_by_modes": ((*table, "modes"), kinds, {"long_name": "points with so many unstable modes"}),
            "speed": (points, speed, {"long_name": "|F(x) - x|"}),
            "newton_step": (points, step, {"long_name": "length of Newton's step"}),
            "unstable": (points, unstable, {"long_name": "unstable modes"}),
            "starts": (points, starts, {"long_name": "starts that came to the point, those between points too"}),
            "distance": (points, distance, {"long_name": "distance from the mean of visited states, of their range"}),
            "state": ((*points, "coordinate"), states, {"long_name": "state of the network"}),
            "eigenvalue_real": ((*points, "mode"), real, {"long_name": "eigenvalue of the Jacobian, real part"}),
            "eigenvalue_imaginary": ((*points, "mode"), imaginary, {"long_name": "its imaginary part"}),
        },
        {
            "member": members,
            "input": names,
            "modes": np.arange(kinds.shape[-1]),
            "point": np.arange(most),
            "coordinate": coordinates,
            "mode": np.arange(width),
        },
    )
