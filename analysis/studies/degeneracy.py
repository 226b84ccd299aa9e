"""Degeneracy: how different the solutions are that networks of one kind find to one task, and what makes them so.

Huang, Singh, Martinelli & Rajan (2025, NeurIPS, arXiv:2410.03972) trained 3,400 networks, 50 of each condition, and
measured how much they differ in three ways: in behaviour, beyond the times they were trained on; in dynamics, by
dynamical similarity analysis; in weights, but for a permutation of units. Four factors move the three up or down:
complexity of the task, strength of feature learning, width, and penalties that make weights low-rank or sparse. Their
twelve directions are the claims here.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from analysis.activations.copies import first_of_copies
from analysis.activations.extraction import representations
from analysis.activations.probes import probes_of
from analysis.comparison import compare
from analysis.studies import SIZES, AssayStep, Question
from analysis.studies._answers import Answer, signed
from analysis.studies._replicates import Estimate
from analysis.studies._results import BEFORE, Results
from models import setting, vanilla
from zoo.spec.settings import Training
from zoo.spec.zoo import Zoo
from zoo.tasks import discrimination, flipflop, integration, sine

HUANG = "Huang et al. 2025"

DYNAMICS, WEIGHTS, BEHAVIOUR = "dynamics", "weights", "behaviour"
VECTOR_FIELD, EIGENVALUES = "dsa(compare=vector-field)", "dsa(compare=eigenvalues)"
DSA_SCORES = {"angular": VECTOR_FIELD, "Wasserstein": EIGENVALUES}
"""The public package's score at the time of the paper, and its default since March 2026."""

FACTORS = {
    "complexity": "the complexity of the task",
    "gamma": "the strength of feature learning",
    "width": "the width",
    "penalty": "the penalty on recurrent weights",
}
SIGNS = {"complexity": (-1, -1, 1), "gamma": (-1, 1, 1), "width": (-1, -1, -1), "penalty": (-1, -1, -1)}
"""Directions in the paper: of dynamics, weights and behaviour."""

LONGER = 2.0
"""Times as long as trained: out of distribution."""

LEAST_TASKS = 3
"""Slopes from which on their mean has limits."""

LEAST_NETWORKS = 3
"""Of a condition, for it to have a spread."""


class Condition(NamedTuple):
    """Networks that differ in their seed only, at one level of a factor.

    Attributes:
      factor: one of `FACTORS`.
      task: its name.
      level: 0, 1, ...: higher is more of the factor.
      zoo: the networks.
    """

    factor: str
    task: str
    level: int
    zoo: Zoo


