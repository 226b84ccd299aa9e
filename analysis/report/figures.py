"""What pictures share: their look, names of items, colours of levels, captions, and a matrix with its colour bar."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize, to_rgba
from matplotlib.figure import Figure

from analysis.inference.factors import MOST_LEVELS, scaled
from analysis.labelled_comparison import MeasureRecord
from analysis.report.choices import MOST_MARKS, USUAL, PictureChoices, under
from analysis.words import field_words, level_words, measure_words, row_words, short_names

PALETTE = ("#3b6fb6", "#d1652c", "#3f9154", "#8a5fb0", "#b8446a", "#7a6a52", "#2f9aa0", "#9a9a2e")
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.prop_cycle": cycler(color=PALETTE),
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.dpi": 150,
    "pdf.fonttype": 42,  # whole letters, which an editor of figures can change
    "svg.fonttype": "none",
    "svg.hashsalt": "zoo",  # without it, names inside are drawn at random
}
"""The look of every picture, and what makes the same picture the same file."""
MARKS = ("o", "s", "^", "v", "P", "X", "<", "h")[:MOST_MARKS]
"""Shapes of marks, level by level."""
GREY = "#8a8a8a"
"""What is no level: untrained networks beside trained ones, and what is undefined."""


@contextlib.contextmanager
def style(choices: PictureChoices = USUAL) -> Iterator[None]:
    """The context in which every figure is drawn and saved."""
    with mpl.rc_context(STYLE), under(choices):
        yield


def names_of(table: pd.DataFrame, fields: Sequence[str]) -> list[str]:
    """One short name per row: the values of the varied fields, `gru, hidden units 64, L2 penalty 1e-05`."""
    columns = [[row_words(field, value) for value in table[field]] for field in fields]
    return [", ".join(part for part in row if part) for row in zip(*columns)] if columns else [""] * len(table)


STATES = ("trained", "untrained", "recording", "half", "baseline")
"""What an item may be, in the order in which pictures show them."""
GUESTS = STATES[2:]
"""What files brought in."""


def states_of(table: pd.DataFrame) -> np.ndarray:
    """What every item is, one of `STATES`: a network's state, or what a file brought in."""
    network = np.where(table["trained"].to_numpy(bool), "trained", "untrained")
    sources = table["source"].to_numpy(object) if "source" in table else network
    return np.array([source if source in STATES else state for source, state in zip(sources, network)])


def draw_matrix(
    figure: Figure, axes: Any, values: np.ndarray, record: MeasureRecord, *, contrast: bool = False, **place: Any
) -> None:
    """A matrix of values with its colour bar: yellow is alike, grey is undefined, in measures of every kind.

    The scale begins at 0 or a lower value, with `contrast` at the lowest; of scores, which have no lower limit, at the
    second percentile.
    """
    kind = record.kind
    known = values[np.isfinite(values)] if np.isfinite(values).any() else np.zeros(1)
    low, high = float(known.min()) if contrast else min(0.0, float(known.min())), 1.0
    if kind == "score":
        low, high = min(0.0, float(np.quantile(known, 0.02))), max(1.0, float(known.max()))
        axes.set_ylabel("predicts")
        axes.set_xlabel("is predicted")
    if kind == "distance":
        low, high = 0.0, float(known.max()) or 1.0
    colours = alike_map(record)
    smooth: Any = "nearest" if len(values) <= 300 else "auto"  # more rows than pixels: averaged, not skipped
    image = axes.imshow(values, vmin=low, vmax=high, cmap=colours, interpolation=smooth, **place)
    for spine in axes.spines.values():
        spine.set_visible(False)
    below = "min" if known.min() < low else "neither"
    figure.colorbar(image, ax=axes, shrink=0.7, extend=below, label=f"{value_words(record)}\n({record.way})")


def alike_map(record: MeasureRecord) -> Any:
    """The colours of values: yellow is alike, in measures of every kind, and grey is undefined."""
    return mpl.colormaps["viridis_r" if record.kind == "distance" else "viridis"].with_extremes(bad="#dddddd")


def value_words(record: MeasureRecord) -> str:
    """What the values of a measure are, for axes and colour bars: "similarity, CKA"."""
    return f"{record.kind}, {measure_words(record.name)[1]}"


def measure_title(record: MeasureRecord) -> str:
    """A measure in words and by its name, for captions: "Centred kernel alignment, cka"; "graph distance" of one that
    an assay gives."""
    words = measure_words(record.name)[0]
    return f"{words}, {record.name}" if record.n_stimuli else f"{words.replace('_', ' ')} {record.kind}"


def distance_title(record: MeasureRecord, between: str = " ") -> str:
    """The true distance of a measure, for captions of maps and trees: "arccos cka, centred kernel alignment".

    Args:
      record: of the measure.
      between: what stands between its name and the words.
    """
    if not record.n_stimuli:
        return measure_title(record)
    what = record.name if record.kind == "distance" else f"arccos {record.name}"
    return f"{what},{between}{measure_words(record.name)[0].lower()}"


