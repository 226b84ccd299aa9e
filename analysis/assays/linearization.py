"""Networks made linear about their fixed points: modes, time constants, line attractors and selection vectors.

A mode of the Jacobian at a point has an eigenvalue l, a time constant -dt / log |l| in ms, negative of a mode that
grows, and a frequency |angle of l| / (2 pi dt) in Hz. The leading mode has the largest |l|. Of a line attractor it is
real, and |l| nearly 1, along the line (Mante et al. 2013, Nature 503:78; Sussillo & Barak 2013, Neural Computation
25:626); trained networks often have a complex pair instead, so that what is reported is the fraction with each.

Slow points say what shape the attractor is, by the participation ratio of their covariance, 1 of a line: the states at
which descent of the speed from visited states first comes below `slow`. Where the search found no fixed point under an
input, as of an exact line attractor, where no point is isolated, networks are made linear about some of these instead.

Where a task has several static inputs, contexts, that are alike in some channels, its evidence, the coordinates of a
network are the shares of what makes it integrate one input in one context and not in another: direct input, indirect
input and selection vector (Pagan et al. 2025, Nature 639:421; `analysis/dynamics/selection.py` has the formula), in
coordinates of the rates where the state is a current, since to a current inputs add up the same in every context.
"""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from analysis.assays import _linear_modes, _pictures
from analysis.assays._assayed import Assayed
from analysis.dynamics import search
from analysis.dynamics.linear import has_rates_of_its_own, linearizing
from analysis.dynamics.packing import at_places
from analysis.dynamics.search import Range
from analysis.dynamics.states import layout_of
from models import Static, setting
from zoo.tasks import static_inputs
from zoo.wording import counted

SLOW_REACH = 10.0
"""Distance from the mean of visited states, of their range, beyond which no slow point counts."""
INSTEAD = 8
"""Slow points that stand for a network without fixed points at most."""


@dataclasses.dataclass(frozen=True)
class Assay:
    """See the module's text.

    Attributes:
      points: fixed points of a network and input at most, those with fewest unstable modes first.
      vectors: modes whose eigenvectors are given, those of the largest moduli.
      noise: distance from the point at which the simulations start, root mean square, of the range of visited states.
      steps: time steps of the simulations.
      starts: visited states from which slow points are looked for.
      slow: speed of a slow point at most, of the range of visited states, per time step.
    """

    points: int = setting(32, least=1)
    vectors: int = setting(2, least=1)
    noise: Static[float] = setting(0.01, above=0.0)
    steps: int = setting(10, least=1)
    starts: int = setting(128, least=2)
    slow: Static[float] = setting(0.01, above=0.0)

    takes: ClassVar[frozenset[str]] = frozenset({"recurrent", "environment"})
    needs: ClassVar[tuple[str, ...]] = ("fixed_points",)

    def run(self, population: Assayed) -> xr.Dataset:
        """Variables `(member, input)`: points, left_out, instead, real_share, time_constant, stable_time_constant,
        frequency, median_error, slow_points, slow_spread, slow_participation_ratio, fixed_participation_ratio;
        `(member, input, channel)`: alignment; `(member, input, point)`: unstable, error; `(member, input, point,
        mode)`: eigenvalue, mode_time_constant, mode_frequency; `(member, input, point, vector, coordinate)`: right,
        left; `(member, input, point, vector, channel)`: projection. Complex ones are two, `_real` and `_imaginary`.

        `(member,)`: contexts, parallel; `(member, channel)`: selectivity; `(member, channel, mechanism)`: modulation;
        `(member, mechanism)`: coordinates. NaN where there is no such thing."""
        members, known = population.members, static_inputs(population.task)
        names, inputs = list(known), np.stack([*known.values()])
        variables = population.trained.variables(members[0])
        coordinates = layout_of(population.model, variables).coordinates
        where = _visited(population, self.starts)
        fixed = _fixed(population.needs["fixed_points"], members, names, coordinates)
        slow = search.slow_points(population.map, members, where, inputs, self.slow, SLOW_REACH)
        places = {
            (m, i): (fixed[m][i][: self.points] if len(fixed[m][i]) else slow[m][i][:INSTEAD].astype(np.float64))
            for m, i in np.ndindex(len(members), len(names))
        }
        own = has_rates_of_its_own(population.model, variables, inputs.shape[1])
        function = linearizing(min(self.vectors, len(coordinates)), self.noise, self.steps, own)
        beside = [where.scale.astype(np.float64)]
        given = at_places(population.map, members, function, places, inputs, beside)
        about = _linear_modes.About(members, names, coordinates, inputs, float(population.task.dt))
        return _linear_modes.labelled(about, given, fixed, slow, where.scale)

    def tables(self, result: xr.Dataset) -> Iterator[tuple[str, pd.DataFrame]]:
        """A row per network, state and input: the leading mode, the slow points, the mechanisms of selection."""
        for name, part in _pictures.probes(result):
            rows = []
            for m, i in np.ndindex(part.sizes["member"], part.sizes["input"]):
                at = part.isel(member=m, input=i)
                if np.isnan(at["points"]):  # another task's input
                    continue
                mechanisms = at["coordinates"].to_series().rename(lambda each: str(each).replace(" ", "_"))
                rows.append(
                    {
                        **{column: at[column].item() for column in ("member", "trained", "input")},
                        **{column: int(at[column]) for column in ("points", "left_out", "instead", "slow_points")},
                        **{column: at[column].item() for column in TABLED},
                        **mechanisms,
                    }
                )
            yield name, pd.DataFrame(rows)

    def lines(self, result: xr.Dataset) -> list[str]:
        """A line per probe, input and state, and one per probe and state on contexts, where there are some."""
        lines = []
        for name, of_probe in _pictures.probes(result):
            for input_ in of_probe["input"].to_numpy().tolist():
                for state, part in _pictures.states(of_probe.sel(input=input_)):
                    if len(rows := np.flatnonzero(np.isfinite(part["points"]))):
                        lines.append(f"{name}, {input_}, {state}: {self._line(part.isel(member=rows))}")
            for state, part in _pictures.states(of_probe):
                if len(rows := np.flatnonzero(np.isfinite(part["contexts"]))):
                    lines.append(f"{name}, what selects the input, {state}: {_selects(part.isel(member=rows))}")
        return lines

    def _line(self, part: xr.Dataset) -> str:
        count = part.sizes["member"]
        there = part.isel(member=np.flatnonzero(part["points"] > 0))
        if not (some := there.sizes["member"]):
            return f"no fixed and no slow point in any of {counted(count, 'network')}, so no modes"
        time, real = there["time_constant"].to_numpy(), there["frequency"].to_numpy() == 0
        words = [f"leading mode of the slowest point real in {real.sum()} of {counted(some, 'network')}"]
        words[0] += f", growing in {(time < 0).sum()}"
        words.append(f"time constant {_median(np.abs(time))} ms")
        stable = part["stable_time_constant"].to_numpy()
        if (known := np.isfinite(stable)).any():
            words.append(f"longest of a stable point {_median(stable[known])} ms in {known.sum()}")
        if (~real).any():
            words.append(f"frequency of the others {_median(there['frequency'].to_numpy()[~real])} Hz")
        for what in ("slow", "fixed"):
            ratio = part[f"{what}_participation_ratio"].to_numpy()
            if (known := np.isfinite(ratio)).any():
                words.append(f"participation ratio of {what} points {_median(ratio[known])} in {known.sum()}")
        error = np.nanmedian(there["median_error"]) if np.isfinite(there["median_error"]).any() else np.nan
        begin = f"over {self.steps} steps from {self.noise:g} of the range away"
        words.append(f"relative error of the linear simulation {error:.2g} {begin}")
        if instead := int(there["instead"].sum()):
            words.append(f"{instead} without fixed points, linear about slow ones")
        if some < count:
            words.append(f"{count - some} without any point")
        if left_out := int(part["left_out"].sum()):
            words.append(f"{counted(left_out, 'fixed point')} beyond points={self.points} left out")
        return "; ".join(words)

    def figures(self, result: xr.Dataset) -> Iterator[tuple[str, Figure]]:
        """Per probe, the leading mode's time constant and the slow points' participation ratio of every network; of
        contexts the triangle of coordinates."""
        for name, of_probe in _pictures.probes(result):
            contexts = bool(np.isfinite(of_probe["coordinates"]).any())
            figure = Figure(figsize=(13 if contexts else 9, 4), layout="constrained")
            axes = figure.subplots(1, 3 if contexts else 2)
            _linear_modes.draw_modes(axes[0], axes[1], of_probe)
            if contexts:
                _linear_modes.draw_triangle(axes[2], of_probe)
            figure.suptitle(_pictures.title_of(name, of_probe), x=0.01, ha="left")
            yield name, figure


