"""How `state_space` labels its numbers, and its pictures."""

import itertools
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from analysis.assays import _pictures
from analysis.assays._decoding import Variable

MOST_TRAINED = 3
"""Trained networks whose trajectories are drawn."""


class Design(NamedTuple):
    """What is the same for all networks on a probe.

    Attributes:
      conditions: names.
      groups: which of them each stimulus is of, `(stimulus,)`.
      variables: what is decoded.
      kept: time steps of trajectories and decoding.
      times: of these, ms.
      counts: whether a time step of a stimulus counts, `(stimulus, time)`.
      folds: held-out stimuli of each.
      orders: shuffled, `(shuffle, stimulus)`.
    """

    conditions: list[str]
    groups: np.ndarray
    variables: dict[str, Variable]
    kept: np.ndarray
    times: np.ndarray
    counts: np.ndarray
    folds: list[np.ndarray]
    orders: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """How many conditions and time steps."""
        return len(self.conditions), len(self.kept)

    def means(self, x: np.ndarray) -> np.ndarray:
        """The mean over the stimuli of every condition: `(stimulus, time, unit)` -> `(condition, time, unit)`."""
        return np.stack([x[self.groups == group].mean(0) for group in range(len(self.conditions))])


VARIABLE_WORDS = {
    "participation_ratio": "(sum of eigenvalues)^2 / sum of their squares",
    "units": "units of the layer",
    "explained": "share of the variance along the component",
    "joint_explained": "share of the variance of the condition means along the joint component",
    "projection": "mean activity of the condition along the component",
    "joint_projection": "the network's part of the joint projection",
    "axis": "axis of the task variable, in z-scored units",
    "axis_norm": "norm of the regression coefficients over units",
    "axis_time": "time at which that norm is largest",
    "axis_projection": "mean z-scored activity of the condition along the axis",
    "decoding": "accuracy of a class, R^2 of a number, cross-validated over stimuli",
    "shuffled": "the same of shuffled stimuli, median",
    "shuffled_high": "the same of shuffled stimuli, 95 % quantile",
    "chance": "the same of the best constant",
    "classes": "classes of the variable, 0 of a number",
    "stimuli": "stimuli of the probe",
    "folds": "folds over stimuli",
}
"""Variable -> what it is."""


def labelled(
    members: list[str], layers: list[str], found: list[dict[str, Any]], design: Design, components: int
) -> xr.Dataset:
    """The result; what a network does not have is NaN.

    Args:
      members, layers: names.
      found: of every member, of every layer.
      design: of the probe.
      components: that activity is projected onto.
    """
    names = list(design.variables) or ["none"]
    sizes = {
        "member": len(members),
        "layer": len(layers),
        "condition": len(design.conditions),
        "time": len(design.kept),
        "component": components,
        "task_variable": len(names),
        "unit": max(each["units"] for each in found),
    }
    over = ("member", "layer")
    dims = {
        **dict.fromkeys(("participation_ratio", "units"), over),
        **dict.fromkeys(("explained", "joint_explained"), (*over, "component")),
        **dict.fromkeys(("projection", "joint_projection"), (*over, "condition", "time", "component")),
        "axis": (*over, "task_variable", "unit"),
        **dict.fromkeys(("axis_norm", "decoding", "shuffled", "shuffled_high"), (*over, "task_variable", "time")),
        "axis_time": (*over, "task_variable"),
        "axis_projection": (*over, "condition", "time", "task_variable"),
        **dict.fromkeys(("chance", "classes"), ("member", "task_variable")),
        **dict.fromkeys(("stimuli", "folds"), ("member",)),
    }
    arrays = {name: np.full([sizes[dim] for dim in dims[name]], np.nan) for name in dims}
    for place, of_network in enumerate(found):
        at = divmod(place, len(layers))
        for name in ("participation_ratio", "units", "joint_projection", "joint_explained"):
            arrays[name][at] = of_network.get(name, np.nan)
        for name in ("explained", "projection"):
            if name in of_network:
                arrays[name][at][..., : of_network[name].shape[-1]] = of_network[name]
        for v, name in enumerate(names):
            _fill(arrays, (*at, v), of_network, name)
    for v, variable in enumerate(design.variables.values()):
        arrays["chance"][:, v], arrays["classes"][:, v] = variable.chance, variable.classes
    arrays["stimuli"][:], arrays["folds"][:] = len(design.groups), len(design.folds)
    variables = {
        name: (dims[name], values, {"long_name": VARIABLE_WORDS[name], "units": "ms" if name == "axis_time" else "1"})
        for name, values in arrays.items()
    }
    coordinates: dict[str, Any] = {"member": members, "layer": layers, "condition": design.conditions}
    coordinates |= {"component": np.arange(components) + 1, "task_variable": names, "unit": np.arange(sizes["unit"])}
    coordinates["time"] = ("time", design.times, {"units": "ms"})
    return xr.Dataset(variables, coordinates)


def _fill(arrays: dict[str, np.ndarray], at: tuple[int, int, int], of_network: dict[str, Any], name: str) -> None:
    """What a network has of one task variable."""
    if name in (scores := of_network.get("decoding", {})):
        arrays["decoding"][at] = scores[name].score
        arrays["shuffled"][at] = np.median(scores[name].shuffled, axis=0)
        arrays["shuffled_high"][at] = np.quantile(scores[name].shuffled, 0.95, axis=0)
    if name in (axes := of_network.get("axes", {})):
        axis, arrays["axis_norm"][at], arrays["axis_time"][at] = axes[name]
        arrays["axis"][at][: len(axis)] = axis
        arrays["axis_projection"][(*at[:2], ..., at[2])] = of_network["axis_projection"][name]


