"""What explains brain scores: the fields that were varied, and how well networks do their task."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.stats import rankdata

from analysis.inference.factors import layer_counts
from analysis.inference.field_tests import run_field_tests
from analysis.inference.group_similarities import configurations
from zoo.training.status import DIVERGED_WORD
from zoo.wording import counted

__all__ = ["ACCURACY_COLUMNS", "accuracy_table", "accuracy_words", "brain_lines", "field_table"]

LEAST_CONFIGURATIONS_RANKED = 6
"""Configurations of which a rank correlation has limits."""

GIVEN = {"layers": "layers of the network", "units": "units of its layers"}
"""What a partial correlation is given: how deep a network is, and how many units its layers have -> their columns."""

ACCURACY_COLUMNS = (
    *("measure", "recording", "rho", "low", "high", "partial_rho", "partial_low", "partial_high", "given"),
    *("configurations", "networks"),
)
"""The columns of `accuracy_table`."""


def field_table(brain: Any, items: Any, fields: list[str]) -> pd.DataFrame:
    """The tests of all fields on the brain scores of trained networks, measure by measure and recording by recording.

    Args:
      brain: what `analysis.scoring.brain_scores.brain_table` gives.
      items: of the networks, a row per member and layer, with the labels that `run_field_tests` needs.
      fields: what was varied.

    Returns:
      The columns of `analysis.inference.field_tests.run_field_tests`, after `measure` and `recording`.
    """
    tests = []
    for label, scores, table in _slices(brain, items):
        distance = np.abs(scores[:, None] - scores[None])
        named = {name: label[name] for name in ("measure", "recording")}
        tests.append(run_field_tests(distance, table, fields, named, kind="distance"))
    return pd.concat(tests, ignore_index=True) if tests else pd.DataFrame(columns=["measure", "recording"])


def accuracy_table(brain: Any, items: Any, fields: Sequence[str]) -> pd.DataFrame:
    """Spearman's correlation of task score and brain score over configurations, as Yamins et al. (2014) have it over
    thousands of networks; and the partial one given depth and units, as far as these vary.

    A configuration counts once, by the means of its networks. Limits are those of the jackknife over configurations on
    Fisher's scale.

    Args:
      brain, items, fields: as of `field_table`.

    Returns:
      A row per measure and recording, with `ACCURACY_COLUMNS`; NaN where task scores do not vary or configurations are
      fewer than six.
    """
    rows = []
    for label, scores, table in _slices(brain, items):
        known = [field for field in fields if field in table]
        cells = configurations(table, known)
        columns = pd.DataFrame({"brain": scores, "task": table["score"].astype(float)})
        columns = columns.assign(**{name: table[column].astype(float) for name, column in GIVEN.items()})
        means: Any = columns.groupby(cells).mean()
        sign = -1.0 if label["kind"] == "distance" else 1.0
        x, y = means["task"].to_numpy(), sign * means["brain"].to_numpy()
        given = [name for name in GIVEN if means[name].nunique() > 1]
        row: dict[str, Any] = {name: label[name] for name in ("measure", "recording")}
        row |= dict(zip(("rho", "low", "high"), _limits(x, y, np.zeros((len(x), 0)))))
        if given:
            row |= dict(zip(("partial_rho", "partial_low", "partial_high"), _limits(x, y, means[given].to_numpy())))
        rows.append({**row, "given": " and ".join(given), "configurations": len(means), "networks": len(table)})
    return pd.DataFrame(rows).reindex(columns=[*ACCURACY_COLUMNS])


def brain_lines(brain: Any, accuracy: Any, tests: Any) -> Iterator[str]:
    """Lines for the terminal: per measure and recording the best network, what is beyond doubt, and what explains it.

    Args:
      brain, accuracy, tests: what `brain_table`, `accuracy_table` and `field_table` give.
    """
    for (measure, recording), part in brain.groupby(["measure", "recording"], sort=False):
        yield from _lines(recording, measure, part, _of(accuracy, measure, recording), _of(tests, measure, recording))


def accuracy_words(row: Any) -> str:
    """A row of `accuracy_table` in words."""
    limits = f" [{row['low']:.2f}, {row['high']:.2f}]" if pd.notna(row["low"]) else ""
    count = counted(int(row["configurations"]), "configuration")
    text = f"task score against brain score: Spearman {row['rho']:.2f}{limits} over {count}"
    if pd.notna(row["partial_rho"]):
        text += f"; given {row['given']} {row['partial_rho']:.2f}"
    return text


def _of(table: Any, measure: str, recording: str) -> Any:
    return table[(table["measure"] == measure) & (table["recording"] == recording)]


def _lines(recording: str, measure: str, part: Any, accuracy: Any, tests: Any) -> Iterator[str]:
    trained = part[(part["kind"] == "network") & part["score"].notna()]
    if not len(trained):
        return
    first = trained.iloc[0]
    subjects = f", {first['subjects']} subjects" if first["subjects"] > 1 else ""
    yield f"brain score on {recording} ({measure}, n = {first['n_stimuli']} stimuli{subjects}; layer on other stimuli)"
    ascending = first["way"] == "distance"
    best = trained.sort_values("score", ascending=ascending).iloc[0]
    limits = f" [{best['low']:.2f}, {best['high']:.2f}]" if pd.notna(best["low"]) else ""
    words = [f"{best['member']} at {best['layer']} {best['score']:.2f}{limits}"]
    if pd.notna(best["rank_high"]):
        words.append(f"rank 1 to {best['rank_high']:.0f} of {len(trained)}")
    if pd.notna(best["ceiling_lower"]):
        words.append(f"ceiling {best['ceiling_lower']:.2f} to {best['ceiling_upper']:.2f}")
        below = (trained["p_ceiling"] < 0.05).sum()
        words.append(f"{below} of {len(trained)} below it (p < .05, Holm)")
    if trained["p_untrained"].notna().any():
        apart = trained[trained["p_untrained"] < 0.05]
        sign = -1 if ascending else 1
        better = sign * apart["score"] > sign * apart["untrained"]
        words.append(f"{better.sum()} more and {(~better).sum()} less like it than untrained")
    yield f"  best: {'; '.join(words)}"
    if len(accuracy) and pd.notna(accuracy["rho"].iloc[0]):
        yield f"  {accuracy_words(accuracy.iloc[0])}"
    tested = tests[tests["testable"].isin([True]) & (tests["members"] == "all")] if len(tests) else tests
    if len(tested):
        top = tested.sort_values("p_holm").iloc[0]
        yield (
            f"  explained by: {top['field']}, omega squared {top['omega2']:.2f}, p {top['p_holm']:.3g} "
            f"(the least of {counted(len(tested), 'test')}, Holm)"
        )


def _slices(brain: Any, items: Any) -> Iterator[tuple[dict[str, Any], np.ndarray, Any]]:
    """Labels, brain scores and member table of the trained networks of every measure and recording."""
    trained: Any = items[(items["trained"] == True) & (items["status"] != DIVERGED_WORD)]  # noqa: E712
    units = trained.groupby("member")["units"].sum()
    table = trained.assign(**{GIVEN["layers"]: layer_counts(trained)}).drop_duplicates("member")
    table = table.set_index("member", drop=False).assign(**{GIVEN["units"]: units})
    networks = brain[brain["kind"] == "network"]
    for (measure, recording), part in networks.groupby(["measure", "recording"], sort=False):
        part = part[part["score"].notna() & part["member"].isin(table.index)]
        if len(part) > 1:
            label = {"measure": measure, "recording": recording, "kind": part["way"].iloc[0]}
            rows = table.loc[part["member"]].reset_index(drop=True)
            yield label, part["score"].to_numpy(float), rows


def _limits(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> tuple[float, float, float]:
    """A rank correlation, partial where something is given, with its 95 % limits."""
    count = len(x)
    if count < LEAST_CONFIGURATIONS_RANKED + given.shape[1]:
        return np.nan, np.nan, np.nan
    rho = _correlation(x, y, given)
    every = np.arange(count)
    without = np.array([_correlation(*(part[every != i] for part in (x, y, given))) for i in every])
    if not np.isfinite(without).all() or not abs(rho) < 1:
        return rho, np.nan, np.nan
    se = np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
    half = stats.t.ppf(0.975, count - 1) * se / (1 - rho**2)
    return rho, float(np.tanh(np.arctanh(rho) - half)), float(np.tanh(np.arctanh(rho) + half))


def _correlation(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> float:
    design = np.column_stack([np.ones(len(x)), *(rankdata(column) for column in given.T)])
    left = [rankdata(values) - design @ np.linalg.lstsq(design, rankdata(values))[0] for values in (x, y)]
    norm = np.sqrt((left[0] ** 2).sum() * (left[1] ** 2).sum())
    return float(left[0] @ left[1] / norm) if norm > 1e-9 * len(x) ** 2 else np.nan
