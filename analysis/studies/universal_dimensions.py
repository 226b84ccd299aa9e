"""Universal dimensions: which directions of a network's activity are found in all others, and how few they are.

Chen & Bonner (2025, Science Advances) predicted every principal component of many vision networks from other networks,
on images that the regression had not seen, and compared those that others predict well, the universal ones, with
brains. This asks it of any zoo, `--on DIR`: every network's components predicted by all others of its task, beside the
untrained networks. Brains are not part of it; the networks' own geometry stands for them.
"""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from analysis.activations.copies import first_of_copies
from analysis.activations.extraction import representations
from analysis.inference.factors import tested_fields
from analysis.studies import SIZES, AssayStep, Question
from analysis.studies._answers import Answer, at_least, signed, unanswered
from analysis.studies._dimensions import mean_over_predictors, universality
from analysis.studies._replicates import LEAST_LIMITED, Replicates, configurations_of, replicates
from analysis.studies._results import BEFORE, Results
from models import setting

FEW = 10
"""The dimensions that the paper reduces networks to."""

LEADING = 5
"""Principal components whose universality is compared with that before training."""

KEPT_FROM = 0.9
"""Correlation of RDMs from which on geometry counts as kept; ours."""

CHEN = "Chen & Bonner 2025"


@dataclasses.dataclass(frozen=True)
class Study:
    """See the module's text.

    Attributes:
      size: "small": 20 components of each network; "full": 100.
    """

    size: str = setting("small", choices=SIZES)

    source: ClassVar[str] = f"{CHEN}, Universal dimensions of visual representation (Science Advances)"
    ours: ClassVar[tuple[str, ...]] = (
        "The networks are those of the zoo, compared at their deepest layer on their task's probe; no brain is used.",
        "Regression is ridge with a small fixed penalty, since a network may have more units than there are stimuli; "
        "the paper's is ordinary least squares.",
        f"Limits are over configurations; of fewer than {LEAST_LIMITED}, over networks, and then about these only.",
        "What is universal is above 95 % of the components of the untrained networks of the same task.",
        f"Geometry counts as kept from a correlation of RDMs of {KEPT_FROM:g} on.",
    )

    def zoo(self) -> None:
        return None

    def comparisons(self) -> list[Any]:
        return []

    def assays(self) -> list[AssayStep]:
        return []

    def questions(self) -> Iterator[Question]:
        components = 20 if self.size == "small" else 100
        yield Question(
            "Networks share dimensions beyond what untrained ones share",
            f"{CHEN}, abstract",
            f"mean universality of the {LEADING} leading components, trained less untrained",
            "above 0",
            partial(_more_than_untrained, components=components),
        )
        yield Question(
            "Components of more variance are more universal",
            f"{CHEN}, figure of universality over components",
            "Spearman correlation of variance and universality, mean over networks",
            "above 0",
            partial(_falls_with_rank, components=components),
        )
        yield Question(
            f"Fewer than {FEW} dimensions are universal",
            f"{CHEN}, abstract",
            f"{FEW} less the components above 95 % of those of untrained networks of the task, mean over networks",
            "above 0",
            partial(_fewer_than, components=components),
        )
        yield Question(
            f"The {FEW} most universal dimensions keep a network's geometry",
            f"{CHEN}, abstract, there against brains",
            f"correlation of the RDM of the {FEW} most universal components with the whole RDM, mean over networks",
            "little impact",
            partial(_keeps_geometry, components=components),
        )


class _Found(NamedTuple):
    """The dimensions of networks of all tasks, a row per network, copies too.

    Attributes:
      by_predictor: as of `analysis.studies._dimensions.Dimensions`, with every predictor in the place of its row; NaN
        between tasks.
      share, kept: as there.
      tasks: of the networks.
      configurations: of the networks.
      left_out: how many have a constant or no finite activity.
    """

    by_predictor: np.ndarray
    share: np.ndarray
    kept: np.ndarray
    tasks: np.ndarray
    configurations: list[str]
    left_out: int

    def index(self, rows: np.ndarray) -> np.ndarray:
        """The universality of the components of some networks among each other, `(network, component)`."""
        return mean_over_predictors(self.by_predictor[np.ix_(rows, rows)])

    @property
    def every(self) -> np.ndarray:
        """The rows of all networks."""
        return np.arange(len(self.tasks))


