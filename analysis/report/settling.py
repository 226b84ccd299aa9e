"""What is known of a picture only when it has been laid out: labels that run together are mended before it is saved."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, NullFormatter
from matplotlib.transforms import Bbox

__all__ = ["name_points", "settle", "ticks_apart"]

NAME = "name of a point"
"""What marks the texts that may be moved about their points."""

PLACES = [
    (distance * x, distance * y)
    for distance in (5.0, 10.0, 18.0, 28.0, 40.0)
    for x, y in ((1, 0.8), (-1, 0.8), (1, -0.8), (-1, -0.8), (0, 1.2), (0, -1.2), (1.4, 0), (-1.4, 0))
]
"""Where a name may stand, from its point, in points of 1/72 inch: the nearest that is free is taken."""


def name_points(axes: Any, points: Any, names: Sequence[str]) -> None:
    """Names points, `(point, 2)`; `settle` moves the names out of each other's way, and ties those to their points that
    had to go far."""
    for place, name in zip(points, names):
        line = dict(arrowstyle="-", lw=0.5, color="#777777", shrinkA=0, shrinkB=2)
        style: Any = dict(fontsize=7, zorder=5, gid=NAME, path_effects=[withStroke(linewidth=2, foreground="white")])
        axes.annotate(name, place, textcoords="offset points", xytext=PLACES[0], arrowprops=line, **style)


def settle(figure: Figure) -> None:
    """Lays a figure out, widens it where its title runs into its legend, leaves out labels of ticks that would run into
    their neighbours, and puts names beside points where there is room."""
    figure.draw_without_rendering()
    if too_narrow := _too_narrow(figure):
        figure.set_figwidth(figure.get_figwidth() + too_narrow)
        figure.draw_without_rendering()
    found = [_thin(axis) for axes in figure.axes if axes.get_visible() for axis in (axes.xaxis, axes.yaxis)]
    if any(found):
        figure.draw_without_rendering()  # the axes have grown by what is gone
    figure.set_layout_engine("none")  # all is where it belongs: saving need not find that out again, for every format
    for axes in figure.axes:
        _place(axes, [text for text in axes.texts if text.get_gid() == NAME])


def _too_narrow(figure: Figure) -> float:
    """How much wider a figure has to be for its title to end before the legend beside it begins, inches."""
    pairs = [(a.get_window_extent(), b.get_window_extent()) for a in figure.texts for b in figure.legends]
    over = [title.x1 - legend.x0 for title, legend in pairs if title.overlaps(legend)]
    return (max(over) / figure.dpi + 0.1) if over else 0.0


class _Label(NamedTuple):
    """The label of a tick that is drawn.

    Attributes:
      place: of the tick, in data units.
      text: what it says.
      box: corners of the text before it is turned, about the origin of its own frame.
    """

    place: float
    text: str
    box: Bbox


def ticks_apart(axis: Any) -> bool:
    """Whether no two labels of an axis that has been drawn run into each other."""
    labels = _labels(axis.get_major_ticks()) + _labels(axis.get_minor_ticks())
    return not any(a.box.overlaps(b.box) for i, a in enumerate(labels) for b in labels[:i])


def _labels(ticks: Sequence[Any]) -> list[_Label]:
    """The labels that are seen, in the order of the axis."""
    found = []
    for tick in ticks:
        low, high = sorted(tick.axes.get_xlim() if tick.__name__.startswith("x") else tick.axes.get_ylim())
        for text in (tick.label1, tick.label2):
            if text.get_visible() and text.get_text().strip() and low <= tick.get_loc() <= high:
                found.append(_Label(float(tick.get_loc()), text.get_text(), _unturned(text)))
    return sorted(found, key=lambda label: label.place)


def _unturned(text: Any) -> Bbox:
    """The box of a text in a frame that is turned as the text is, where boxes of equal turn can be compared."""
    angle, around = text.get_rotation(), text.get_window_extent()
    turn = math.radians(angle)
    text.set_rotation(0)
    flat = text.get_window_extent()
    text.set_rotation(angle)
    x, y = (around.x0 + around.x1) / 2, (around.y0 + around.y1) / 2
    x, y = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    return Bbox.from_bounds(x - flat.width / 2, y - flat.height / 2, flat.width, flat.height)


def _thin(axis: Any) -> bool:
    """Leaves out what runs into the label before it; whether anything was."""
    if _labels(axis.get_minor_ticks()) and not ticks_apart(axis):
        axis.set_minor_formatter(NullFormatter())
    labels = _labels(axis.get_major_ticks())
    kept: list[_Label] = []
    for label in labels:
        if not kept or not label.box.overlaps(kept[-1].box):
            kept.append(label)
    if len(kept) == len(labels):
        return False
    places = [label.place for label in kept]
    if isinstance(axis.get_major_locator(), FixedLocator):
        first: Any = axis.get_ticklabels()[0]
        names = ("fontsize", "rotation", "rotation_mode", "ha")
        axis.set_ticks(
            places, [label.text for label in kept], **{name: getattr(first, f"get_{name}")() for name in names}
        )
    else:
        axis.set_major_locator(FixedLocator(places))
    return True


def _place(axes: Any, names: Sequence[Any]) -> None:
    """Puts every name at the first of its places that is free and inside the axes; one without such a place is hidden,
    for it could not be read, nor could the one under it."""
    taken: list[Bbox] = []
    for name in names:
        for x, y in PLACES:
            name.set_position((x, y))
            name.set_ha("left" if x > 0 else "right" if x < 0 else "center")
            name.set_va("bottom" if y > 0 else "top" if y < 0 else "center")
            box = _of_text(name)
            inside = axes.bbox.containsx(box.x0) and axes.bbox.containsx(box.x1)
            inside = inside and axes.bbox.containsy(box.y0) and axes.bbox.containsy(box.y1)
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
        else:
            name.set_visible(False)


def _of_text(name: Any) -> Bbox:
    """The box of an annotation without its line."""
    name.get_window_extent()  # which moves it to where it stands
    return Text.get_window_extent(name)
