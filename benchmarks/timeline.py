"""Figures over time as small charts under one another."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from benchmarks.drawing import FAINT, PALETTE, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _CHART, _AROUND = 900, 140, 90
_SHADE, _BAND = "#f3f4f6", "#2e7d4f"


class Chart(msgspec.Struct, frozen=True):
    """One of the charts: ``points`` are (minutes, value)."""

    title: str
    points: Sequence[tuple[float, float]]
    band: tuple[float, float] | None = None
    """Where the values must stay, from minute :attr:`Timeline.warm_up` on."""
    decimals: int = 0


class Timeline(msgspec.Struct, frozen=True):
    """Charts with one axis of time."""

    title: str
    subtitle: str
    charts: Sequence[Chart]
    warm_up: float
    """Minutes that are shaded."""
    minutes: float


def draw(timeline: Timeline) -> str:
    """The picture as SVG. Raises DrawingError."""

    def fill(figure: "Figure") -> None:
        figure.suptitle(timeline.title, x=0.01, horizontalalignment="left")
        figure.supxlabel(timeline.subtitle, x=0.01, horizontalalignment="left", fontsize=8, color=FAINT)
        of = figure.subplots(len(timeline.charts), 1, sharex=True, squeeze=False)[:, 0]
        for axes, chart in zip(of, timeline.charts, strict=True):
            _chart(axes, timeline, chart)
        of[-1].set(xlabel="minutes of load", xlim=(0, timeline.minutes))

    return svg(timeline.title, _WIDTH, _AROUND + _CHART * len(timeline.charts), fill)


def _chart(axes: "Axes", timeline: Timeline, chart: Chart) -> None:
    axes.set_title(chart.title)
    axes.axvspan(0, timeline.warm_up, color=_SHADE, zorder=0)
    if chart.band is not None:
        after = (timeline.warm_up, timeline.minutes)
        axes.fill_between(after, *chart.band, color=_BAND, alpha=0.14, linewidth=0)
        most = f"at most {chart.band[1]:,.{chart.decimals}f}"
        axes.text(timeline.minutes, chart.band[1], most, ha="right", va="bottom", fontsize=8, color=_BAND)
    if chart.points:
        minutes, values = zip(*chart.points, strict=True)
        axes.plot(minutes, values, color=PALETTE[0], linewidth=1.6)
        axes.plot(minutes[-1], values[-1], "o", color=PALETTE[0], markersize=5, clip_on=False)
        last = f"{values[-1]:,.{chart.decimals}f}"
        axes.annotate(last, chart.points[-1], (8, 0), textcoords="offset points", va="center", fontweight="bold")
    axes.set_ylim(0, max([value for _, value in chart.points] + list(chart.band or ()), default=1.0) * 1.15 or 1.0)
    axes.yaxis.set_major_formatter(f"{{x:,.{chart.decimals}f}}")
    axes.locator_params(axis="y", nbins=4)