def _found(results: Results, components: int, untrained: bool = False) -> _Found:
    """The dimensions of these networks, or of the same ones before training."""
    is_trained = not untrained and results.state != BEFORE

    def computed() -> _Found:
        parts, left_out = [], 0
        for task, rows in results.members.groupby("task", sort=False):
            ids = rows["member"].tolist()
            shown = representations(results.trained, task=str(task), untrained=not is_trained)
            firsts = first_of_copies(shown, ids, is_trained)
            asked = set(firsts.values())
            patterns = {member: x for member, x in _deepest(shown, is_trained).items() if member in asked}
            alive = {member: x for member, x in patterns.items() if np.isfinite(x).all() and np.ptp(x, axis=0).any()}
            left_out += len(patterns) - len(alive)
            if len(alive) < 3:
                continue
            found = universality([*alive.values()], components)
            places = {member: place for place, member in enumerate(alive)}
            ids = [member for member in ids if firsts[member] in places]
            table: Any = results.members.loc[ids]
            fields = ["model", *tested_fields(results.trained, results.members["member"])]
            names = [f"{task} {name}" for name in configurations_of(table, list(dict.fromkeys(fields)))]
            if len(set(names)) < LEAST_LIMITED:  # then limits are over networks, and about these configurations only
                names = ids
            row = np.array([places[firsts[member]] for member in ids])
            parts.append(
                (found.by_predictor[np.ix_(row, row)], found.share[row], found.kept[row], [task] * len(ids), names)
            )
        if not parts:
            raise ValueError("No task has three of these networks, so that none can be predicted by others.")
        of_tasks, *rest = zip(*parts)
        share, kept, tasks, names = (np.concatenate(each) for each in rest)
        between = np.full((len(tasks), len(tasks), components), np.nan)
        for task, values in zip(dict.fromkeys(tasks), of_tasks):
            here = np.flatnonzero(tasks == task)
            between[np.ix_(here, here)] = values
        return _Found(between, share, kept, tasks, names.tolist(), left_out)

    return results.once(("dimensions", components, is_trained), computed)


def _deepest(shown: Any, is_trained: bool) -> dict[str, np.ndarray]:
    """The activations of networks at the deepest layer of each; of copies, before training, those of the first."""
    table = pd.concat([group.labels for group in shown.groups], ignore_index=True)
    patterns = [x for group in shown.groups for x in group.array]
    kept: Any = table[table["trained"] == is_trained]
    last: Any = kept.sort_values("layer_depth").groupby("member", sort=False).tail(1).sort_index()
    return {member: patterns[row] for row, member in last["member"].items()}


def _mean(statistic: Callable[[np.ndarray], np.ndarray], found: _Found) -> Replicates:
    """The mean over networks of what each has among some: a configuration is left out as what predicts, too."""
    return replicates(lambda rows: float(np.nanmean(statistic(rows))), found.configurations)


def _told(found: _Found, answer: Answer) -> Answer:
    """Says how many networks are not in it."""
    return answer.without(found.left_out, "with constant or no finite activity")


def _more_than_untrained(results: Results, components: int) -> Answer:
    if results.state == BEFORE:
        before = _found(results, components)
        return unanswered("")._replace(value=float(np.nanmean(before.index(before.every)[:, :LEADING])))
    after, before = _found(results, components), _found(results, components, untrained=True)
    trained, untrained = (_mean(lambda rows, of=each: of.index(rows)[:, :LEADING], each) for each in (after, before))
    return _told(after, signed(trained.less(untrained).estimate, 1))


def _falls_with_rank(results: Results, components: int) -> Answer:
    found = _found(results, components)

    def correlations(rows: np.ndarray) -> np.ndarray:
        return np.array([_spearman(index, share) for index, share in zip(found.index(rows), found.share[rows])])

    return _told(found, signed(_mean(correlations, found).estimate, 1))


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    known = np.isfinite(a) & np.isfinite(b)
    return float(pd.Series(a[known]).corr(pd.Series(b[known]), method="spearman"))


def _fewer_than(results: Results, components: int) -> Answer:
    """What counts as universal is a level for every task: networks of one may share more before training."""
    found, before = _found(results, components), _found(results, components, untrained=True)
    index = before.index(before.every)
    level = {task: np.nanquantile(index[before.tasks == task], 0.95) for task in np.unique(before.tasks)}
    levels = np.array([level.get(task, np.nan) for task in found.tasks])

    def fewer(rows: np.ndarray) -> np.ndarray:
        universal = (found.index(rows) > levels[rows, None]).sum(1)
        return np.where(np.isfinite(levels[rows]), FEW - universal, np.nan)

    return _told(found, signed(_mean(fewer, found).estimate, 1))


def _keeps_geometry(results: Results, components: int) -> Answer:
    found = _found(results, components)
    return _told(found, at_least(_mean(lambda rows: found.kept[rows], found).estimate, KEPT_FROM))
