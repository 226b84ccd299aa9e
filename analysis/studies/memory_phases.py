"""Phases of short-term memory: which networks hold a cue at a slow point, which on a limit cycle, and which not at all.

Kurtkaya, Dinc et al. (2025, ICML, arXiv:2502.17433) trained some 80,000 networks on delayed cue discrimination over a
grid of learning rates and delays. Beyond a delay that shrinks with the learning rate as a power none learns; before it,
slow points give way to limit cycles. Here every network is put into its phase by their rules, and the boundaries are
fitted as theirs are.
"""

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import optimize, stats

from analysis.studies import SIZES, AssayStep, Question
from analysis.studies._answers import DISAGREES, Answer, equal, signed
from analysis.studies._replicates import Replicates, replicates
from analysis.studies._results import BEFORE, Results
from models import setting, vanilla
from zoo.spec.axes import product
from zoo.spec.settings import Training
from zoo.spec.zoo import Zoo
from zoo.tasks import memory
from zoo.training.status import DIVERGED_WORD, UNFINISHED

KURTKAYA = "Kurtkaya, Dinc et al. 2025"

LEARNED, MASTERED, LOST = 0.7, 0.8, 0.6
"""Of the score, the smaller of accuracy and reliability: what the mean over the last steps must be above; what counts
as learned for the first time; and what counts as lost after it."""

LAST, LOST_STEPS = 100, 300
"""Steps at the end that count for `LEARNED`; steps below `LOST` from which on learning is unstable."""

EVERY = 20
"""Steps between evaluations."""

SLOW_POINT, CYCLE, FAILED, UNSTABLE = "slow point", "limit cycle", "failed", "unstable"

LEAST_SHARE = 0.1
"""Boundaries are fitted at learning rates at which some delay has at least this share of the phase, as theirs are."""

SLOPES = {
    "failure": ("learning fails", -2.72, 0.07),
    "slow": ("slow points end", -4.05, 0.10),
    "post": ("learning fails, with a period after the response", -2.65, 0.23),
    "held": ("learning fails, of a response that is held, the fixed-point control", -0.38, 0.02),
}
"""Boundary -> in words, the paper's exponent, and its standard error."""


