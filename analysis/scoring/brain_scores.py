"""How like a recording every network is at its best layer, which is chosen on other stimuli than it is scored on.

Of random halves of the stimuli one chooses, of a network's layers, that which is most like the recording, by the mean
over its subjects; the other half scores it; then the two change places. A score is the mean over halves. Its standard
error is over stimuli and subjects together (`analysis.scoring.crossed_errors`), of the values at the layers chosen,
each as often as it was.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis.activations.inputs import Items, lacking
from analysis.engine.preparation import Prepared, prepare, stimuli_in_order
from analysis.engine.progress import SILENT, Progress
from analysis.inference.limits_over_stimuli import fault_of_limits
from analysis.inference.permutation_designs import holm
from analysis.labelled_comparison import ZOO
from analysis.measures import Measure
from analysis.scoring import ceilings
from analysis.scoring.crossed_errors import Scored, holm_pairs, ranks
from analysis.scoring.left_out_scores import LeftOutValues, with_targets, without_each
from zoo.training.status import DIVERGED_WORD

__all__ = ["BRAIN_COLUMNS", "brain_table"]

SPLITS = 20
"""Random divisions of the stimuli in halves."""

LEAST_CHOSEN = 8
"""Stimuli that a half must have; of fewer the layer is chosen on those that it is scored on, and it is said."""

BRAIN_COLUMNS = (
    *("measure", "way", "recording", "kind", "member", "model", "layer", "layer_share", "score", "low", "high", "se"),
    *("rank", "rank_low", "rank_high", "ceiling_lower", "ceiling_upper", "ceiled", "p_ceiling"),
    *("untrained", "p_untrained"),
    *("subjects", "n_stimuli"),
)
"""The columns of the table; see `brain_table`."""


class _Network(NamedTuple):
    """One network at its layers.

    Attributes:
      member, model, is_trained: which.
      rows: its items' places.
      layers: their names.
    """

    member: str
    model: str
    is_trained: bool
    rows: np.ndarray
    layers: list[str]


def brain_table(
    items: Items,
    measures: Mapping[str, Measure],
    dtype: str = "float32",
    progress: Progress = SILENT,
    untrained: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The brain scores of every network, trained and untrained, on every recording, under each measure.

    Networks that diverged are left out, and so are measures that cannot be had of a recording.

    Args:
      items: networks, with labels `source`, `member`, `layer`, `trained`, `model`, `status`, and recordings, with
        `source`, `recording`, `subject`.
      measures: what a measure is called -> the measure.
      dtype: "float32" or "float64".
      progress: told how far it is.
      untrained: member -> the member whose untrained items stand for its own, where these are copies; see
        `analysis.activations.copies.first_of_copies`.

    Returns:
      A row per measure, recording and network, with `BRAIN_COLUMNS`: `way`, the measure's kind; `layer` that was chosen
      most often and in what share of halves; `score` with 95 % limits and standard error over stimuli and subjects;
      `rank` among networks of the same kind, 1 the most alike, and between which ranks it lies (Holm over all pairs,
      .05); the noise ceiling of two subjects or more; `ceiled`, the score over the upper ceiling; `p_ceiling`, that the
      score is not below the lower ceiling, and `p_untrained`, that it is `untrained`, that of the same network
      untrained (Holm over networks, each). Limits, ranks and p are empty where a measure has no jackknife.
    """
    networks = _networks(items)
    recordings = _recordings(items)
    tables = []
    for called, measure in measures.items():
        prepared = prepare(measure, items.groups, dtype, [not lacking(measure, group) for group in items.groups])
        place = _places(items, prepared)
        kept = [each for each in networks if (place[each.rows] >= 0).all()]
        taken = {name: place[rows] for name, rows in recordings.items() if (place[rows] >= 0).all()}
        if not kept or not taken:
            continue
        halves = _halves(prepared, np.concatenate([*taken.values()]), progress)
        first = 0
        for name, targets in taken.items():
            own = [tuple(half[:, first : first + len(targets)] for half in pair) for pair in halves]
            first += len(targets)
            table = _of_recording(prepared, kept, place, targets, own, progress, untrained or {})
            tables.append(table.assign(measure=called, recording=name)[[*BRAIN_COLUMNS]])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*BRAIN_COLUMNS])


def _places(items: Items, prepared: Prepared) -> np.ndarray:
    """Item -> its place among the members of the measure's states, -1 for none."""
    order = np.concatenate(items.places)[prepared.members]
    place = np.full(len(items.names), -1)
    place[order] = np.arange(len(order))
    return place


