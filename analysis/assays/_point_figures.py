"""Pictures of fixed points: how many of each kind, their eigenvalues, and where they lie among the visited states."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from analysis.assays import _pictures

MOST_SHOWN = 5
"""Trained networks whose points are shown."""
INPUT_MARKS = "os^Dv<>p*h"
"""Of static inputs."""


def counts(name: str, of_probe: xr.Dataset) -> Figure:
    """How many points of each kind every network has, and the eigenvalues of all of them."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for place, (state, part) in enumerate(_pictures.states(of_probe)):
        kinds = np.nan_to_num(part["points_by_modes"].to_numpy())
        kinds = kinds.sum(1) if kinds.ndim == 3 else kinds
        shown = np.flatnonzero(kinds.any(0))
        spread = np.linspace(-0.12, 0.12, len(kinds)) if len(kinds) > 1 else np.zeros(1)
        for k in shown:
            label = state if k == shown[0] else None
            left.plot(k + 0.3 * place - 0.15 + spread, kinds[:, k], ".", color=f"C{place}", label=label)
        real, imaginary = (part[n].to_numpy().ravel() for n in ("eigenvalue_real", "eigenvalue_imaginary"))
        right.plot(real, imaginary, ".", ms=2, alpha=0.5, color=f"C{place}", label=state, zorder=3 - place)
    left.set_xlabel("unstable modes")
    left.set_ylabel("points of a network, all inputs")
    for axis in (left.xaxis, left.yaxis):
        axis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    left.legend()
    circle = np.exp(2j * np.pi * np.linspace(0, 1, 200))
    right.plot(np.real(circle), np.imag(circle), color="0.6", lw=0.8)
    right.set_aspect("equal")
    right.set_xlabel("eigenvalue of the Jacobian, real part")
    right.set_ylabel("imaginary part")
    right.legend(markerscale=4)
    figure.suptitle(_pictures.title_of(name, of_probe), x=0.01, ha="left")
    return figure


def places(name: str, of_probe: xr.Dataset) -> Figure:
    """The points of a few trained networks and an untrained one, and some of the states that each visits."""
    shown = list(_pictures.examples(of_probe, "explained", MOST_SHOWN))
    columns = min(max(len(shown), 1), 3)
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(1.6 + 3.2 * columns, 0.6 + 3.2 * max(rows, 1)), layout="constrained")
    panels = figure.subplots(max(rows, 1), columns, squeeze=False).ravel()
    unstable = of_probe["unstable"].to_numpy()
    kinds = np.unique(unstable[np.isfinite(unstable)]).astype(int).tolist()
    inputs = [i for i in of_probe["input"].to_numpy().tolist() if of_probe["points"].sel(input=i).notnull().any()]
    for axes, (title, one) in zip(panels, shown):
        visited, share = one["visited"].to_numpy(), one["explained"].to_numpy()
        axes.plot(visited[:, 0], visited[:, 1], ".", color="0.8", ms=3, zorder=0)
        for mark, name_ in zip(INPUT_MARKS, inputs):
            at = one.sel(input=name_)
            for kind in kinds:
                of = at["unstable"].to_numpy() == kind
                points = at["projection"].to_numpy()[of]
                axes.plot(
                    points[:, 0], points[:, 1], mark, color=f"C{kind % 10}", ms=5, mec="k", mew=0.4, zorder=9 - kind
                )
        axes.set_title(title, loc="left", fontsize=8)
        axes.set_xlabel(f"PC 1 ({share[0]:.0%})")
        axes.set_ylabel(f"PC 2 ({share[1]:.0%})" if np.isfinite(share[1]) else "")
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    words = [panels[0].plot([], [], "o", color=f"C{k % 10}", mec="k", label=f"{k}")[0] for k in kinds]
    words += (
        [panels[0].plot([], [], m, color="0.5", label=i)[0] for m, i in zip(INPUT_MARKS, inputs)]
        if len(inputs) > 1
        else []
    )
    words += panels[0].plot([], [], ".", color="0.8", label="visited states")
    figure.legend(handles=words, fontsize=8, loc="outside right upper", title="unstable modes")
    figure.suptitle(_pictures.title_of(name, of_probe), x=0.01, ha="left")
    return figure