@dataclasses.dataclass(frozen=True)
class Study:
    """See the module's text.

    Attributes:
      size: "small": 64 units, 12 seeds a condition, 42 conditions; "full": 128 units, 50 seeds, widths from 32 to 512.
    """

    size: str = setting("small", choices=SIZES)

    source: ClassVar[str] = f"{HUANG}, Measuring and controlling solution degeneracy (NeurIPS)"
    ours: ClassVar[tuple[str, ...]] = (
        "Training ends at the score that counts as solved, not at an error; learning rates, batches, levels of the "
        "penalties and the rank and delays of the dynamical similarity are ours.",
        "But for the flip-flop, recurrent weights start at a spectral radius of 1; theirs at 1 / sqrt(3), from where "
        "few networks of the other tasks learned in 2,500 steps. muP has 64 units, or 128, as its base width, and "
        "gamma ends at 1: at 2, with twice the learning rate, a third of networks of these tasks learned.",
        "The sine task has no levels of complexity here; Lorenz-96 is not among the tasks.",
        "The distance of weights is an upper bound: the best permutation is a quadratic assignment, which is searched.",
        "Distances of weights are per weight, the root mean square; theirs are the norm over their number. Both "
        "fall with the width before training already: the untrained value stands beside.",
        "The public package's default score has changed since the paper: both scores are told.",
        "Limits are Student's over the slopes of tasks, of penalties the mean of both: what other tasks could give.",
    )

    def zoo(self) -> Zoo:
        first, *rest = conditions(self.size)
        seen, whole = {_key(first.zoo)}, first.zoo
        for condition in rest:
            if _key(condition.zoo) not in seen:  # a level that two factors share is trained once
                seen.add(_key(condition.zoo))
                whole += condition.zoo
        return whole

    def comparisons(self) -> list[Any]:
        return []

    def assays(self) -> list[AssayStep]:
        return [AssayStep("generalization", {"longer": LONGER}), AssayStep("weights")]

    def questions(self) -> Iterator[Question]:
        for (factor, words), (place, what) in itertools.product(
            FACTORS.items(), enumerate((DYNAMICS, WEIGHTS, BEHAVIOUR))
        ):
            sign = SIGNS[factor][place]
            for score, statistic in _statistics(what).items():
                yield Question(
                    f"With {words}, degeneracy of {what} {'rises' if sign > 0 else 'falls'}",
                    f"{HUANG}, main figures",
                    f"slope of log {statistic} over levels of {words}, mean over tasks",
                    "above 0" if sign > 0 else "below 0",
                    partial(_slope, size=self.size, factor=factor, what=what, score=score, sign=sign),
                )

    def figures(self, results: Results) -> Iterator[tuple[str, Figure]]:
        """Every degeneracy over the levels of every factor, a line per task."""
        rows = [(what, score) for what in (DYNAMICS, WEIGHTS, BEHAVIOUR) for score in _statistics(what)]
        figure = Figure(figsize=(11, 2.4 * len(rows)), layout="constrained")
        grid = figure.subplots(len(rows), len(FACTORS), squeeze=False)
        for (row, (what, score)), (column, factor) in itertools.product(enumerate(rows), enumerate(FACTORS)):
            axes, lines = grid[row, column], dict[str, list[tuple[int, float]]]()
            for condition in conditions(self.size):
                value = _degeneracy(results, condition, what, score) if condition.factor == factor else None
                if value is not None:
                    lines.setdefault(condition.task, []).append((condition.level, value))
            for task, points in lines.items():
                axes.plot(*zip(*points), ".-", label=task)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.set_yscale("log")
            axes.set_xlabel(f"level of {FACTORS[factor].removeprefix('the ')}")
            if column == 0:
                axes.set_ylabel(f"{what}{f', {score}' if score else ''}")
            if row == 0 and lines:
                axes.legend(fontsize=6, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        yield "degeneracy", figure


def _statistics(what: str) -> dict[str, str]:
    """Score -> the statistic that tells of one degeneracy."""
    if what == DYNAMICS:
        return {score: f"mean pairwise DSA, {score}" for score in DSA_SCORES}
    if what == WEIGHTS:
        return {"": "mean pairwise distance of recurrent weights, best permutation"}
    return {"": f"SD over networks of the error at {LONGER:g} times the duration"}


def _key(zoo: Zoo) -> tuple[str, ...]:
    return tuple(member.id for member in zoo.members)


@functools.cache
def conditions(size: str) -> list[Condition]:
    """All conditions of a size; two factors may share one."""
    small = size == "small"
    width, seeds = (64, 12) if small else (128, 50)
    widths = (32, 64, 128) if small else (32, 64, 128, 256, 512)

    def networks(task: Any, rate: float = 1.0, more: dict[str, Any] | None = None, **model: Any) -> Zoo:
        settings = TRAINING[type(task).__module__.rpartition(".")[2]]
        training = Training(
            learning_rate=rate * settings.learning_rate,
            steps=settings.steps if small else 3 * settings.steps,
            batch=32,
            clip=1.0,
            target=task.solved,
            evaluate_every=50,
            **(more or {}),
        )
        usual: dict[str, Any] = dict(
            initial_weights="uniform", initial_projections="uniform", gain=settings.gain, hidden=width
        )
        made = vanilla.Model(**usual | model)
        return Zoo("degeneracy", task=task, model=made, training=training, seeds=seeds)

    def scaled(task: Any, gamma: float = 1.0, units: int = width) -> Zoo:
        """By muP, which is the standard parametrisation at its base width and with a gamma of 1."""
        if (gamma, units) == (1.0, width):
            return networks(task)
        return networks(task, gamma, parametrization="mup", base_width=width, gamma=gamma, hidden=units)

    found = []
    for name, levels in LEVELS.items():
        base = levels[len(levels) // 2]
        for level, task in enumerate(levels) if len(levels) > 1 else ():
            found.append(Condition("complexity", name, level, networks(task)))
        for level, gamma in enumerate(GAMMAS):
            found.append(Condition("gamma", name, level, scaled(base, gamma)))
        for level, units in enumerate(widths):
            found.append(Condition("width", name, level, scaled(base, units=units)))
        for field, values in PENALTY_LEVELS.items():
            for level, value in enumerate((0.0, *values)):
                zoo = networks(base, more={field: value} if value else None)
                found.append(Condition("penalty", f"{name}, {field}", level, zoo))
    return found


class _Settings(NamedTuple):
    """Of training one task, and the factor on its networks' initial recurrent weights."""

    learning_rate: float
    steps: int
    gain: float = 1.0


LEVELS: dict[str, tuple[Any, ...]] = {
    "flipflop": tuple(flipflop.Task(bits=bits) for bits in (2, 3, 4)),
    "discrimination": tuple(discrimination.Task(channels=channels) for channels in (1, 2, 3)),
    "integration": tuple(integration.Task(dimensions=dimensions) for dimensions in (1, 2, 3)),
    "sine": (sine.Task(),),
}
"""Task -> its levels of complexity; the second is that of all other factors."""

TRAINING = {
    "flipflop": _Settings(2e-3, 3000),
    # A spectral radius of 1: at 1 / sqrt(3), theirs, what was seen dies out, and learning to hold it takes much longer.
    "discrimination": _Settings(2e-3, 8000, gain=3**0.5),
    "integration": _Settings(2e-3, 4000, gain=3**0.5),
    "sine": _Settings(1e-3, 5000, gain=3**0.5),
}

GAMMAS = (0.25, 0.5, 1.0)

PENALTY_LEVELS = {"recurrent_l1": (1e-5, 1e-4), "recurrent_nuclear": (1e-4, 1e-3)}


def _slope(results: Results, size: str, factor: str, what: str, score: str, sign: int) -> Answer:
    """The direction of one degeneracy with one factor."""
    if results.state == BEFORE and what == BEHAVIOUR:
        raise ValueError("Untrained networks have no error beyond their task.")
    values = {}
    for condition in conditions(size):
        if condition.factor == factor:
            value = _degeneracy(results, condition, what, score)
            if value is not None and value > 0:
                values[condition.task, condition.level] = math.log(value)
    return signed(pooled_slope(values), sign)


def pooled_slope(values: dict[tuple[str, int], float]) -> Estimate:
    """The slope over levels, of each task, averaged over tasks, with Student's limits: tasks are what it is over.

    To leave out one level at a time would say how straight the lines are, and not whether tasks agree. Two lines of one
    task, as of two penalties, share its networks: their mean is one slope.

    Args:
      values: (task, or "task, line"; level) -> the statistic, in logarithms.

    Raises:
      ValueError: no task has two levels.
    """
    of_tasks: dict[str, list[float]] = {}
    for line in dict.fromkeys(line for line, _ in values):
        levels, of_line = zip(*((level, value) for (name, level), value in values.items() if name == line))
        if len(levels) > 1:
            of_tasks.setdefault(line.partition(",")[0], []).append(float(np.polyfit(levels, of_line, 1)[0]))
    if not of_tasks:
        raise ValueError("No task has two levels whose networks can be compared.")
    slopes = [float(np.mean(of_lines)) for of_lines in of_tasks.values()]
    mean, count = float(np.mean(slopes)), len(slopes)
    if count < LEAST_TASKS:
        return Estimate(mean, math.nan, math.nan, count)
    reach = float(stats.t.ppf(0.975, count - 1)) * float(np.std(slopes, ddof=1)) / math.sqrt(count)
    return Estimate(mean, mean - reach, mean + reach, count)


def _degeneracy(results: Results, condition: Condition, what: str, score: str) -> float | None:
    """How much the networks of a condition differ; None where there are too few of them."""
    there = set(results.members.index)
    members = [member.id for member in condition.zoo.members if member.id in there]
    if len(members) < LEAST_NETWORKS:
        return None
    if what == DYNAMICS:
        return _mean_of_pairs(_dsa(results), members, score)
    if what == WEIGHTS:
        return _mean_of_pairs(results.once(("weights",), lambda: _weight_pairs(results)), members, "distance")
    found = results.assay("generalization", longer=LONGER)
    errors_at = found["held_out_loss"].sel(duration=LONGER).to_numpy()
    error = dict(zip(found["member"].to_numpy().tolist(), errors_at.tolist()))
    errors = np.array([error[member] for member in members if math.isfinite(error.get(member, math.nan))])
    return float(errors.std(ddof=1)) if len(errors) >= LEAST_NETWORKS else None


def _mean_of_pairs(pairs: pd.DataFrame, members: Sequence[str], column: str) -> float | None:
    rows: Any = pairs[pairs["first"].isin(list(members)) & pairs["second"].isin(list(members))]
    values = rows[column].dropna().to_numpy()
    return float(values.mean()) if len(values) else None


def _weight_pairs(results: Results) -> pd.DataFrame:
    """Distances of weights between networks that differ in their seed only."""
    parts = []
    for name in results.comparisons("-weights"):
        try:
            pairs = results.pairs(name, "weights", "weights", true=False)
        except ValueError:  # fewer than two of these networks: other levels of other tasks have theirs
            continue
        members = pairs.table["member"].to_numpy()
        first, second = np.triu_indices(len(members), 1)
        distance = pairs.values[first, second]
        parts.append(pd.DataFrame({"first": members[first], "second": members[second], "distance": distance}))
    if not parts:
        raise ValueError("No two of these networks were compared by the assay weights.")
    return pd.concat(parts, ignore_index=True)


def _dsa(results: Results) -> pd.DataFrame:
    """Dynamical similarity of networks that differ in their seed only, both scores; kept in a file."""
    is_trained = results.state != BEFORE
    words = ["dsa", is_trained, *DSA_SCORES.values()]

    def computed() -> pd.DataFrame:
        parts, measured = [], dict[tuple[str, ...], Any]()
        for name, probe in probes_of(results.trained).items():
            shown = representations(results.trained, ["rate"], task=name, untrained=not is_trained)
            arrays = {
                row["member"]: x
                for group in shown.groups
                for row, x in zip(group.labels.to_dict("records"), group.array)
                if row["trained"] == is_trained and np.isfinite(x).all() and np.ptp(x, axis=0).any()
            }
            ids = [member.id for cohort in probe.cohorts for member in cohort.members]
            firsts = first_of_copies(shown, ids, is_trained)
            for cohort in probe.cohorts:
                parts += _of_cohort(cohort, arrays, firsts, measured)
        if not parts:
            raise ValueError("No two of these networks differ in their seed only.")
        return pd.concat(parts, ignore_index=True)

    modules = [__name__, "analysis.measures.dsa"]
    return results.once(("dsa",), lambda: results.kept("dsa", words, modules, computed))


def _of_cohort(
    cohort: Any, arrays: dict[str, np.ndarray], firsts: dict[str, str], measured: dict[tuple[str, ...], Any]
) -> Iterator[pd.DataFrame]:
    """The pairs of the networks of a cohort that differ in their seed only; of copies, before training, those of the
    networks that stand for them, measured once."""
    alike: dict[Any, list[str]] = {}
    for member in cohort.members:
        if firsts[member.id] in arrays:
            alike.setdefault(repr(member.parts), []).append(member.id)
    for members in alike.values():
        if len(members) < 2:
            continue
        shown = tuple(firsts[member] for member in members)
        if shown not in measured:
            measured[shown] = compare({name: arrays[name] for name in shown}, tuple(DSA_SCORES.values()))
        first, second = np.triu_indices(len(members), 1)
        named = {str(v.attrs["name"]): v.to_numpy() for v in measured[shown].values() if "kind" in v.attrs}
        columns = {
            score: next(values for name, values in named.items() if measure.split("compare=")[1].rstrip(")") in name)
            for score, measure in DSA_SCORES.items()
        }
        yield pd.DataFrame(
            {"first": np.array(members)[first], "second": np.array(members)[second]}
            | {score: values[first, second] for score, values in columns.items()}
        )