@dataclasses.dataclass(frozen=True)
class Study:
    """See the module's text.

    Attributes:
      size: "small": 4 learning rates x 6 delays x 10 seeds, of which phases and signs are asked; "full": 15 learning
        rates x 21 delays x 100 seeds, and 20 of each of the two controls, of which the exponents are asked, too.
    """

    size: str = setting("small", choices=SIZES)

    source: ClassVar[str] = f"{KURTKAYA}, Dynamical phases of short-term memory mechanisms in RNNs (ICML)"
    ours: ClassVar[tuple[str, ...]] = (
        f"The score is taken every {EVERY} steps, not at each: means and counts of steps are over these.",
        "Their published code has two sets of rules; these are those of the fine grid (mean of the last 100 above .7, "
        "residual above .1 in the last of five trials). The other asks for .8 and looks at a spectrum.",
        "Small trains on 8 trials a step, not on 128; recurrent noise, theirs is .001, is left out.",
        "A trial has room for the longest delay, so that networks of all delays share one program; what is left is "
        "masked.",
        "Small has no exponents: four learning rates fit none.",
    )

    def zoo(self) -> Zoo:
        small = self.size == "small"
        rates = np.logspace(-1, -2, 4) if small else np.logspace(-1, -3, 15)
        delays = [0.0, 80.0, 160.0, 240.0, 320.0, 400.0] if small else np.arange(0.0, 401.0, 20.0).tolist()
        longest = max(delays)

        def grid(task: Any, seeds: int, first: int) -> Zoo:
            steps = {rate: max(1000, round(30 / rate)) for rate in map(float, rates)}
            training = [
                Training(
                    optimizer="sgd",
                    momentum=0.9,
                    l2=5e-8,  # their weight decay of 1e-7 is of the gradient, this of the loss
                    learning_rate=rate,
                    batch=8 if small else 128,
                    steps=max(steps.values()),
                    horizon=float(count),
                    evaluate_every=EVERY,
                )
                for rate, count in steps.items()
            ]
            return Zoo("memory-phases", task=task, model=MODEL, training=training, seeds=range(first, first + seeds))

        zoo = grid(product(memory.Task, delay=delays, longest_delay=[longest]), 10 if small else 100, 0)
        if small:
            return zoo
        post = product(memory.Task, delay=delays, longest_delay=[longest], post=[30.0])
        held = product(memory.Task, delay=[0.0], longest_delay=[0.0], response=[d for d in delays if d])
        return zoo + grid(post, 20, 1000) + grid(held, 20, 2000)

    def comparisons(self) -> list[Any]:
        return []

    def assays(self) -> list[AssayStep]:
        return [AssayStep("autonomous")]

    def questions(self) -> Iterator[Question]:
        for (word, column), phase in itertools.product(
            {"delay": "delay", "learning rate": "learning_rate"}.items(), (FAILED, CYCLE)
        ):
            what = "fail more often" if phase == FAILED else "are more often on a limit cycle, of those that learn,"
            yield Question(
                f"Networks {what} the longer the {word}" if word == "delay" else f"Networks {what} at a higher {word}",
                f"{KURTKAYA}, phase diagram",
                f"Spearman correlation of the {word} and the share of {_words(phase)}, mean over the grid's other axis",
                "above 0",
                partial(_grows, column=column, phase=phase),
            )
        for phase in (SLOW_POINT, CYCLE):
            yield Question(
                f"Some networks that learn are at a {phase}",
                f"{KURTKAYA}, abstract: two mechanisms",
                f"share of networks at a {phase} among those that learn",
                "above 0",
                partial(_is_there, phase=phase),
            )
        for name, (words, slope, error) in SLOPES.items() if self.size == "full" else ():
            yield Question(
                f"The learning rate at which {words} falls with the delay as a power",
                f"{KURTKAYA}, figures of scaling",
                f"slope of log learning rate over log critical delay, where {words}",
                f"{slope} ± {error}",
                partial(_slope, boundary=name, paper=slope, error=1.96 * error),
            )

    def figures(self, results: Results) -> Iterator[tuple[str, Figure]]:
        """The phase diagram: which share of networks is in which phase, over learning rate and delay."""
        table = _main(phases(results))
        delays, rates = (np.unique(table[name].to_numpy(float)) for name in ("delay", "learning_rate"))
        figure = Figure(figsize=(11, 3.2), layout="constrained")
        for axes, phase in zip(figure.subplots(1, 4, sharey=True), (SLOW_POINT, CYCLE, FAILED, UNSTABLE)):
            shares: Any = table.assign(has=table["phase"] == phase).groupby(["learning_rate", "delay"])["has"].mean()
            grid = shares.unstack("delay").reindex(index=rates, columns=delays).to_numpy()
            image = axes.imshow(grid, origin="lower", aspect="auto", vmin=0, vmax=1, cmap="cividis")
            axes.set_xticks(range(len(delays)), [f"{delay:g}" for delay in delays], fontsize=7, rotation=90)
            axes.set_yticks(range(len(rates)), [f"{rate:.2g}" for rate in rates], fontsize=7)
            axes.set_title(phase)
            axes.set_xlabel("delay (ms)")
        figure.axes[0].set_ylabel("learning rate")
        figure.colorbar(image, ax=figure.axes, label="share of networks")
        yield "phases", figure


HELD = {"delay": "learning_rate", "learning_rate": "delay"}
"""Axis of the grid -> the other one, at each value of which it is looked at."""

MODEL = vanilla.Model(
    hidden=100,
    continuous=True,
    tau=10.0,
    initial_weights="xavier",
    initial_diagonal=False,
    initial_projections="xavier",
    initial_noise=0.1,
)
"""Leaky rate units with alpha = dt / tau = .5, that begin without weights to themselves, every trial at random."""


def _words(phase: str) -> str:
    return "networks that do not learn" if phase == FAILED else f"{phase}s among those that learn"


