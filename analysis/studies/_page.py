"""The page of a study: every claim a row, the intervals as a picture, and what is not as in the paper."""

import base64
import html
import io
import math
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.studies._answers import AGREES, DISAGREES, UNDECIDED

__all__ = ["CLAIM_COLUMNS", "claim_lines", "forest", "page"]

CLAIM_COLUMNS = (
    *("claim", "source", "statistic", "members", "value", "low", "high", "n", "untrained", "paper"),
    *("verdict", "because"),
)
"""Of `claims.csv`: `members` says of which networks a row is, `untrained` is the value before training."""

COLOURS = {AGREES: "#1b7837", DISAGREES: "#b2182b", UNDECIDED: "#777777"}

LABEL_WIDTH = 70
"""Characters of a line beside the picture."""

PAGE_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 90em; padding: 0 1em; color: #222 }
table { border-collapse: collapse; width: 100%; font-size: 13px }
th, td { text-align: left; vertical-align: top; padding: .3em .6em; border-bottom: 1px solid #ddd }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
img { max-width: 100% }
"""


def claim_lines(claims: pd.DataFrame) -> Iterator[str]:
    """A line per claim for the terminal, of the networks that solved their task, and how many verdicts of each kind."""
    rows: Any = claims[claims["members"] == "solved"]
    for row in rows.to_dict("records"):
        yield f"{row['verdict']}: {row['claim']} ({row['statistic']}: {_interval(row)}; {row['because']})"
    for members, part in claims.groupby("members", sort=False):
        counts: Any = part["verdict"].value_counts()
        words = ", ".join(f"{counts.get(verdict, 0)} {verdict}" for verdict in COLOURS)
        yield f"claims, {members} networks: {words}"


def forest(claims: pd.DataFrame) -> Figure | None:
    """Every statistic with its interval, and the untrained value beside; None where none has a value."""
    known: Any = claims[claims["value"].notna()]
    # Where all have solved their task, or those that have give the same, one line says both.
    known = known.drop_duplicates(["claim", "statistic", "value", "low", "high"])
    if known.empty:
        return None
    figure = Figure(figsize=(10, 1 + 0.3 * len(known)), layout="constrained")
    axes = figure.subplots()
    labels = []
    for place, row in enumerate(known.to_dict("records")):
        colour = COLOURS[row["verdict"]]
        if math.isfinite(row["low"]) and math.isfinite(row["high"]):
            axes.plot([row["low"], row["high"]], [place, place], color=colour, lw=2)
        axes.plot(row["value"], place, "o", color=colour, ms=4)
        if math.isfinite(row["untrained"]):
            axes.plot(row["untrained"], place, "x", color="0.5", ms=4)
        alone = (known[["claim", "statistic"]] == [row["claim"], row["statistic"]]).all(axis=1).sum() == 1
        label = row["statistic"] if alone else f"{row['statistic']} ({row['members']})"
        labels.append(textwrap.fill(label, LABEL_WIDTH))
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.axvline(0, color="0.8", lw=0.8, zorder=0)
    reach = known[["value", "low", "high", "untrained"]].abs().to_numpy(float)
    if float(pd.Series(reach.ravel()).max()) > 3:
        axes.set_xscale("symlog", linthresh=1)
    for verdict, colour in COLOURS.items():
        axes.plot([], [], "o", color=colour, label=verdict)
    axes.plot([], [], "x", color="0.5", label="untrained")
    figure.legend(loc="outside upper center", ncols=4, fontsize=8)
    axes.set_xlabel("value, with 95 % limits over configurations")
    return figure


def page(title: str, facts: Sequence[str], ours: Sequence[str], claims: pd.DataFrame, figures: Sequence[Path]) -> str:
    """The page as HTML of one file, but for the pictures of the report, which stay where they are.

    Args:
      title: of the study.
      facts: what was trained and how many solved their task, each a sentence.
      ours: what differs from the paper, each a sentence.
      claims: with the columns `CLAIM_COLUMNS`.
      figures: pictures of the report, relative to the page.
    """
    rows = "".join(map(_row, claims.to_dict("records")))
    heads = ("claim", "networks", "statistic", "value", "n", "untrained", "paper", "verdict")
    head = "".join(f"<th>{name}</th>" for name in heads)
    picture = forest(claims)
    shown = "" if picture is None else f'<img alt="intervals of all statistics" src="{_embedded(picture)}">'
    pictures = "".join(f'<p><img alt="{_text(p.stem)}" src="{_text(p.as_posix())}"></p>' for p in figures)
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{_text(title)}</title><style>{PAGE_STYLE}</style>"
        f"<h1>{_text(title)}</h1>{_listed(facts)}"
        f"<h2>Claims</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"<h2>Not as in the paper, or not known of it</h2>{_listed(ours)}"
        f"<h2>Intervals</h2>{shown}<h2>Pictures of the zoo</h2>{pictures}</html>\n"
    )


def _row(row: dict[str, Any]) -> str:
    colour, verdict = COLOURS[row["verdict"]], _text(row["verdict"])
    cells = (
        f"<td>{_text(row['claim'])}<br><small>{_text(row['source'])}</small></td>",
        f"<td>{_text(row['members'])}</td>",
        f"<td>{_text(row['statistic'])}</td>",
        f"<td class='number'>{_text(_interval(row))}</td>",
        f"<td class='number'>{row['n']}</td>",
        f"<td class='number'>{_number(row['untrained'])}</td>",
        f"<td>{_text(row['paper'])}</td>",
        f"<td><b style='color:{colour}'>{verdict}</b><br><small>{_text(row['because'])}</small></td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _interval(row: dict[str, Any]) -> str:
    """ "0.31 (0.2 to 0.42)"; "none" where there is no value."""
    if not math.isfinite(row["value"]):
        return "none"
    if not math.isfinite(row["low"] + row["high"]):
        return _number(row["value"])
    return f"{_number(row['value'])} ({_number(row['low'])} to {_number(row['high'])})"


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else ""


def _text(words: object) -> str:
    return html.escape(str(words))


def _listed(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(each)}</li>' for each in sentences)}</ul>"


def _embedded(figure: Figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
