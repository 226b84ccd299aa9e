"""State space: principal components, trajectories by condition, axes of task variables, and what can be decoded when.

Of every layer, on the probe:

- Principal components of each network over all stimuli and time steps that count; the mean activity of each condition
  over time, projected onto the leading ones. The largest entry of every axis is positive.
- Joint components of all networks of a cohort: the condition means of all their units side by side, every network with
  the same total variance, so that networks share one set of trajectories. A network's part of it is the projection of
  its own units; their sum over networks is the joint projection.
- Axes of task variables (targeted dimensionality reduction, Mante et al. 2013, Nature 503:78): z-scored units are
  regressed on the probe's numbers at every time step; see `_regression_axes.py`.
- Decoding of the probe's conditions at every time step by ridge regression in closed form, cross-validated over
  stimuli: no stimulus is on both sides. R^2 of numbers; accuracy of classes, by ridge on a column of 0 and 1 for each,
  of two classes a linear discriminant; beside chance and what shuffled stimuli give. See `_decoding.py`.
- Dimensionality: the participation ratio, as the assay `dimensionality` has it.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from analysis.activations.probes import kept_every
from analysis.assays import _decoding, _pictures, _state_figures
from analysis.assays._assayed import Assayed
from analysis.assays._components import components_of, joint_components, participation_ratio
from analysis.assays._decoding import Variable
from analysis.assays._regression_axes import regression_axes, z_scored
from models import Static, setting
from zoo import lookup
from zoo.spec.fields import name_of
from zoo.tasks import condition_words

FOLDS_SEED, SHUFFLES_SEED = 0x57A7E001, 0x57A7E002
"""Seeds of the folds and of the shuffles: the same for all networks on a probe."""
MOST_TRAJECTORIES = 12
"""Trajectories of a network; numbers of more values are put together with their neighbours."""


@dataclasses.dataclass(frozen=True)
class Assay:
    """See the module's text.

    Attributes:
      by: the condition of the probe whose values trajectories are means over; its first where none is named.
      components: principal components that activity is projected onto.
      time_step: ms between the time steps of trajectories and decoding; 0 leaves at most 25 of them.
      denoise: components that regression coefficients are projected onto; 0 for none.
      folds: of the cross-validation over stimuli.
      penalty: of the ridge, in units of the mean eigenvalue of the activity's covariance.
      classes: whole numbers of at most so many values are classes, others are numbers.
      shuffles: of the stimuli of every fold, for what is decoded by chance.
    """

    by: str = ""
    components: int = setting(3, least=2)
    time_step: Static[float] = setting(0.0, least=0.0)
    denoise: int = setting(12, least=0)
    folds: int = setting(5, least=2)
    penalty: Static[float] = setting(0.3, above=0.0)
    classes: int = setting(8, least=2)
    shuffles: int = setting(20, least=1)

    takes: ClassVar[frozenset[str]] = frozenset({"recurrent", "environment"})
    needs: ClassVar[tuple[str, ...]] = ()

    def run(self, population: Assayed) -> xr.Dataset:
        """Variables `(member, layer)`: participation_ratio, units; `(member, layer, component)`: explained,
        joint_explained; `(member, layer, condition, time, component)`: projection, joint_projection; `(member, layer,
        task_variable)`: axis_time; `(member, layer, task_variable, time)`: axis_norm, decoding, shuffled,
        shuffled_high; `(member, layer, task_variable, unit)`: axis; `(member, layer, condition, time, task_variable)`:
        axis_projection; `(member, task_variable)`: chance, classes; `(member,)`: stimuli, folds."""
        probe, layers = population.probe, list(population.layers)
        design = self._design(population)
        of_members: list[dict[str, Any]] = []
        means: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
        for batch in population.batches(_activity(tuple(layers)), [np.asarray(probe.inputs, np.float32)]):
            for m in range(len(batch.members)):
                for layer in layers:
                    of_members.append(self._of_network(batch.values[layer][m], design))
                    means[layer].append(of_members[-1].pop("means").astype(np.float32))
        joint = {}
        for layer in layers:
            joint[layer] = joint_components([x.reshape(-1, x.shape[-1]) for x in means[layer]], self.components)
        for place, found in enumerate(of_members):
            member, layer = divmod(place, len(layers))
            of_layer = joint[layers[layer]]
            found["joint_explained"] = of_layer.shares[member]
            shape = (*design.shape, self.components)
            found["joint_projection"] = of_layer.projections[member].reshape(shape)
        return _state_figures.labelled(population.members, layers, of_members, design, self.components)

    def _design(self, population: Assayed) -> "_state_figures.Design":
        """What is the same for all networks on the probe."""
        probe, task = population.probe, population.task
        conditions = {name: values for name, values in probe.conditions.items() if len(np.unique(values)) > 1}
        if self.by and self.by not in probe.conditions:
            known = f"; {lookup.nearest(self.by, probe.conditions)}" if probe.conditions else ""
            raise ValueError(f"The probe of {name_of(task)} has no condition {self.by!r}{known}.")
        stimuli = len(probe.inputs)
        if stimuli < 4:
            raise ValueError(f"The probe of {name_of(task)} has {stimuli} stimuli; state_space needs 4 or more.")
        by = self.by or next(iter(probe.conditions), "")
        names, groups = _groups(
            by, probe.conditions.get(by, np.zeros(stimuli)), functools.partial(condition_words, task)
        )
        found = {name: _decoding.variable_of(values, self.classes) for name, values in conditions.items()}
        variables = {name: variable for name, variable in found.items() if variable is not None}
        every = kept_every(probe, self.time_step or None)
        kept = np.arange((probe.steps - 1) % every, probe.steps, every)  # the last step is one of them
        folds = _decoding.folds_of(stimuli, variables, min(self.folds, stimuli), FOLDS_SEED)
        return _state_figures.Design(
            names,
            groups,
            variables,
            kept,
            kept * probe.dt,
            np.arange(probe.inputs.shape[1])[None] < probe.lasts[:, None],
            folds,
            _decoding.shuffles_of(folds, self.shuffles, SHUFFLES_SEED),
        )

    def _of_network(self, activity: np.ndarray, design: "_state_figures.Design") -> dict[str, Any]:
        """All of one network's layer, `(stimulus, time, unit)`; what cannot be had is not in it."""
        x = np.asarray(activity, np.float64)
        found: dict[str, Any] = {"units": x.shape[-1], "means": design.means(x[:, design.kept])}
        components = components_of(x[design.counts])
        if np.isnan(components.shares).any():
            return found
        found["participation_ratio"] = participation_ratio(components.shares)
        found["explained"] = components.shares[: self.components]
        axes = components.axes[: self.components]
        found["projection"] = (found["means"] - components.mean[None, None]) @ axes.T
        kept = x[:, design.kept]
        variables = design.variables
        found["decoding"] = _decoding.decoded(kept, variables, design.folds, self.penalty, design.orders)
        if numbers := _numbers(variables):
            scored = z_scored(kept)
            values = np.stack([variables[name].values for name in numbers], axis=1)
            targeted = regression_axes(scored, values, self.denoise)
            found["axes"] = dict(zip(numbers, zip(targeted.axes, targeted.norms, design.times[targeted.peaks])))
            along = design.means(scored) @ np.nan_to_num(targeted.axes).T
            along[..., np.isnan(targeted.axes).any(1)] = np.nan
            found["axis_projection"] = dict(zip(numbers, np.moveaxis(along, -1, 0)))
        return found

    def tables(self, result: xr.Dataset) -> Iterator[tuple[str, pd.DataFrame]]:
        """A row per network, state and layer: dimensionality, shares of the components, and where each variable is
        decoded best."""
        for name, part in _pictures.probes(result):
            rows = []
            for m, k in np.ndindex(part.sizes["member"], part.sizes["layer"]):
                at = part.isel(member=m, layer=k)
                if np.isnan(at["units"]):  # another network's layer
                    continue
                row = {column: at[column].item() for column in ("member", "trained", "layer", "participation_ratio")}
                for i in part["component"].to_numpy():
                    row[f"explained_{i}"] = at["explained"].sel(component=i).item()
                for variable in _decoded_in(at):
                    scores = at["decoding"].sel(task_variable=variable).to_numpy()
                    row[f"{variable}_best"] = np.nanmax(scores)
                    row[f"{variable}_best_time"] = at["time"].to_numpy()[np.nanargmax(scores)]
                    row[f"{variable}_chance"] = at["chance"].sel(task_variable=variable).item()
                rows.append(row)
            yield name, pd.DataFrame(rows)

    def lines(self, result: xr.Dataset) -> list[str]:
        """A line per probe and layer of its components, and one per variable of what is decoded."""
        lines = []
        for name, layer, part in _pictures.layer_slices(result):
            words = []
            for state, of_state in _pictures.states(part):
                shares = of_state["explained"].sum("component", min_count=1).to_numpy()
                if not (known := np.isfinite(shares)).any():
                    words.append(f"{state} none: constant in all networks")
                    continue
                joint = of_state["joint_explained"].sum("component", min_count=1).to_numpy()[known]
                words.append(
                    f"{state} {np.median(shares[known]):.1%} (median of {known.sum()}), "
                    f"{np.median(joint):.1%} of the condition means along joint ones, participation ratio "
                    f"{np.nanmedian(of_state['participation_ratio']):.3g}"
                )
            stimuli = _pictures.span(part["stimuli"])
            fewer = "up to " * bool((part["units"] < self.components).any())
            what = f"variance in {fewer}{self.components} principal components"
            lines.append(f"{name} at {layer}, {what}: {'; '.join(words)}; n = {stimuli} stimuli")
            for variable in _decoded_in(part):
                lines.append(self._decoding_line(name, layer, variable, part.sel(task_variable=variable)))
        return lines

    def _decoding_line(self, name: str, layer: str, variable: str, part: xr.Dataset) -> str:
        words, times = [], part["time"].to_numpy()
        kind = _state_figures.score_of_variable(part)
        for state, of_state in _pictures.states(part):
            middle = _pictures.quantile(of_state["decoding"].to_numpy(), 0.5)
            if not np.isfinite(middle).any():
                words.append(f"{state} none: constant in all networks")
                continue
            best = int(np.nanargmax(middle))
            high = _pictures.quantile(of_state["shuffled_high"].to_numpy(), 0.5)[best]
            last = middle[np.isfinite(middle)][-1]
            words.append(
                f"{state} {middle[best]:.3g} at {times[best]:g} ms (best median; shuffled up to {high:.3g}), "
                f"{last:.3g} at the end"
            )
        chance, folds = float(part["chance"].min()), _pictures.span(part["folds"])
        return f"{name} at {layer}, {variable} decoded, {kind}: {'; '.join(words)}; chance {chance:.3g}, {folds} folds"

    def figures(self, result: xr.Dataset) -> Iterator[tuple[str, Figure]]:
        """Per probe, trajectories of a few networks, and decoding over time."""
        for name, of_probe in _pictures.probes(result):
            yield name, _state_figures.trajectories(name, of_probe)
            if _decoded_in(of_probe):
                yield f"{name}-decoding", _state_figures.decoding(name, of_probe, _decoded_in(of_probe))


