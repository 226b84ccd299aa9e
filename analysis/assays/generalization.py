"""Generalization to longer times: loss and score of every network on its own task, made to last longer.

Networks that solve a task alike may do unlike things where they were not trained. Huang et al. (2025, NeurIPS) call the
spread of the loss over networks, at twice the time, behavioural degeneracy. What is longer, the task says: its trials,
or its delays. Inputs, targets and the noise of the held-out trials are the task's own, under the same key.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from analysis.assays import _pictures
from analysis.assays._assayed import Assayed
from models import Static, setting
from zoo.spec.fields import label
from zoo.training.evaluation import in_parts


@dataclasses.dataclass(frozen=True)
class Assay:
    """See the module's text.

    Attributes:
      longer: how many times as long the task lasts.
    """

    longer: Static[float] = setting(2.0, above=0.0)

    takes: ClassVar[frozenset[str]] = frozenset({"recurrent"})
    needs: ClassVar[tuple[str, ...]] = ()

    def run(self, population: Assayed) -> xr.Dataset:
        """Variables `(member, duration)`: held_out_loss, held_out_score, and trial_steps, the time steps of a trial;
        `duration` is 1 and `longer`, in multiples of what the networks were trained on."""
        if not hasattr(population.task, "longer"):
            raise ValueError(f"{label(population.task)} cannot be made longer: it has no method `longer`.")
        durations = sorted({1.0, self.longer})
        loss, score, steps = population.map(_evaluated(tuple(durations)), [population.data])
        table = ("member", "duration")
        return xr.Dataset(
            {
                "held_out_loss": (table, np.float64(loss), {"long_name": "loss on held-out trials"}),
                "held_out_score": (table, np.float64(score), {"long_name": "score on held-out trials"}),
                "trial_steps": (table, steps, {"long_name": "time steps of a trial"}),
            },
            {
                "member": population.members,
                "duration": (
                    "duration",
                    durations,
                    {"long_name": "length of the task, in multiples of its own"},
                ),
            },
        )

    def lines(self, result: xr.Dataset) -> Iterator[str]:
        """A line per probe."""
        for name, of_probe in _pictures.probes(result):
            words = []
            for state, part in _pictures.states(of_probe):
                own, longer = (part.sel(duration=duration) for duration in (1.0, self.longer))
                score = longer["held_out_score"].to_numpy()
                loss = longer["held_out_loss"].to_numpy()
                spread = f"{np.std(loss, ddof=1):.3g}" if len(loss) > 1 else "none of one network"
                words.append(
                    f"{state} {np.nanmedian(score):.3g} (median of {len(score)}, {np.nanmin(score):.3g} to "
                    f"{np.nanmax(score):.3g}; {np.nanmedian(own['held_out_score']):.3g} at its own length), "
                    f"SD of the loss {spread}"
                )
            what = f"{_pictures.score_of(of_probe)} at {self.longer:g} times the length"
            yield f"{name}, {what}: {'; '.join(words)}"

    def figures(self, result: xr.Dataset) -> Iterator[tuple[str, Figure]]:
        """Per probe, score and loss of every network by the length of the task."""
        for name, of_probe in _pictures.probes(result):
            figure = Figure(figsize=(7, 3.2), layout="constrained")
            left, right = figure.subplots(1, 2)
            for place, (state, part) in enumerate(_pictures.states(of_probe)):
                durations = part["duration"].to_numpy()
                for axes, variable in ((left, "held_out_score"), (right, "held_out_loss")):
                    lines = axes.plot(
                        durations, part[variable].to_numpy().T, ".-", color=f"C{place}", lw=0.7, alpha=0.6
                    )
                    lines[0].set_label(state)
            for axes in (left, right):
                axes.set_xticks(durations, [f"{duration:g}" for duration in durations])
                axes.set_xlabel("length of the task (1: as trained)")
            left.set_ylabel(f"{_pictures.score_of(of_probe)}, held-out trials\n(higher is better)")
            right.set_ylabel("loss, held-out trials (lower is better)")
            if (of_probe["held_out_loss"] > 0).all():
                right.set_yscale("log")
            left.legend(fontsize=7)
            figure.suptitle(_pictures.title_of(name, of_probe), x=0.01, ha="left")
            yield name, figure


@functools.cache
def _evaluated(durations: tuple[float, ...]) -> Callable[..., Any]:
    """A function of one network: loss, score and steps at these durations, each `(duration,)`."""

    def evaluated(bound: Any, variables: Any, key: Any, data: Any) -> Any:
        found = []
        for duration in durations:
            task = bound.task if duration == 1 else bound.task.longer(duration)
            trials = task.evaluation(data)
            outputs = in_parts(lambda x: bound.model.apply(variables, x)[0], trials.inputs)
            found.append((task.loss(outputs, trials), task.score(outputs, trials), trials.inputs.shape[1]))
        return tuple(jnp.stack([jnp.asarray(value) for value in values]) for values in zip(*found))

    return evaluated
