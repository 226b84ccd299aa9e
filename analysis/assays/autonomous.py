"""Autonomous activity: how much outputs still move long after a trial has ended, at a slow point or on a limit cycle.

A trial of L time steps goes on without input until time n L. Over its last part, the mean over stimuli, outputs and
time of the squared distance of an output from its mean over time gives

    residual = sqrt(mean((y - mean_t y)^2)),

which falls to 0 where a network comes to rest, and stays where it goes round (Kurtkaya, Dinc et al. 2025, ICML,
arXiv:2502.17433, whose networks with more than .1 in the last of five trials are on a limit cycle).
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from analysis.assays import _pictures
from analysis.assays._assayed import Assayed
from models import Static, setting
from zoo.tasks import static_inputs

MOST_FOLLOWED = 16
"""Trials of a task's evaluation set that are followed: the first."""


@dataclasses.dataclass(frozen=True)
class Assay:
    """See the module's text.

    Attributes:
      trials: how many trial lengths a network is followed for, its own trial the first.
      window: the last part of that time, in trial lengths, that counts.
      cycling: the residual above which a network is told as one on a cycle.
    """

    trials: int = setting(5, least=2)
    window: Static[float] = setting(1.0, above=0.0)
    cycling: Static[float] = setting(0.1, above=0.0)

    takes: ClassVar[frozenset[str]] = frozenset({"recurrent"})
    needs: ClassVar[tuple[str, ...]] = ()

    def run(self, population: Assayed) -> xr.Dataset:
        """Variables `(member,)`: residual, and size, the root mean square of the outputs themselves, both over the
        window; cycling, whether the residual is above the option's."""
        if self.window > self.trials - 1:
            raise ValueError(
                f"autonomous: window={self.window:g} must be at most {self.trials - 1}, so that it begins after the "
                f"trial: of trials={self.trials} the first is the trial itself."
            )
        task = population.task
        rest = np.asarray(next(iter(static_inputs(task).values())), np.float32)
        follow = _following(self.trials, self.window)
        residual, size = (np.asarray(x) for x in population.map(follow, [rest, population.data]))
        about = f"over the last {self.window:g} of {self.trials} trial lengths"
        cycling = np.where(np.isfinite(residual), residual > self.cycling, np.nan)
        return xr.Dataset(
            {
                "residual": ("member", residual, {"long_name": f"rms of outputs about their mean over time, {about}"}),
                "size": ("member", size, {"long_name": f"rms of outputs, {about}"}),
                "cycling": ("member", cycling, {"long_name": f"whether the residual is above {self.cycling:g}"}),
            },
            {"member": population.members},
        )

    def tables(self, result: xr.Dataset) -> Iterator[tuple[str, pd.DataFrame]]:
        """A row per network and state."""
        for name, part in _pictures.probes(result):
            columns = ("member", "trained", "residual", "size", "cycling")
            yield name, pd.DataFrame({column: part[column].to_numpy() for column in columns})

    def lines(self, result: xr.Dataset) -> list[str]:
        """A line per probe and state."""
        lines = []
        for name, of_probe in _pictures.probes(result):
            for state, part in _pictures.states(of_probe):
                residual, cycling = part["residual"].to_numpy(), part["cycling"].to_numpy()
                known = np.isfinite(residual)
                if not known.any():
                    lines.append(f"{name}, {state}: outputs are not finite after the trial")
                    continue
                gone = f"; {int((~known).sum())} not finite" if not known.all() else ""
                lines.append(
                    f"{name}, {state}: outputs still move by {np.median(residual[known]):.3g} (rms, median of "
                    f"{int(known.sum())} networks, {residual[known].min():.2g} to {residual[known].max():.2g}) at "
                    f"{self.trials} trial lengths; {int(np.nansum(cycling))} above {self.cycling:g}{gone}"
                )
        return lines

    def figures(self, result: xr.Dataset) -> Iterator[tuple[str, Figure]]:
        """Per probe, the residual of every network, trained and untrained."""
        for name, of_probe in _pictures.probes(result):
            figure = Figure(figsize=(6, 3.6), layout="constrained")
            axes = figure.subplots()
            for place, (state, part) in enumerate(_pictures.states(of_probe)):
                values = np.maximum(part["residual"].to_numpy(), 1e-8)
                spread = np.linspace(-0.3, 0.3, len(values)) if len(values) > 1 else np.zeros(1)
                axes.plot(place + spread, np.sort(values), ".", color=f"C{place}", label=f"{state} ({len(values)})")
            axes.axhline(self.cycling, color="0.5", lw=0.8, ls="--", label=f"{self.cycling:g}")
            axes.set_yscale("log")
            axes.set_xticks([])
            axes.set_xlabel("networks, by rising value")
            axes.set_ylabel("rms of outputs about their mean\nlong after the trial")
            axes.legend()
            figure.suptitle(_pictures.title_of(name, of_probe), x=0.01, ha="left")
            yield name, figure


@functools.cache
def _following(times: int, window: float) -> Any:
    """The function that follows a network: the same one each time, traced once."""

    def follow(bound: Any, variables: Any, key: Any, rest: Any, data: Any) -> Any:
        trials = bound.task.evaluation(data)
        inputs, mask = trials.inputs[:MOST_FOLLOWED], trials.mask[:MOST_FOLLOWED]
        steps = inputs.shape[1]
        after = jnp.broadcast_to(rest[None, None], (len(inputs), (times - 1) * steps, len(rest)))
        ends = jnp.max(jnp.where(mask > 0, jnp.arange(1, steps + 1)[None], 0), axis=1, keepdims=True)
        outputs, _ = bound.model.apply(variables, jnp.concatenate([inputs, after], axis=1))
        time = jnp.arange(times * steps)[None]
        counts = jnp.float32((time >= (times - window) * ends) & (time < times * ends))[..., None]
        total = jnp.maximum(jnp.sum(counts, axis=1, keepdims=True), 1.0)
        mean = jnp.sum(outputs * counts, axis=1, keepdims=True) / total
        weights = counts / total / len(inputs) / outputs.shape[-1]
        return (
            jnp.sqrt(jnp.sum(weights * (outputs - mean) ** 2)),
            jnp.sqrt(jnp.sum(weights * outputs**2)),
        )

    return follow
