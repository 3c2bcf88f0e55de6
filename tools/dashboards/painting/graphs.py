"""Graphs over time: lines or stacks, the red line, exemplars, and the legend below."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from tools.dashboards.painting.answers import Point, Seen, Series
from tools.dashboards.painting.axes import BOTTOM, LEFT, Axes, JsonObject, red_line
from tools.dashboards.painting.canvas import FAINT, GRID, PALETTE, RED, Box, area, level, line, rectangle, text
from tools.dashboards.painting.figures import text_width, ticks

_LEGEND_LINE, _LEGEND_LINES = 16.0, 2
_SHOWN_EXEMPLARS = 60
_FAR = 3.0
"""A red line so many times above all values is told, not drawn: the values would lie flat on the ground."""


class _Entry(NamedTuple):
    """One entry of a legend; without a number it tells of those that have no room."""

    row: int
    x: float
    number: int | None
    name: str


def graph(panel: JsonObject, box: Box, seen: Seen) -> Iterator[str]:
    """A graph with its legend below."""
    series = seen.series.get(panel["id"], ())
    field = panel["fieldConfig"]["defaults"]
    legend = _legend(series, box)
    lines = 1 + max((entry.row for entry in legend), default=0)
    inner = Box(box.x + LEFT, box.y + 6, box.width - LEFT - 8, box.height - BOTTOM - 12 - lines * _LEGEND_LINE)
    stacked = field["custom"]["stacking"]["mode"] == "normal"
    limit = red_line(panel)
    axes = Axes(inner, (seen.start, seen.end), *_range(field, _stack(series) if stacked else series, limit))
    at, write = ticks(axes.low, axes.high, field["unit"])
    for value in at:
        yield level(axes.y(value), inner, GRID)
        yield text((inner.x - 6, axes.y(value) + 3.5), write(value), size=10, colour=FAINT, anchor="end")
    yield from axes.clock()
    yield from axes.marks(seen.marks)
    yield from _stacks(series, axes) if stacked else _lines(series, axes)
    if limit is not None and axes.low <= limit <= axes.high:
        yield level(axes.y(limit), inner, RED, "7 4")
    for when, value in _thinned(seen.exemplars.get(panel["id"], ())):
        if axes.low < value < axes.high and seen.start < when < seen.end:
            yield _diamond(axes.x(when), axes.y(value))
    for row, x, index, name in legend:
        y = box.bottom - (lines - row) * _LEGEND_LINE + 8
        if index is not None:
            yield rectangle(Box(x, y - 5, 12, 3), PALETTE[index % len(PALETTE)], radius=1.5)
        yield text((x + 17, y), name, size=10.5, colour=FAINT)


def _range(field: JsonObject, series: Sequence[Series], limit: float | None) -> tuple[float, float]:
    values = [value for each in series for _, value in each.points]
    low, high = min(values, default=0.0), max(values, default=0.0)
    if limit is not None and (high <= limit <= high * _FAR or (low == high == 0 and limit < 100)):
        high = limit
    low = 0.0 if "min" in field or low > 0 else low
    if high <= low:
        high = low + 1
    return low, high + (high - low) * 0.08


def _lines(series: Sequence[Series], axes: Axes) -> Iterator[str]:
    for index, each in enumerate(series):
        colour = PALETTE[index % len(PALETTE)]
        for part in _unbroken(each.points):
            places = axes.places(part)
            if len(series) < 4:
                ground = [(x, axes.box.bottom) for x, _ in (places[0], places[-1])]
                yield area(places, ground, colour, 0.09)
            yield line(places, colour)


def _stack(series: Sequence[Series]) -> list[Series]:
    """The series one upon the other, where all have values at the same moments or none."""
    moments = sorted({at for each in series for at, _ in each.points})
    total = dict.fromkeys(moments, 0.0)
    stacked = []
    for each in series:
        for at, value in each.points:
            total[at] += value
        stacked.append(Series(each.legend, [(at, total[at]) for at in moments]))
    return stacked


def _stacks(series: Sequence[Series], axes: Axes) -> Iterator[str]:
    below: list[tuple[float, float]] | None = None
    for index, each in enumerate(_stack(series)):
        places = axes.places(each.points)
        colour = PALETTE[index % len(PALETTE)]
        yield area(places, below or [(x, axes.box.bottom) for x, _ in places], colour, 0.35)
        yield line(places, colour, 1)
        below = places


def _unbroken(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Parts of a line without gaps: as far as points follow each other at the usual distance."""
    step = min((later[0] - earlier[0] for earlier, later in pairwise(points)), default=1.0)
    part: list[Point] = []
    for point in points:
        if part and point[0] - part[-1][0] > step * 1.5:
            yield part
            part = []
        part.append(point)
    if part:
        yield part


def _legend(series: Sequence[Series], box: Box) -> list[_Entry]:
    """The entries in their order; where there is no room for all, the largest, and how many more there are."""
    entries = list(_laid_out(series, range(len(series)), box))
    if len(entries) == len(series) and all(entry.number is not None for entry in entries):
        return entries
    largest = sorted(range(len(series)), key=lambda index: -max((v for _, v in series[index].points), default=0.0))
    return list(_laid_out(series, largest, box))


def _laid_out(series: Sequence[Series], order: Sequence[int], box: Box) -> Iterator[_Entry]:
    x, row = box.x + 10, 0
    for shown, index in enumerate(order):
        name = series[index].legend
        width = 17 + text_width(name, 10.5) + 14
        more = f"+{len(series) - shown} more"
        last_row = row == _LEGEND_LINES - 1
        if x + width + (text_width(more, 10.5) + 17 if last_row and shown < len(series) - 1 else 0) > box.right:
            if last_row:
                yield _Entry(row, x - 17, None, more)
                return
            x, row = box.x + 10, row + 1
        yield _Entry(row, x, index, name)
        x += width


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    return points[:: max(1, len(points) // _SHOWN_EXEMPLARS)]


def _diamond(x: float, y: float) -> str:
    return f'<path d="M{x:.1f} {y - 3.5:.1f}l3.5 3.5l-3.5 3.5l-3.5 -3.5Z" fill="#6e9fff" fill-opacity="0.75"/>'
