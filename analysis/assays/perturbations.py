"""Perturbations: what the score loses to noise, to silenced, clamped and driven units, and to a linear mode removed.

Within a window of the trial, the second half unless another is named, the rates r of some units become

    noise    r + level sd xi, all units; xi is standard normal, independent over units, time steps and trials
    silence  0, of a share of the units
    clamp    the unit's mean, of a share of the units
    drive    r + drive sd, of a share of the units

with every unit's own mean and sd over held-out trials and the time steps that count. What a state holds of its own past
stays: the gate of a GRU goes on keeping what a silenced unit held. Sets of units and noise are drawn at random, the
same for all networks of this width; the score is on held-out trials, the network runs by its own `step`.

A linear mode, r l' of the Jacobian at a fixed point x*, is removed from the network for whole trials: after every step
the deviation d from x* becomes d - r l' d, all other modes stay. The fixed point is that nearest to the mean state that
the network visits; modes are by falling modulus of their eigenvalue, a complex pair is one. Of several static inputs,
each has the trials whose mean input is nearest to it. The control are modes of the same norm in random directions.
Maheswaranathan et al. 2019 (NeurIPS, Fig. 3) removed modes from the linearised system: `system` has both.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from analysis.assays import _perturbed, _pictures
from analysis.assays._assayed import Assayed
from analysis.assays._perturbed import INTERVENTIONS, Removals
from analysis.dynamics.states import layout_of
from models import Static, setting
from zoo.spec.fields import name_of
from zoo.tasks import static_inputs

LOSS_COLUMNS = ("member", "trained", "kind", "input", "level", "intact", "score", "lost", "random")
"""Of the table."""


@dataclasses.dataclass(frozen=True)
class Assay:
    """See the module's text.

    Attributes:
      window: beginning and end, ms from the beginning of the trial; the second half where none is given.
      noise: levels, in standard deviations of each unit.
      fractions: of the units that are silenced, clamped or driven, at least one unit each.
      numbers: of these units, in place of fractions; a network of fewer units is not perturbed at that number.
      drive: how far they are driven, in standard deviations of each.
      draws: of units, of noise, and of random modes.
      modes: how many linear modes are removed, one after the other, the leading ones.
      system: from which modes are removed, the "network" or its "linear" approximation about the fixed point.
      trials: how many of the held-out trials are taken at most, the first.
    """

    window: tuple[float, ...] = ()
    noise: tuple[float, ...] = setting((0.1, 0.3, 1.0, 3.0), above=0.0)
    fractions: tuple[float, ...] = setting((0.125, 0.25, 0.5, 1.0), above=0.0, most=1.0)
    numbers: tuple[int, ...] = setting((), least=1)
    drive: Static[float] = 2.0
    draws: int = setting(10, least=1)
    modes: int = setting(6, least=1)
    system: str = setting("network", choices=("network", "linear"))
    trials: int = setting(500, least=1)

    takes: ClassVar[frozenset[str]] = frozenset({"recurrent"})
    needs: ClassVar[tuple[str, ...]] = ("fixed_points",)

    def run(self, population: Assayed) -> xr.Dataset:
        """Variables `(member, kind, level, draw)`: perturbed, the score; `(member, input)`: has_point; `(member, input,
        rank)`: without_mode, the
        score without it, modulus, time_constant, period, norm; `(member, input, rank, draw)`: without_random; `(member,
        input)`: unmodified, the score of the system that modes are removed from; `(member,)`: intact, chance, begin,
        end, trials. NaN where a kind has no such level, and where a network has no fixed point or no such mode."""
        if not hasattr(population.model, "outputs_of"):
            raise ValueError(f"{name_of(population.model)} has no outputs_of; perturbations are of a model with one.")
        window, units = self._window(population.task), self._numbers(population) or self.fractions
        levels = dict(zip(INTERVENTIONS, (self.noise, *[units] * (len(INTERVENTIONS) - 1))))
        interventions = _perturbed.intervening(
            window, tuple(levels.items()), bool(self.numbers), self.drive, self.draws, self.trials
        )
        intact, counted, scores = population.map(interventions, [population.data])
        removals = self._removals(population)
        shown = [removals.points, removals.inputs, removals.right, removals.left]
        removing = _perturbed.removing(self.system == "linear", self.trials)
        unmodified, without = population.map(
            removing, [population.data], [np.nan_to_num(x).astype(np.float32) for x in shown]
        )
        dt = population.task.dt
        about = {"intact": intact, "trials": counted, "begin": window[0] * dt, "end": window[1] * dt}
        about["chance"] = population.task.chance
        named = list(static_inputs(population.task))
        return _perturbed.labelled(
            population.members, about, levels, scores, named, removals, unmodified, without, float(dt)
        )

    def _numbers(self, population: Assayed) -> tuple[int, ...]:
        """Those of the numbers of units that the networks have."""
        units = population.layers["rate"][-1]
        if self.numbers and min(self.numbers) > units:
            raise ValueError(f"numbers is {self.numbers}, and {name_of(population.model)} has {units} units here.")
        return tuple(number for number in self.numbers if number <= units)

    def _window(self, task: Any) -> tuple[int, int]:
        """The first time step of the window, and the first after it."""
        steps, dt = task.input_shape[0], task.dt
        if not self.window:
            return steps // 2, steps
        if len(self.window) != 2:
            raise ValueError(f"window is {self.window}; it must be two numbers, beginning and end in ms.")
        times = np.arange(steps) * dt
        inside = np.flatnonzero((times >= self.window[0] - 1e-6 * dt) & (times < self.window[1] - 1e-6 * dt))
        if not len(inside):
            raise ValueError(
                f"window is {self.window} ms and has no time step of {name_of(task)} in it: its trials begin at 0 ms "
                f"and end at {steps * dt:g} ms, in steps of {dt:g} ms."
            )
        return int(inside[0]), int(inside[-1]) + 1

    def _removals(self, population: Assayed) -> Removals:
        """The leading modes of every network under every static input, at its fixed point."""
        named, model, probe = static_inputs(population.task), population.model, population.probe
        coordinates = layout_of(model, population.trained.variables(population.members[0])).coordinates
        found = population.needs["fixed_points"]
        found = found["state"].where(found["unstable"].notnull())  # on a kink there are no modes
        found = found.sel(member=population.members, input=list(named), coordinate=coordinates)
        weights = (np.arange(probe.inputs.shape[1]) < probe.lasts[:, None]).astype(np.float32)
        centres = population.map(_perturbed.centre, [np.asarray(probe.inputs, np.float32), weights])
        found = found.transpose("member", "input", "point", "coordinate")
        points = _perturbed.nearest(found.to_numpy(), np.asarray(centres, np.float64))
        inputs = np.array([list(named.values())] * len(points), np.float64)
        jacobians = population.map(_perturbed.jacobians, [], [np.nan_to_num(points), inputs], dtype="float64")
        known = np.asarray(np.isfinite(points).all(-1))
        jacobians = np.where(known[..., None, None], jacobians, np.nan)
        return _perturbed.removals(points, inputs, jacobians, self.modes, self.draws)

    def lines(self, result: xr.Dataset) -> list[str]:
        """Per probe a line for every kind, and for every static input one of the modes."""
        lines = []
        for name, of_probe in _pictures.probes(result):
            score = _pictures.score_of(of_probe)
            begin, end = (_pictures.span(of_probe[n]) for n in ("begin", "end"))
            where = f"{begin} to {end} ms of {int(of_probe['trials'].max())} held-out trials"
            for kind in of_probe["kind"].to_numpy().tolist():
                of_kind, words = of_probe.sel(kind=kind), []
                for state, part in _pictures.states(of_kind):
                    drop = (part["intact"] - part["perturbed"].median("draw")).to_numpy()
                    levels = part["level"].to_numpy()[np.isfinite(drop).any(0)]
                    lost = _pictures.quantile(drop, 0.5)[np.isfinite(drop).any(0)]
                    if len(lost):
                        numbers = ", ".join(f"{value:.3g}" for value in lost)
                        at = ", ".join(f"{level:g}" for level in levels)
                        words.append(f"{state} {numbers} at {at} {self._units(kind)} (medians of {len(drop)})")
                if words:
                    lines.append(f"{name}, {score} lost to {INTERVENTIONS[kind]}, {where}: {'; '.join(words)}")
            lines += self._mode_lines(name, of_probe)
        return lines

    def _units(self, kind: str) -> str:
        return "sd" if kind == "noise" else "units" if self.numbers else "of the units"

    def _mode_lines(self, name: str, of_probe: xr.Dataset) -> Iterator[str]:
        for input_ in of_probe["input"].to_numpy().tolist():
            of_input, words = of_probe.sel(input=input_), []
            if of_input["has_point"].isnull().all():  # another task's input
                continue
            for state, part in _pictures.states(of_input):
                known = np.flatnonzero(np.isfinite(part["unmodified"]))
                if not len(known):
                    why = "no trial's input is nearest to it" if part["has_point"].any() else "no fixed point"
                    words.append(f"{state} none: {why} in any of {part.sizes['member']}")
                    continue
                of_known = part.isel(member=known)
                lost = (of_known["unmodified"] - of_known["without_mode"]).to_numpy()
                random = (of_known["unmodified"] - of_known["without_random"]).to_numpy()
                there = np.isfinite(lost).any(0)
                by_rank = ", ".join(f"{x:.3g}" for x in _pictures.quantile(lost, 0.5)[there])
                at_random = float(_pictures.quantile(np.median(random[:, 0], axis=1), 0.5))
                counts = np.isfinite(lost).sum(0)[there]
                notes = [f"medians of {counts.max(initial=0)}"]
                if len(counts) and counts.min() < counts.max():
                    notes[0] += f" to {counts.min()}, which have so many modes"
                if missing := part.sizes["member"] - len(known):
                    notes.append(f"{missing} without a fixed point")
                if np.isfinite(at_random):
                    notes.append(f"{at_random:.3g} for a random mode of the first one's norm")
                words.append(f"{state} {by_rank or 'no mode'} ({'; '.join(notes)})")
            of = "the linear system" if self.system == "linear" else "the network"
            what = f"{_pictures.score_of(of_probe)} lost without one linear mode of {of}, the leading first"
            yield f"{name}, {input_}, {what}: {'; '.join(words)}"

    def tables(self, result: xr.Dataset) -> Iterator[tuple[str, pd.DataFrame]]:
        """A row per network, state and what is done to it: the score, what is lost of the intact one, both medians over
        draws; of a mode, whose rank is the level, also without a random one."""
        for name, part in _pictures.probes(result):
            labels = {name: part[name].to_numpy() for name in ("member", "trained", "intact")}
            rows = part.drop_vars([n for n, coord in part.coords.items() if "member" in coord.dims])
            of_kinds = rows["perturbed"].median("draw").to_dataframe("score").dropna().reset_index()
            of_modes = rows[["without_mode", "unmodified"]].assign(random=rows["without_random"].median("draw"))
            of_modes = of_modes.to_dataframe().dropna(subset="without_mode").reset_index().assign(kind="mode")
            of_modes = of_modes.rename(columns={"rank": "level", "without_mode": "score"})
            whole: Any = pd.concat([of_kinds, of_modes], ignore_index=True)
            whole = whole.rename(columns={"member": "row"}).join(pd.DataFrame(labels), on="row")
            whole["lost"] = whole["unmodified"].fillna(whole["intact"]) - whole["score"]
            yield name, whole[[*LOSS_COLUMNS]]

    def figures(self, result: xr.Dataset) -> Iterator[tuple[str, Figure]]:
        """Per probe, the score over the level of every kind, and without each mode."""
        for name, of_probe in _pictures.probes(result):
            there = (
                np.isfinite(of_probe["perturbed"].transpose("kind", ...).to_numpy())
                .reshape(len(INTERVENTIONS), -1)
                .any(1)
            )
            kinds = of_probe["kind"].to_numpy()[there].tolist()
            figure = Figure(figsize=(3 * (len(kinds) + 1), 3.4), layout="constrained")
            *panels, last = figure.subplots(1, len(kinds) + 1, sharey=True, squeeze=False)[0]
            chance, best = float(of_probe["chance"].min()), float(of_probe["intact"].max())
            for axes, kind in zip(panels, kinds):
                for place, (state, part) in enumerate(_pictures.states(of_probe.sel(kind=kind))):
                    scores = part["perturbed"].median("draw").to_numpy()
                    at = np.isfinite(scores).any(0)
                    intact = part["intact"].to_numpy()[:, None]
                    levels = [0.0, *part["level"].to_numpy()[at].tolist()]
                    _band(axes, levels, np.concatenate([intact, scores[:, at]], axis=1), place, state)
                if kind == "noise":
                    axes.set_xscale("symlog", linthresh=min([x for x in self.noise if x > 0], default=1.0))
                axes.set_title(kind, loc="left")
                unit = "number of units" if self.numbers else "fraction of units"
                axes.set_xlabel("sd of each unit" if kind == "noise" else unit)
            self._draw_modes(last, of_probe)
            for axes in (*panels, last):
                axes.axhline(chance, color="0.6", ls=":", lw=1)
            room = max(best - chance, 0.1)
            bottom = min([chance - 0.75 * room, *(axes.dataLim.y0 for axes in panels if axes.lines)])
            last.set_ylim(max(bottom, chance - 3 * room) - 0.08 * room, best + 0.08 * room)
            first = figure.axes[0]
            first.set_ylabel(f"{_pictures.score_of(of_probe)}\n(median, quartiles;\ndotted: chance)")
            first.legend(fontsize=7)
            begin, end = (_pictures.span(of_probe[n]) for n in ("begin", "end"))
            title = f"{_pictures.title_of(name, of_probe)}, {begin} to {end} ms; modes: whole trials"
            figure.suptitle(title, x=0.01, ha="left")
            yield name, figure

    def _draw_modes(self, axes: Any, of_probe: xr.Dataset) -> None:
        """The score without each mode, over all static inputs, and without a random one."""
        ranks = of_probe["rank"].to_numpy().tolist()
        for place, (state, part) in enumerate(_pictures.states(of_probe)):
            whole = part["unmodified"].to_numpy().reshape(-1, 1)
            scores = np.concatenate([whole, part["without_mode"].to_numpy().reshape(-1, len(ranks))], axis=1)
            if not np.isfinite(scores).any():
                continue
            _band(axes, [0, *ranks], scores, place, state)
            random = part["without_random"].median("draw").to_numpy().reshape(-1, len(ranks))
            axes.plot(ranks, _pictures.quantile(random, 0.5), "x--", color=f"C{place}", lw=1)
        axes.set_title(f"one mode removed ({self.system})", loc="left")
        axes.set_xlabel("rank of its |eigenvalue|, 0: none\n(crosses: random modes of equal norm)")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def _band(axes: Any, x: Any, values: np.ndarray, place: int, label: str) -> None:
    """Median and quartiles over networks."""
    low, middle, high = (_pictures.quantile(values, q) for q in (0.25, 0.5, 0.75))
    axes.plot(x, middle, ".-", color=f"C{place}", label=label)
    axes.fill_between(x, low, high, color=f"C{place}", alpha=0.2, lw=0)