@functools.cache
def _activity(layers: tuple[str, ...]) -> Any:
    """A function for `Assayed.batches`: the activity of some layers."""

    def activity(bound: Any, variables: Any, key: Any, inputs: Any) -> Any:
        _, whole = bound.model.apply(variables, inputs)
        return {layer: whole[layer] for layer in layers}

    return activity


def _groups(by: str, values: np.ndarray, words: Any) -> tuple[list[str], np.ndarray]:
    """Names of conditions, and which of them each stimulus is of, `(stimulus,)`."""
    if not by:
        return ["all stimuli"], np.zeros(len(values), int)
    kinds, places = np.unique(values, return_inverse=True)
    named = [words(by, kind) for kind in kinds.tolist()]
    named = [f"{by} {name}" if name.lstrip("+-").replace(".", "").isdigit() else name for name in named]
    if len(set(named)) < len(named):
        named = [f"{by} {kind}" for kind in kinds.tolist()]
    places = places.reshape(values.shape)
    if len(kinds) <= MOST_TRAJECTORIES:
        return named, places
    parts = np.array_split(np.arange(len(kinds)), MOST_TRAJECTORIES)
    which = np.concatenate([np.full(len(part), i) for i, part in enumerate(parts)])
    return [named[p[0]] if len(p) == 1 else f"{named[p[0]]} to {named[p[-1]]}" for p in parts], which[places]


def _numbers(variables: dict[str, Variable]) -> list[str]:
    """Variables that activity can be regressed on: numbers, and classes of two."""
    return [name for name, variable in variables.items() if variable.classes in (0, 2)]


def _decoded_in(part: xr.Dataset) -> list[str]:
    """Variables that are decoded in some network."""
    scores = part["decoding"].transpose("task_variable", ...).to_numpy()
    there = np.isfinite(scores).reshape(len(scores), -1).any(1)
    return [str(name) for name in part["task_variable"].to_numpy()[there]]
