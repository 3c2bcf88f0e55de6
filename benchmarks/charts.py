"""Lines over a pair of axes, as many panels as wanted beside each other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from benchmarks.drawing import PALETTE, TARGET, number, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 430, 330


class Series(msgspec.Struct, frozen=True):
    """One line: its points from left to right, each with the range that was seen."""

    name: str
    points: tuple[tuple[float, float], ...]
    ranges: tuple[tuple[float, float], ...] = ()
    """Least and greatest of each point's value; none where they are not drawn."""


class Panel(msgspec.Struct, frozen=True):
    """One pair of axes."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    x_log: bool = False
    y_log: bool = False
    x_ticks: tuple[float, ...] = ()
    """Where the values of x are few; else round figures."""
    target: float | None = None
    """A value of y that is not to be exceeded."""


def chart(panels: Sequence[Panel]) -> str:
    """The panels in a row. Raises DrawingError, or ValueError for values that a logarithmic axis does not have."""

    def draw(figure: "Figure") -> None:
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _panel(axes, panel)

    return svg("; ".join(panel.title for panel in panels), WIDTH * len(panels), HEIGHT, draw)


def _panel(axes: "Axes", panel: Panel) -> None:
    points = [point for series in panel.series for point in series.points]
    if (panel.x_log and min(x for x, _ in points) <= 0) or (panel.y_log and min(y for _, y in points) <= 0):
        raise ValueError(f"{panel.title}: a logarithmic axis has no zero")
    axes.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label)
    axes.set(xscale="log" if panel.x_log else "linear", yscale="log" if panel.y_log else "linear")
    for series, colour in zip(panel.series, PALETTE, strict=False):
        xs, ys = zip(*series.points, strict=True)
        if series.ranges:
            lows, highs = zip(*series.ranges, strict=True)
            axes.vlines(xs, lows, highs, colors=colour, linewidth=5, alpha=0.25)
        axes.plot(xs, ys, "o-", label=series.name, color=colour)
    if panel.target is not None:
        axes.axhline(panel.target, color=TARGET, linestyle="--", label=f"at most {number(panel.target)}", linewidth=1.5)
    if panel.x_ticks:
        axes.set_xticks(panel.x_ticks)
        axes.set_xticks([], minor=True)
    elif not panel.x_log:
        axes.set_xlim(left=0)
    if not panel.y_log:
        axes.set_ylim(0, axes.dataLim.ymax * 1.08)
    axes.xaxis.set_major_formatter(number)
    axes.yaxis.set_major_formatter(number)
    axes.legend()