def phases(results: Results) -> pd.DataFrame:
    """The member table of all that were trained, with `phase`, one of the four.

    A claim about which networks fail is about all networks: those that did not solve their task are not left out.
    """

    def computed() -> pd.DataFrame:
        table = results.trained.members
        rows: Any = table[~table["status"].isin(UNFINISHED)].reset_index(drop=True)
        if results.state == BEFORE or rows.empty:
            raise ValueError("Untrained networks have no phase: they have not failed yet.")
        if missing := [name for name in HELD if name not in rows]:
            raise ValueError(f"These networks do not differ in {' and '.join(missing)}: there is no diagram of phases.")
        autonomous = dataclasses.replace(results, state="every").assay("autonomous")
        cycling = dict(zip(autonomous["member"].to_numpy().tolist(), autonomous["cycling"].to_numpy().tolist()))
        curves = dict(list(results.trained.curves.groupby("member")))
        found = [
            FAILED if row["status"] == DIVERGED_WORD else phase_of(curves[row["member"]], cycling.get(row["member"]))
            for row in rows.to_dict("records")
        ]
        return rows.assign(phase=found, **{name: rows.get(name, 0.0) for name in ("post", "response")})

    return results.once(("phases",), computed)


def phase_of(curve: pd.DataFrame, cycling: float | None) -> str:
    """The phase of one network.

    Args:
      curve: `step` and `score` of its evaluations.
      cycling: whether outputs go on moving after the trial.
    """
    step, score = curve["step"].to_numpy(), curve["score"].to_numpy()
    if (first := np.flatnonzero(score > MASTERED)).size:
        after = slice(int(first[0]) + 1, None)
        lost = float(np.diff(step, prepend=0)[after][score[after] < LOST].sum())
        if lost >= LOST_STEPS:
            return UNSTABLE
    if score[step > step[-1] - LAST].mean() <= LEARNED or cycling is None or math.isnan(cycling):
        return FAILED
    return CYCLE if cycling else SLOW_POINT


def _main(table: pd.DataFrame) -> pd.DataFrame:
    """The networks without a period after the response, whose response is that of the others."""
    columns: Any = table
    usual = columns["response"].mode()[0]
    return columns[(columns["post"] == 0) & (columns["response"] == usual)]


def _cells(table: Any) -> list[str]:
    return [f"{rate:g} {delay:g}" for rate, delay in zip(table["learning_rate"], table["delay"])]


def _within(table: Any, phase: str) -> Any:
    """Those that a share of this phase is of: all, for failures; else those that learn."""
    return table if phase == FAILED else table[table["phase"].isin([SLOW_POINT, CYCLE])]


def _has(table: Any, phase: str) -> np.ndarray:
    return (table["phase"].isin([FAILED, UNSTABLE]) if phase == FAILED else table["phase"] == phase).to_numpy(bool)


def _grows(results: Results, column: str, phase: str) -> Answer:
    table = _within(_main(phases(results)), phase)
    _some(table, phase)
    has, cells = _has(table, phase), _cells(table)
    values, held = (table[name].to_numpy(float) for name in (column, HELD[column]))

    def correlation(rows: np.ndarray) -> float:
        found = [_correlation(values[at], has[at]) for at in (rows[held[rows] == v] for v in np.unique(held[rows]))]
        return float(np.mean(found))

    found = replicates(correlation, cells).estimate
    return signed(found._replace(low=max(found.low, -1.0), high=min(found.high, 1.0)), 1)


def _correlation(values: np.ndarray, has: np.ndarray) -> float:
    """Spearman's correlation of the values with the share that has it at each; 0 where the share is the same at all."""
    places, of = np.unique(values, return_inverse=True)
    share = np.bincount(of, has) / np.bincount(of)
    if len(places) < 2 or np.ptp(share) == 0:
        return 0.0
    found: Any = stats.spearmanr(places, share)
    return float(found.statistic)