TABLED = (
    *("real_share", "time_constant", "stable_time_constant", "frequency", "median_error", "slow_participation_ratio"),
    *("fixed_participation_ratio", "contexts", "parallel"),
)
"""Columns of the table that are numbers with a point."""


def _visited(population: Assayed, starts: int) -> Range:
    """Where the networks are on the probe."""
    probe = population.probe
    weights = (np.arange(probe.inputs.shape[1]) < probe.lasts[:, None]).astype(np.float32)
    return Range(*population.map(search.visiting(starts), [np.asarray(probe.inputs), weights]))


def _fixed(found: xr.Dataset, members: list[str], names: list[str], coordinates: list[str]) -> list[list[np.ndarray]]:
    """The fixed points that were found, for every network and input, `(point, coordinate)`; none on a kink."""
    rows = {member: row for row, member in enumerate(found["member"].to_numpy().tolist())}
    states = found["state"].where(found["unstable"].notnull()).sel(input=names, coordinate=coordinates)
    states = states.transpose("member", "input", "point", "coordinate").to_numpy()[[rows[m] for m in members]]
    return [[states[m, i][np.isfinite(states[m, i]).all(1)] for i in range(len(names))] for m in range(len(members))]


def _median(values: np.ndarray) -> str:
    """The median and the range in words."""
    three = values.min(), np.median(values), values.max()
    low, middle, high = (f"{x:.0f}" if 1e3 <= x < 1e6 else f"{x:.3g}" for x in three)
    return f"{middle} (median, {low} to {high})"


def _selects(part: xr.Dataset) -> str:
    """How networks select what they integrate, in words."""
    count = part.sizes["member"]
    shares = part["coordinates"].to_numpy()
    known = np.isfinite(shares).all(1)
    enough = (part["contexts"] >= 2).to_numpy()
    words = []
    if known.any():
        names = part["mechanism"].to_numpy().tolist()
        medians = ", ".join(f"{name} {value:.2f}" for name, value in zip(names, np.median(shares[known], axis=0)))
        selective = _median(np.nanmean(part["selectivity"].to_numpy()[known], axis=1))
        words = [f"{medians} (medians of {counted(int(known.sum()), 'network')})", f"selectivity {selective}"]
    if enough.any():
        words.append(f"|cosine| between the leading modes of contexts {_median(part['parallel'].to_numpy()[enough])}")
    if few := int((~enough).sum()):
        words.append(f"{few} of {count} without a real leading mode in two contexts")
    if none := int((enough & ~known).sum()):
        words.append(f"{none} of {count} without selection")
    return "; ".join(words)
