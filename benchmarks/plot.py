"""Bars with their ranges and targets."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from benchmarks.drawing import FAINT, INK, TARGET, number, svg
from benchmarks.statistics import Spread
from benchmarks.summary import RowResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _ROW, _AROUND = 860, 34, 70
MET, MISSED, NEUTRAL = "#2e7d4f", TARGET, "#5b7083"


class Bar(msgspec.Struct, frozen=True):
    """One bar, as long as the median; its whisker is the range."""

    name: str
    shown: Spread
    label: str
    """Behind it."""
    highlighted: bool = False
    met: bool | None = None
    """Whether it reaches its target; None where there is none."""
    target: float | None = None
    """Drawn as a line across it."""

    @property
    def colour(self) -> str:
        return MET if self.met or self.highlighted else NEUTRAL if self.met is None else MISSED


def ratio_bars(rows: Sequence[RowResult], title: str) -> str:
    """A bar for each ratio to the bare server by CPU time."""
    found = [
        Bar(row.name, row.ratio_on_cpu, f"{row.ratio_on_cpu.median:.2f}", met=row.met, target=row.target)
        for row in rows
    ]
    return bars(found, title)


def bars(of: Sequence[Bar], title: str) -> str:
    """The bars below each other, over an axis from 0 on. Raises DrawingError."""

    def draw(figure: "Figure") -> None:
        figure.suptitle(title, x=0.01, horizontalalignment="left")
        axes = figure.subplots()
        places = range(len(of))
        medians = [bar.shown.median for bar in of]
        out = [[bar.shown.median - bar.shown.low for bar in of], [bar.shown.high - bar.shown.median for bar in of]]
        axes.barh(places, medians, height=0.6, color=[bar.colour for bar in of])
        axes.errorbar(medians, places, xerr=out, fmt="none", ecolor=INK, elinewidth=1, capsize=4)
        for place, bar in enumerate(of):
            end = max(bar.shown.high, bar.target or 0)
            axes.annotate(bar.label, (end, place), (8, 0), textcoords="offset points", va="center", fontweight="bold")
            if bar.target is not None:
                axes.vlines(bar.target, place - 0.42, place + 0.42, colors="#000000", linewidth=3)
        axes.set_yticks(places, [bar.name for bar in of], color=INK)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.set(xlim=(0, None), ylim=(len(of) - 0.4, -0.6))
        axes.margins(x=0.15)
        axes.xaxis.set_major_formatter(number)
        axes.spines["left"].set_color(FAINT)

    return svg(title, _WIDTH, _AROUND + _ROW * len(of), draw)
