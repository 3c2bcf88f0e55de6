"""Curves over two axes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.drawing import FAINT, PALETTE, number, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 860, 420
_STYLES: dict[str, dict[str, Any]] = {
    "line": {},
    "dashed": {"linestyle": "--"},
    "dots": {"linestyle": "none", "marker": "o", "markerfacecolor": "#ffffff", "markeredgewidth": 2},
}


class Axis(msgspec.Struct, frozen=True):
    """One axis: what it counts, where it ends."""

    label: str
    log: bool = False
    low: float | None = None
    """None: 0, or the least figure where the axis is logarithmic."""
    high: float | None = None
    """None: the greatest figure."""


class Curve(msgspec.Struct, frozen=True):
    """Points in order; ``line``, ``dashed`` or ``dots``."""

    label: str
    """Empty: not in the legend."""
    points: Sequence[tuple[float, float]]
    style: str = "line"
    colour: int | None = None
    """Of the palette; None: the next one."""


def curves(title: str, x: Axis, y: Axis, drawn: Sequence[Curve], *, marks: Sequence[tuple[float, str]] = ()) -> str:
    """An SVG document. ``marks``: places on the x axis with a name, such as the beginnings of stages.

    Raises DrawingError, or ValueError where there is no point at all or one that a logarithmic axis does not have.
    """
    points = [point for curve in drawn for point in curve.points]
    if not points:
        raise ValueError("there is nothing to draw")
    for axis, values in ((x, [a for a, _ in points]), (y, [b for _, b in points])):
        if axis.log and min(values) <= 0:
            raise ValueError(f"{axis.label}: a logarithmic axis has no {min(values):g}")

    def draw(figure: "Figure") -> None:
        figure.suptitle(title, x=0.01, horizontalalignment="left")
        axes = figure.subplots()
        for place, curve in enumerate(drawn):
            colour = PALETTE[(place if curve.colour is None else curve.colour) % len(PALETTE)]
            axes.plot(*zip(*curve.points, strict=True), label=curve.label or None, color=colour, **_STYLES[curve.style])
        axes.set(xlabel=x.label, ylabel=y.label, xscale=_scale(x), yscale=_scale(y))
        axes.set_xlim(0 if x.low is None and not x.log else x.low, x.high)
        axes.set_ylim(0 if y.low is None and not y.log else y.low, y.high)
        axes.xaxis.set_major_formatter(number)
        axes.yaxis.set_major_formatter(number)
        for at, name in marks:
            axes.axvline(at, color=FAINT, linestyle=":", linewidth=1)
            axes.text(at, 1, f" {name}", rotation=90, ha="left", va="top", transform=axes.get_xaxis_transform(), size=8)
        figure.legend(loc="outside lower center", ncols=4)

    return svg(title, _WIDTH, _HEIGHT, draw)


def _scale(axis: Axis) -> str:
    return "log" if axis.log else "linear"