def about(record: MeasureRecord) -> str:
    """The stimuli, where the values are of stimuli, and the chance level of a measure, for captions."""
    return f"n = {record.n_stimuli} stimuli, {_chance(record)}" if record.n_stimuli else _chance(record)


def guest_names(table: pd.DataFrame) -> list[str]:
    """The items' own names, short: what a recording or a baseline is called in a picture."""
    names: Any = table.get("item", table.index)
    if "recording" in table:
        names = short_names(table["recording"])
    return [name if len(name) <= 32 else f"{name[:29]}..." for name in map(str, names)]


def _chance(record: MeasureRecord) -> str:
    if record.chance_by_pair:
        return "chance differs by pair"
    if record.chance is None:
        return "chance level not known in closed form"
    sd = "" if record.chance_sd is None else f" ± {record.chance_sd:.2g}"
    return f"chance {record.chance:.2g}{sd}"


def runs(labels: Sequence[str]) -> tuple[list[int], list[str]]:
    """Where each run of equal labels starts, and the labels."""
    starts = [i for i, label in enumerate(labels) if i == 0 or label != labels[i - 1]]
    return starts, [labels[i] for i in starts]


def colours_of(levels: Sequence[Any]) -> dict[Any, Any]:
    """A colour for every level of a field, as RGBA.

    Numbers are dark to light in their order: evenly where a legend names them, so that 0.001 and 0.003 can be told
    apart beside 1; of more, as their `colour_scale` has it. Texts have colours of their own as far as those go.
    """
    if _numeric(levels) and len(levels) > MOST_LEVELS:
        scale = colour_scale(levels)
        return {level: scale.to_rgba(level) for level in levels}
    return {level: to_rgba(colour_of(i, len(levels), _numeric(levels))) for i, level in enumerate(levels)}


def colour_scale(levels: Sequence[Any]) -> ScalarMappable:
    """The colours of numbers by their size, on a logarithmic scale where they span more than a decade."""
    values = np.asarray(levels, np.float64)
    norm = (LogNorm if scaled(values)[1] else Normalize)(values.min(), values.max())
    colours = ListedColormap([colour_of(i, 256, numeric=True) for i in range(256)])
    return ScalarMappable(norm, colours)


def marks_of(levels: Sequence[Any]) -> dict[Any, str]:
    """A shape for every level of a field.

    Raises:
      ValueError: there are more levels than shapes.
    """
    if len(levels) > MOST_MARKS:
        raise ValueError(f"The field of the marks has {len(levels)} levels; {MOST_MARKS} at most can be told apart.")
    return dict(zip(levels, MARKS))


def name_levels(axes: Any, field: str, levels: Sequence[Any], colours: dict[Any, Any]) -> str:
    """Names the levels under the axes, numbers too many for a legend by a colour bar; the words that replace both.

    Texts that are too many for a legend are words: the first and the last.
    """
    if len(levels) > MOST_LEVELS and _numeric(levels):
        bar: Any = dict(orientation="horizontal", shrink=0.8, aspect=30, label=field_words(field))
        axes.figure.colorbar(colour_scale(levels), ax=axes, **bar)
        return ""
    if len(levels) > MOST_LEVELS:
        return f"\n{len(levels)} levels: {level_words(levels[0])} dark, {level_words(levels[-1])} light"
    names = [level_words(level) or "(none)" for level in levels]
    for level, name in zip(levels, names):
        axes.scatter([], [], s=26, color=colours[level], lw=0, label=name)
    # As many columns as the panel is wide, at about 45 letters.
    columns = max(1, min(len(names), 45 // (max(map(len, names), default=0) + 5)))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=columns, fontsize=8)
    return ""


def levels_of(values: Any) -> list[Any]:
    """The levels of a field in the order in which every picture shows them: numbers by size, inside text too."""

    def key(level: Any) -> tuple[Any, ...]:
        parts = re.split(r"(\d+(?:\.\d+)?(?:e-?\d+)?)", str(level))
        return tuple((1, float(part), "") if i % 2 else (0, 0.0, part) for i, part in enumerate(parts))

    levels = [level for level in values.dropna().unique() if level != ""]
    return sorted(levels) if _numeric(levels) else sorted(levels, key=key)


def colour_of(i: int, count: int, numeric: bool) -> Any:
    """The colour of one level of so many."""
    if numeric or count > len(PALETTE):
        return mpl.colormaps["viridis"](0.05 + 0.82 * i / max(count - 1, 1))
    return PALETTE[i]


def _numeric(levels: Sequence[Any]) -> bool:
    return len(levels) > 0 and not any(isinstance(level, str | bool | np.bool_) for level in levels)