def _networks(items: Items) -> list[_Network]:
    table: Any = items.labels.reset_index(drop=True)
    source = table["source"] if "source" in table else pd.Series(ZOO, table.index)
    alive = (source == ZOO) & ~((table["trained"] == True) & (table["status"] == DIVERGED_WORD))  # noqa: E712
    networks = []
    for (member, trained), part in table[alive].groupby(["member", "trained"], sort=False):
        rows, layers = part.index.to_numpy(), part["layer"].astype(str).tolist()
        networks.append(_Network(str(member), str(part["model"].iloc[0]), bool(trained), rows, layers))
    return networks


def _recordings(items: Items) -> dict[str, np.ndarray]:
    """Recording -> the places of its subjects."""
    table: Any = items.labels.reset_index(drop=True)
    if "source" not in table:
        return {}
    subjects = table[(table["source"] == "recording") & (table["subject"] != "mean")]
    return {str(name): part.index.to_numpy() for name, part in subjects.groupby("recording", sort=False)}


def _of_recording(
    prepared: Prepared,
    networks: Sequence[_Network],
    place: np.ndarray,
    targets: np.ndarray,
    halves: Sequence[tuple[np.ndarray, ...]],
    progress: Progress,
    untrained: Mapping[str, str],
) -> pd.DataFrame:
    measure, stimuli = prepared.measure, prepared.stimuli
    sign = -1.0 if measure.kind == "distance" else 1.0
    scores, chosen = _chosen(networks, place, halves, sign)
    limited = not fault_of_limits(prepared)
    values = without_each(prepared, targets, progress=progress) if limited else None
    whole = values.value if values is not None else with_targets(prepared, targets)
    ceiling = _ceiling(prepared, targets, whole, values)
    rows = []
    for which in (True, False):
        here = [i for i, network in enumerate(networks) if network.is_trained == which]
        if here:
            rows.append(_rows(here, networks, place, scores, chosen, values, ceiling, sign))
    table = pd.concat(rows, ignore_index=True)
    table["untrained"], table["p_untrained"] = _against_untrained(
        table, networks, place, scores, chosen, values, untrained
    )
    about = dict(way=measure.kind, subjects=len(targets), n_stimuli=stimuli)
    return table.reindex(columns=[*dict.fromkeys((*table, *BRAIN_COLUMNS))]).assign(**about)


def _halves(prepared: Prepared, targets: np.ndarray, progress: Progress) -> list[tuple[np.ndarray, ...]]:
    """Values `(member, target)` of the two halves of every division; of too few stimuli the whole stands for both."""
    stimuli, draw = prepared.stimuli, np.random.default_rng(0)
    half = stimuli // 2
    if half < max(LEAST_CHOSEN, prepared.measure.least):
        whole = with_targets(prepared, targets)
        return [(whole, whole)]
    pairs = []
    for _ in progress.over(range(SPLITS), f"{prepared.measure.name}: halves of the stimuli", SPLITS):
        order = draw.permutation(stimuli)
        parts = np.sort(order[:half]), np.sort(order[half : 2 * half])
        pairs.append(tuple(_of_stimuli(prepared, part, targets) for part in parts))
    return pairs


