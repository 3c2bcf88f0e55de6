"""Bars with their ranges and targets, drawn as SVG without any library."""

from collections.abc import Iterator, Sequence
from html import escape

import msgspec

from benchmarks.charts import number, ticks
from benchmarks.statistics import Spread
from benchmarks.summary import RowResult

_WIDTH, _LEFT, _RIGHT, _TOP, _BAR, _GAP = 860, 330, 60, 46, 20, 14
_LETTER = 7.2
"""Pixels, about, of a letter of a name or a label."""
_MET, _MISSED, _NEUTRAL, _INK, _GRID = "#2e7d4f", "#b3402a", "#5b7083", "#222222", "#dddddd"


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


def ratio_bars(rows: Sequence[RowResult], title: str) -> str:
    """A bar for each ratio to the bare server by CPU time."""
    found = [
        Bar(row.name, row.ratio_on_cpu, f"{row.ratio_on_cpu.median:.2f}", met=row.met, target=row.target)
        for row in rows
    ]
    return bars(found, title)


def bars(of: Sequence[Bar], title: str) -> str:
    """The bars below each other, over an axis from 0 on."""
    axis = ticks(0, max(max(bar.shown.high, bar.target or 0) for bar in of), log=False)
    longest, right = axis[-1], _RIGHT + _LETTER * max(0, max(len(bar.label) for bar in of) - 4)
    left = round(max(_LEFT, 20 + _LETTER * max(len(bar.name) for bar in of)))
    height = _TOP + len(of) * (_BAR + _GAP) + 34

    def x(value: float) -> float:
        return round(left + value / longest * (_WIDTH - left - right), 1)

    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
    lines = [
        f'{svg} font-family="sans-serif" font-size="13" fill="{_INK}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for tick in axis:
        lines.append(f'<line x1="{x(tick)}" x2="{x(tick)}" y1="{_TOP - 8}" y2="{height - 26}" stroke="{_GRID}"/>')
        lines.append(f'<text x="{x(tick)}" y="{height - 10}" text-anchor="middle" font-size="11">{number(tick)}</text>')
    for place, bar in enumerate(of):
        top = _TOP + place * (_BAR + _GAP)
        lines += _bar(bar, left, top, [x(value) for value in (bar.shown.median, bar.shown.low, bar.shown.high)])
        if bar.target is not None:
            lines.append(f'<path d="M{x(bar.target)} {top - 4}v{_BAR + 8}" stroke="#000000" stroke-width="3"/>')
    return "\n".join([*lines, "</svg>\n"])


def _bar(bar: Bar, left: float, top: float, ends: Sequence[float]) -> Iterator[str]:
    end, low, high = ends
    middle = top + _BAR / 2
    colour = _MET if bar.met or bar.highlighted else _NEUTRAL if bar.met is None else _MISSED
    yield f'<text x="{left - 10}" y="{middle + 4:g}" text-anchor="end">{escape(bar.name)}</text>'
    yield f'<rect x="{left}" y="{top}" width="{end - left:g}" height="{_BAR}" fill="{colour}"/>'
    yield f'<path d="M{low} {middle:g}H{high}M{low} {top + 6}v8M{high} {top + 6}v8" stroke="{_INK}" fill="none"/>'
    yield f'<text x="{max(end, high) + 8:g}" y="{middle + 4:g}" font-weight="bold">{escape(bar.label)}</text>'
