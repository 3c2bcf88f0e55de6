"""Figures over time as small charts under one another, drawn as SVG without any library."""

import math
from collections.abc import Iterator, Sequence
from html import escape

import msgspec

_WIDTH, _LEFT, _RIGHT, _TOP, _CHART, _GAP, _BOTTOM = 900, 76, 96, 62, 112, 44, 44
_INK, _SOFT, _GRID, _SHADE, _LINE, _BAND = "#1f2328", "#59636e", "#e4e7eb", "#f3f4f6", "#0b62c4", "#2e7d4f"
_SMALL = f'font-size="11" fill="{_SOFT}"'
_TICKS = 3
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


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
    """The picture as SVG."""
    height = _TOP + len(timeline.charts) * (_CHART + _GAP) - _GAP + _BOTTOM
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif"'
    return "\n".join(
        [
            f'{svg} font-size="12" fill="{_INK}" role="img" aria-label="{escape(timeline.title)}">',
            f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            f'<text x="14" y="24" font-size="16" font-weight="bold">{escape(timeline.title)}</text>',
            f'<text x="14" y="42" fill="{_SOFT}">{escape(timeline.subtitle)}</text>',
            *(part for number, chart in enumerate(timeline.charts) for part in _chart(timeline, chart, number)),
            *_minutes(timeline, height - _BOTTOM),
            "</svg>\n",
        ]
    )


def _chart(timeline: Timeline, chart: Chart, number: int) -> Iterator[str]:
    top = _TOP + number * (_CHART + _GAP) + 18
    bottom = top + _CHART - 18
    ticks = ticks_for(max([value for _, value in chart.points] + list(chart.band or ()), default=1.0))
    right = _WIDTH - _RIGHT

    def y(value: float) -> float:
        return round(bottom - value / ticks[-1] * (bottom - top), 1)

    warm = _x(timeline, timeline.warm_up)
    yield f'<text x="{_LEFT}" y="{top - 8}" font-weight="bold">{escape(chart.title)}</text>'
    yield f'<rect x="{_LEFT}" y="{top}" width="{warm - _LEFT:g}" height="{bottom - top}" fill="{_SHADE}"/>'
    if number == 0 and timeline.warm_up:
        yield f'<text x="{_LEFT + 6}" y="{bottom - 8}" {_SMALL}>warm-up</text>'
    if chart.band is not None:
        low, high = y(chart.band[0]), y(chart.band[1])
        yield (
            f'<rect x="{warm}" y="{high}" width="{right - warm:g}" height="{low - high:g}" fill="{_BAND}" '
            'fill-opacity="0.14"/>'
        )
        yield f'<path d="M{warm} {high}H{right}" stroke="{_BAND}" stroke-dasharray="4 3" fill="none"/>'
        yield (
            f'<text x="{right - 4}" y="{high - 4:g}" font-size="11" fill="{_BAND}" text-anchor="end">'
            f"at most {chart.band[1]:,.{chart.decimals}f}</text>"
        )
    for tick in ticks:
        yield f'<path d="M{_LEFT} {y(tick)}H{right}" stroke="{_GRID}" fill="none"/>'
        label = f"{tick:,.{chart.decimals}f}"
        yield f'<text x="{_LEFT - 8}" y="{y(tick) + 4:g}" {_SMALL} text-anchor="end">{label}</text>'
    if chart.points:
        path = " ".join(f"{_x(timeline, at)},{y(value)}" for at, value in chart.points)
        yield f'<polyline points="{path}" fill="none" stroke="{_LINE}" stroke-width="1.6" stroke-linejoin="round"/>'
        at, value = chart.points[-1]
        yield f'<circle cx="{_x(timeline, at)}" cy="{y(value)}" r="3" fill="{_LINE}"/>'
        shown = f"{value:,.{chart.decimals}f}"
        yield f'<text x="{_x(timeline, at) + 8:g}" y="{y(value) + 4:g}" font-weight="bold">{shown}</text>'


def _minutes(timeline: Timeline, bottom: float) -> Iterator[str]:
    step = ticks_for(timeline.minutes, 6)[1]
    for number in range(int(timeline.minutes / step) + 1):
        x = _x(timeline, number * step)
        yield f'<path d="M{x} {bottom}v5" stroke="{_SOFT}"/>'
        yield f'<text x="{x}" y="{bottom + 18}" {_SMALL} text-anchor="middle">{number * step:g}</text>'
    yield f'<text x="{_WIDTH - _RIGHT}" y="{bottom + 34}" {_SMALL} text-anchor="end">minutes of load</text>'


def _x(timeline: Timeline, minute: float) -> float:
    return round(_LEFT + minute / timeline.minutes * (_WIDTH - _LEFT - _RIGHT), 1)


def ticks_for(highest: float, count: int = _TICKS) -> list[float]:
    """Round values from 0 to just over ``highest``, ``count`` steps or a few less."""
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / count
    magnitude = 10 ** math.floor(math.log10(rough))
    step = next(magnitude * factor for factor in _STEPS if magnitude * factor >= rough * 0.999)
    return [step * number for number in range(math.ceil(highest / step - 1e-9) + 1)]