def _chosen(
    networks: Sequence[_Network], place: np.ndarray, halves: Sequence[tuple[np.ndarray, ...]], sign: float
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Held-out scores, `(network, subject)`, and of every network how often each layer was chosen, as shares."""
    chosen = [np.zeros(len(network.rows)) for network in networks]
    scores = np.zeros((len(networks), halves[0][0].shape[1]))
    rounds = 2 * len(halves)
    for pair in halves:
        for choosing, scoring in (pair, pair[::-1]):
            for i, network in enumerate(networks):
                at = place[network.rows]
                mean = sign * choosing[at].mean(1)
                best = int(np.nanargmax(mean)) if np.isfinite(mean).any() else 0
                chosen[i][best] += 1
                scores[i] += scoring[at[best]]
    return scores / rounds, [counts / rounds for counts in chosen]


def _of_stimuli(prepared: Prepared, stimuli: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Values `(member, target)` of some stimuli alone."""
    groups = [stimuli_in_order(group, stimuli) for group in prepared.groups]
    return with_targets(prepare(prepared.measure, groups, prepared.dtype, prepared.takes), targets)


def _scored(
    here: Sequence[int],
    networks: Sequence[_Network],
    place: np.ndarray,
    scores: np.ndarray,
    chosen: Sequence[np.ndarray],
    values: LeftOutValues,
) -> Scored:
    """Held-out scores of some networks, and without each stimulus the values at the layers that were chosen, moved to
    have these means."""
    full = np.stack([chosen[i] @ values.value[place[networks[i].rows]] for i in here])
    without = np.stack([np.einsum("l,nls->ns", chosen[i], values.without[:, place[networks[i].rows]]) for i in here], 1)
    return Scored(scores[here], without + (scores[here] - full)[None])


def _rows(
    here: list[int],
    networks: Sequence[_Network],
    place: np.ndarray,
    scores: np.ndarray,
    chosen: Sequence[np.ndarray],
    values: LeftOutValues | None,
    ceiling: Scored | None,
    sign: float,
) -> pd.DataFrame:
    """The rows of the trained networks, or of the untrained ones."""
    best = [int(chosen[i].argmax()) for i in here]
    mean = scores[here].mean(1)
    table = pd.DataFrame(
        {
            "kind": ["network" if networks[i].is_trained else "untrained" for i in here],
            "member": [networks[i].member for i in here],
            "model": [networks[i].model for i in here],
            "layer": [networks[i].layers[layer] for i, layer in zip(here, best)],
            "layer_share": [chosen[i][layer] for i, layer in zip(here, best)],
            "score": mean,
        }
    )
    if ceiling is not None:
        lower, upper = ceiling.mean
        table = table.assign(ceiling_lower=lower, ceiling_upper=upper, ceiled=mean / upper)
    if values is None:
        return table
    scored = _scored(here, networks, place, scores, chosen, values)
    low, high = scored.limits()
    p = holm_pairs(scored.p_values())
    rank, rank_low, rank_high = ranks(sign * mean, p)
    se = np.sqrt(np.diagonal(scored.errors()[0]) ** 2)
    table = table.assign(low=low, high=high, se=se, rank=rank, rank_low=rank_low, rank_high=rank_high)
    if ceiling is not None:
        below = _one_sided(scored, Scored(ceiling.value[:1], ceiling.without[:, :1]), -sign)
        table["p_ceiling"] = holm(below, np.isfinite(below))
    return table


def _one_sided(scored: Scored, other: Scored, sign: float) -> np.ndarray:
    """p of everything's difference from one other, on the side of that sign, `(thing,)`."""
    difference = Scored(scored.value - other.value, scored.without - other.without)
    se, freedom = (np.diagonal(x) for x in difference.errors())
    with np.errstate(invalid="ignore", divide="ignore"):
        return stats.t.sf(sign * difference.mean / se, freedom)


def _against_untrained(
    table: pd.DataFrame,
    networks: Sequence[_Network],
    place: np.ndarray,
    scores: np.ndarray,
    chosen: Sequence[np.ndarray],
    values: LeftOutValues | None,
    stands_for: Mapping[str, str],
) -> tuple[np.ndarray, np.ndarray]:
    """Of every trained network the score of the same untrained, and p of the difference, two-sided, by Holm; NaN for
    the untrained."""
    at = {(network.member, network.is_trained): i for i, network in enumerate(networks)}
    score, p = np.full(len(table), np.nan), np.full(len(table), np.nan)
    pairs = [
        (row, at[member, True], at[stands_for.get(member, member), False])
        for row, (member, kind) in enumerate(zip(table["member"], table["kind"]))
        if kind == "network" and (stands_for.get(member, member), False) in at
    ]
    if pairs:
        rows, trained, untrained = (list(column) for column in zip(*pairs))
        score[rows] = scores[untrained].mean(1)
        if values is not None:
            one, other = (_scored(here, networks, place, scores, chosen, values) for here in (trained, untrained))
            found = np.diagonal(Scored(one.value - other.value, one.without - other.without).p_values())
            p[rows] = holm(found, np.isfinite(found))
    return score, p


def _ceiling(prepared: Prepared, targets: np.ndarray, whole: np.ndarray, values: LeftOutValues | None) -> Scored | None:
    """The lower and upper ceiling of every subject, `(2, subject)`, and without each stimulus; None for one subject or
    a measure that is not the cosine of one map per item."""
    if len(targets) < 2 or not prepared.measure.cosine:
        return None
    value = ceilings.map_ceiling(whole[targets]).each.T
    if values is None:
        return Scored(value, value[None])
    without = [ceilings.map_ceiling(each[targets]).each.T for each in values.without]
    return Scored(value, np.stack(without))
