"""Lines over a pair of axes, as many panels as wanted beside each other, drawn as SVG without any library."""

import math
from collections.abc import Iterator, Sequence
from html import escape

import msgspec

WIDTH, HEIGHT = 430, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 18, 64, 54
_INK, _GRID, _TARGET = "#222222", "#dddddd", "#b3402a"
COLOURS = ("#1f5f99", "#c07a1c", "#2e7d4f", "#7a4b94")


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


class _Axis(msgspec.Struct, frozen=True):
    """From values to pixels."""

    low: float
    high: float
    first_px: float
    last_px: float
    log: bool

    def __call__(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return round(self.first_px + (at - low) / (high - low) * (self.last_px - self.first_px), 1)


def chart(panels: Sequence[Panel]) -> str:
    """The panels in a row."""
    width = WIDTH * len(panels)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}"'
    return "\n".join(
        [
            f'{svg} font-family="sans-serif" font-size="12" fill="{_INK}">',
            f'<rect width="{width}" height="{HEIGHT}" fill="#ffffff"/>',
            *(part for number, panel in enumerate(panels) for part in _panel(panel, number * WIDTH)),
            "</svg>\n",
        ]
    )


def _panel(panel: Panel, left: float) -> Iterator[str]:
    xs = [x for series in panel.series for x, _ in series.points]
    ys = [y for series in panel.series for _, y in series.points]
    ys += [y for series in panel.series for pair in series.ranges for y in pair]
    ys += [] if panel.target is None else [panel.target]
    x_ticks = panel.x_ticks or ticks(0, max(xs), log=panel.x_log)
    y_ticks = ticks(min(ys), max(ys), log=panel.y_log)
    x = _Axis(*_ends(x_ticks, panel.x_log), left + _LEFT, left + WIDTH - _RIGHT, panel.x_log)
    y = _Axis(*_ends(y_ticks, panel.y_log), HEIGHT - _BOTTOM, _TOP, panel.y_log)
    yield f'<text x="{left + 12}" y="20" font-size="14" font-weight="bold">{escape(panel.title)}</text>'
    for tick in x_ticks:
        yield f'<path d="M{x(tick)} {_TOP}V{HEIGHT - _BOTTOM}" stroke="{_GRID}"/>'
        yield f'<text x="{x(tick)}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{number(tick)}</text>'
    for tick in y_ticks:
        yield f'<path d="M{left + _LEFT} {y(tick)}H{left + WIDTH - _RIGHT}" stroke="{_GRID}"/>'
        yield f'<text x="{left + _LEFT - 6}" y="{y(tick) + 4:g}" text-anchor="end">{number(tick)}</text>'
    middle = left + (_LEFT + WIDTH - _RIGHT) / 2
    yield f'<text x="{middle:g}" y="{HEIGHT - 14}" text-anchor="middle">{escape(panel.x_label)}</text>'
    yield f'<text x="{left + 12}" y="{_TOP - 10}" font-size="11">{escape(panel.y_label)}</text>'
    if panel.target is not None:
        at = y(panel.target)
        line = f"M{left + _LEFT} {at}H{left + WIDTH - _RIGHT}"
        yield f'<path d="{line}" stroke="{_TARGET}" stroke-dasharray="6 4"/>'
        text = f"at most {number(panel.target)}"
        end = left + WIDTH - _RIGHT - 4
        yield f'<text x="{end}" y="{at - 5:g}" text-anchor="end" fill="{_TARGET}" font-size="11">{text}</text>'
    for place, series in enumerate(panel.series):
        yield from _line(series, COLOURS[place % len(COLOURS)], x, y)
    yield from _legend(panel.series, left + WIDTH - _RIGHT)


def _line(series: Series, colour: str, x: _Axis, y: _Axis) -> Iterator[str]:
    path = "L".join(f"{x(at)} {y(value)}" for at, value in series.points)
    for (at, _), (low, high) in zip(series.points, series.ranges, strict=False):
        yield f'<path d="M{x(at)} {y(low)}V{y(high)}" stroke="{colour}" stroke-width="5" stroke-opacity="0.25"/>'
    yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for at, value in series.points:
        yield f'<circle cx="{x(at)}" cy="{y(value)}" r="3.5" fill="{colour}"/>'


def _legend(of: Sequence[Series], right: float) -> Iterator[str]:
    """Names from right to left above the axes; a letter is taken for 6.3 pixels."""
    for place, series in reversed(list(enumerate(of))):
        right -= len(series.name) * 6.3
        yield f'<text x="{right:g}" y="{_TOP - 26}">{escape(series.name)}</text>'
        right -= 14
        yield f'<circle cx="{right + 6:g}" cy="{_TOP - 30}" r="4" fill="{COLOURS[place % len(COLOURS)]}"/>'
        right -= 14


def ticks(low: float, high: float, *, log: bool) -> tuple[float, ...]:
    """Round figures that hold ``low`` and ``high`` between them: from 0 on, or by powers of ten.

    Raises ValueError for values that a logarithmic axis does not have.
    """
    if log:
        if low <= 0:
            raise ValueError("a logarithmic axis has no zero")
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return tuple(10.0**power for power in range(first, max(last, first + 1) + 1))
    step = 10.0 ** math.floor(math.log10(high))
    step = next(step * part for part in (0.1, 0.2, 0.25, 0.5, 1, 2) if high / (step * part) <= 6)
    return tuple(step * count for count in range(math.ceil(high / step) + 1))


def number(value: float) -> str:
    """A short figure for an axis."""
    for limit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{letter}"
    return f"{value:g}"


def _ends(of: Sequence[float], log: bool) -> tuple[float, float]:
    """The ends of an axis: beyond ticks that are values themselves there is some room."""
    low, high = of[0], of[-1]
    if log:
        return low / 1.3, high * 1.3
    return (low, high) if low == 0 else (low - (high - low) * 0.08, high + (high - low) * 0.08)