def _is_there(results: Results, phase: str) -> Answer:
    table = _within(_main(phases(results)), phase)
    _some(table, phase)
    has = _has(table, phase)
    if not has.any():
        return Answer(0.0, math.nan, math.nan, len(has), DISAGREES, f"none of {len(has)} networks that learn is")
    return signed(replicates(lambda rows: float(has[rows].mean()), _cells(table)).estimate, 1)


def _some(table: pd.DataFrame, phase: str) -> None:
    if table.empty:
        raise ValueError(f"No network has learned: there are no {phase}s among those that learn.")


def _slope(results: Results, boundary: str, paper: float, error: float) -> Answer:
    table: Any = phases(results)
    if boundary == "post":
        part = table[table["post"] > 0]
    elif boundary == "held":
        usual = table["response"].mode()[0]
        part = table[(table["delay"] == 0) & (table["response"] != usual)].assign(delay=lambda rows: rows["response"])
    else:
        part = _main(table)
    phase = SLOW_POINT if boundary == "slow" else FAILED
    return equal(boundary_slope(part, phase).estimate, paper, error)


def boundary_slope(table: pd.DataFrame, phase: str) -> Replicates:
    """The slope of log learning rate over the log of the delay at which a phase begins, or ends.

    Args:
      table: with `learning_rate`, `delay` in ms, and `phase`.
      phase: `FAILED`, of which a saturating exponential is fitted from where it begins, or `SLOW_POINT`: a sigmoid.

    Raises:
      ValueError: fewer than three learning rates have a boundary.
    """
    points = {}
    for rate, rows in table.groupby("learning_rate"):
        shares: Any = rows.assign(has=_has(rows, phase)).groupby("delay")["has"].mean()
        if shares.max() >= LEAST_SHARE and (delay := critical_delay(shares.index.to_numpy(), shares.to_numpy(), phase)):
            points[f"{rate:g}"] = math.log(float(str(rate))), math.log(delay)
    if len(points) < 3:
        raise ValueError(f"{len(points)} learning rates have a boundary of {phase}; a slope needs 3.")
    y, x = np.array([*points.values()]).T

    def slope(rows: np.ndarray) -> float:
        return float(np.polyfit(x[rows], y[rows], 1)[0]) if np.ptp(x[rows]) > 0 else math.nan

    return replicates(slope, [*points])


def critical_delay(delay: np.ndarray, share: np.ndarray, phase: str) -> float:
    """The delay at which a phase begins (`FAILED`), or is half of all (`SLOW_POINT`); 0 where there is none.

    Of fits from several places and slopes the best: a boundary that is sharp beside the grid has no slope to go by.
    """
    shape = _saturating if phase == FAILED else _sigmoid
    if phase == FAILED and share[delay.argmin()] >= share.max() / 2:
        return 0.0  # it began before the shortest delay, nobody knows where
    half = float(delay[np.argmax(share > share.max() / 2)] if phase == FAILED else delay[np.argmax(share < 0.5)])
    step, sign = float(np.diff(np.unique(delay)).min()), 1.0 if phase == FAILED else -1.0
    fits = []
    for back, slope in itertools.product((0.0, 0.5, 1.0), (0.01, 0.1, 1.0)):
        begin = [np.clip(half - back * step, 1e-3, 2 * delay.max()), sign * slope]
        bounds = ([0.0, min(0.0, 5 * sign)], [2 * delay.max(), max(0.0, 5 * sign)])
        with contextlib.suppress(RuntimeError):
            place, _ = optimize.curve_fit(shape, delay, share, p0=begin, bounds=bounds, max_nfev=2000)
            fits.append((float(np.sum((shape(delay, *place) - share) ** 2)), float(place[0])))
    place = min(fits)[1] if fits else 0.0
    return place if place >= delay[delay > 0].min() else 0.0


def _saturating(delay: np.ndarray, begin: float, rate: float) -> np.ndarray:
    return np.where(delay < begin, 0.0, 1 - np.exp(-abs(rate) * np.maximum(delay - begin, 0.0)))


def _sigmoid(delay: np.ndarray, middle: float, rate: float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(rate * (delay - middle), -500, 500)))