def score_of_variable(part: xr.Dataset) -> str:
    """How well a variable is decoded, in words."""
    return "accuracy" if float(part["classes"].max()) else "R²"


def trajectories(name: str, of_probe: xr.Dataset) -> Figure:
    """Trajectories by condition at the first layer, of a few trained networks and an untrained one: along the first two
    principal components and, where there are two, along the axes of the first two task variables."""
    at_layer = of_probe.sel(layer=_pictures.layers_of(of_probe, "units")[0])
    shown = list(_pictures.examples(at_layer, "participation_ratio", MOST_TRAINED))
    axes_of = at_layer["axis_projection"].transpose("task_variable", ...).to_numpy()
    there = np.isfinite(axes_of).reshape(len(axes_of), -1).any(1)
    targeted = at_layer["task_variable"].to_numpy()[there].tolist()[:2]
    rows = 1 + (len(targeted) == 2)
    figure = Figure(figsize=(2.2 + 2.9 * max(len(shown), 1), 0.7 + 2.9 * rows), layout="constrained")
    panels = figure.subplots(rows, max(len(shown), 1), squeeze=False)
    known = np.isfinite(at_layer["projection"].transpose("condition", ...).to_numpy())
    conditions = at_layer["condition"].to_numpy()[known.reshape(len(known), -1).any(1)]
    for column, (title, one) in enumerate(shown):
        share = one["explained"].to_numpy()
        _draw(panels[0, column], one["projection"].sel(component=[1, 2]), conditions)
        panels[0, column].set_title(title, loc="left", fontsize=8)
        panels[0, column].set_xlabel(f"PC 1 ({share[0]:.0%})")
        panels[0, column].set_ylabel(f"PC 2 ({share[1]:.0%})")
        if rows == 2:
            _draw(panels[1, column], one["axis_projection"].sel(task_variable=targeted), conditions)
            panels[1, column].set_xlabel(f"axis of {targeted[0]} (sd)")
            panels[1, column].set_ylabel(f"axis of {targeted[1]} (sd)")
    if not shown:
        panels[0, 0].text(0.5, 0.5, "constant in all networks", ha="center")
    elif panels[0, 0].lines:
        handles = [line for line in panels[0, 0].lines if not str(line.get_label()).startswith("_")]
        figure.legend(handles=handles, fontsize=7, loc="outside right upper", title="mean over stimuli of")
    figure.suptitle(f"{_pictures.title_of(name, of_probe)}, dot: the first time step", x=0.01, ha="left")
    return figure


def _draw(axes: Any, paths: xr.DataArray, conditions: np.ndarray) -> None:
    """The paths of all conditions, `(condition, time, 2)`."""
    colours = _colours(len(conditions))
    for condition, colour in zip(conditions, colours):
        path = paths.sel(condition=condition).to_numpy()
        path = path[np.isfinite(path).all(1)]
        axes.plot(path[:, 0], path[:, 1], "-", color=colour, lw=1.2, label=str(condition))
        axes.plot(path[:1, 0], path[:1, 1], "o", color=colour, ms=4)


def _colours(count: int) -> list[Any]:
    from matplotlib import colormaps

    return [f"C{i}" for i in range(count)] if count <= 2 else list(colormaps["viridis"](np.linspace(0, 0.92, count)))


def decoding(name: str, of_probe: xr.Dataset, variables: list[str]) -> Figure:
    """Decoding over time, median and range over networks, a column per variable, a row per layer."""
    layers = _pictures.layers_of(of_probe, "decoding")
    figure = Figure(figsize=(max(1.2 + 3.1 * len(variables), 6.5), 0.7 + 2.7 * len(layers)), layout="constrained")
    panels = figure.subplots(len(layers), len(variables), squeeze=False)
    for axes, (layer, variable) in zip(panels.ravel(), itertools.product(layers, variables)):
        at = of_probe.sel(layer=layer, task_variable=variable)
        for place, (state, part) in enumerate(_pictures.states(at)):
            scores, times = part["decoding"].to_numpy(), part["time"].to_numpy()
            low, middle, high = (_pictures.quantile(scores, q) for q in (0.0, 0.5, 1.0))
            there = np.isfinite(middle)
            axes.plot(times[there], middle[there], "-", color=f"C{place}", label=state, zorder=3 - place)
            axes.fill_between(times[there], low[there], high[there], color=f"C{place}", alpha=0.2, lw=0)
            shuffled = _pictures.quantile(part["shuffled_high"].to_numpy(), 0.5)
            axes.plot(times[there], shuffled[there], "--", color=f"C{place}", lw=0.8, label=f"{state}, shuffled (95 %)")
        chance = float(at["chance"].min())
        axes.axhline(chance, color="0.6", ls=":", lw=1, label="chance")
        axes.set_ylim(chance - 0.35, 1.04)
        axes.set_title(variable if len(layers) == 1 else f"{variable} from {layer}", loc="left")
        axes.set_xlabel("time (ms)")
        axes.set_ylabel(score_of_variable(at))
    panels[0, 0].legend(fontsize=6)
    stimuli, folds = _pictures.span(of_probe["stimuli"]), _pictures.span(of_probe["folds"])
    title = f"{_pictures.title_of(name, of_probe)}, n = {stimuli} stimuli, {folds} folds, median and range"
    figure.suptitle(title, x=0.01, ha="left")
    return figure
