"""Curves over two axes, drawn as SVG without any library."""

import math
from collections.abc import Iterator, Sequence
from html import escape

import msgspec

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 860, 420, 70, 30, 74, 52
_INK, _FAINT, _GRID = "#222222", "#666666", "#e4e4e4"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours that are told apart with a colour vision deficiency as well (Okabe and Ito, 2008)."""
_TICKS = 6


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


class Scale(msgspec.Struct, frozen=True):
    """From figures to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def at(self, value: float) -> float:
        """The pixel of a figure; beyond the ends it stays at them."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> Sequence[float]:
        """Round figures along the axis."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [10.0**power for power in range(first, last + 1)]
        step = _round_step((self.high - self.low) / _TICKS)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def curves(
    title: str, x: Axis, y: Axis, drawn: Sequence[Curve], *, marks: Sequence[tuple[float, str]] = (), note: str = ""
) -> str:
    """An SVG document. ``marks``: places on the x axis with a name, such as the beginnings of stages.

    Raises ValueError where there is no point at all.
    """
    points = [point for curve in drawn for point in curve.points]
    if not points:
        raise ValueError("there is nothing to draw")
    across = _scale(x, [a for a, _ in points], _LEFT, _WIDTH - _RIGHT)
    up = _scale(y, [b for _, b in points], _HEIGHT - _BOTTOM, _TOP)
    colours = [PALETTE[(n if c.colour is None else c.colour) % len(PALETTE)] for n, c in enumerate(drawn)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif"',
            f'font-size="12" fill="{_INK}" role="img" aria-label="{escape(title)}">',
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
            f'<text x="14" y="24" font-size="15" font-weight="bold">{escape(title)}</text>',
            *_axes(x, y, across, up),
            *(part for at, name in marks for part in _mark(across.at(at), name)),
            *(part for curve, colour in zip(drawn, colours, strict=True) for part in _curve(curve, colour, across, up)),
            *_legend(drawn, colours),
            f'<text x="{_WIDTH - _RIGHT}" y="24" text-anchor="end" fill="{_FAINT}">{escape(note)}</text>',
            "</svg>\n",
        ]
    )


def _scale(axis: Axis, values: Sequence[float], start: float, end: float) -> Scale:
    high = max(values) if axis.high is None else axis.high
    low = axis.low if axis.low is not None else min(values) if axis.log else 0.0
    if axis.log and low <= 0:
        raise ValueError(f"{axis.label}: a logarithmic axis has no {low:g}")
    if high <= low:
        high = low * 10 if axis.log else low + 1
    return Scale(low, high if axis.high is not None or axis.log else high * 1.05, start, end, axis.log)


def _round_step(about: float) -> float:
    power = 10.0 ** math.floor(math.log10(about))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= about * 0.999)


def _axes(x: Axis, y: Axis, across: Scale, up: Scale) -> Iterator[str]:
    for value in up.ticks():
        at = up.at(value)
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at}" y2="{at}" stroke="{_GRID}"/>'
        yield f'<text x="{_LEFT - 8}" y="{at + 4}" text-anchor="end" fill="{_FAINT}">{figure(value)}</text>'
    for value in across.ticks():
        at = across.at(value)
        yield f'<line x1="{at}" x2="{at}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="{_GRID}"/>'
        yield (
            f'<text x="{at}" y="{_HEIGHT - _BOTTOM + 17}" text-anchor="middle" fill="{_FAINT}">{figure(value)}</text>'
        )
    yield f'<path d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}" stroke="{_FAINT}" fill="none"/>'
    centre, middle = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
    yield f'<text x="{centre:g}" y="{_HEIGHT - 12}" text-anchor="middle">{escape(x.label)}</text>'
    turned = f'transform="rotate(-90 16 {middle:g})"'
    yield f'<text x="16" y="{middle:g}" text-anchor="middle" {turned}>{escape(y.label)}</text>'


def _mark(at: float, name: str) -> Iterator[str]:
    yield f'<line x1="{at}" x2="{at}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="{_FAINT}" stroke-dasharray="3 3"/>'
    yield (
        f'<text x="{at + 12}" y="{_TOP + 4}" text-anchor="end" transform="rotate(-90 {at + 12} {_TOP + 4})" '
        f'font-size="11" fill="{_FAINT}">{escape(name)}</text>'
    )


def _curve(curve: Curve, colour: str, across: Scale, up: Scale) -> Iterator[str]:
    placed = [(across.at(a), up.at(b)) for a, b in curve.points]
    if curve.style == "dots":
        for a, b in placed:
            yield f'<circle cx="{a}" cy="{b}" r="4" fill="#ffffff" stroke="{colour}" stroke-width="2.5"/>'
        return
    dashes = ' stroke-dasharray="7 4"' if curve.style == "dashed" else ""
    line = " ".join(f"{a},{b}" for a, b in placed)
    stroke = f'stroke="{colour}" stroke-width="2.2" stroke-linejoin="round"{dashes}'
    yield f'<polyline points="{line}" fill="none" {stroke}/>'


def _legend(drawn: Sequence[Curve], colours: Sequence[str]) -> Iterator[str]:
    at = float(_LEFT)
    for curve, colour in zip(drawn, colours, strict=True):
        if not curve.label:
            continue
        if curve.style == "dots":
            yield f'<circle cx="{at + 11}" cy="48" r="4" fill="#ffffff" stroke="{colour}" stroke-width="2.5"/>'
        else:
            dashes = ' stroke-dasharray="7 4"' if curve.style == "dashed" else ""
            yield f'<line x1="{at}" x2="{at + 22}" y1="48" y2="48" stroke="{colour}" stroke-width="2.5"{dashes}/>'
        yield f'<text x="{at + 28}" y="52">{escape(curve.label)}</text>'
        at += 28 + 6.6 * len(curve.label) + 22


def figure(value: float) -> str:
    """A figure of an axis, short: 20k, 1.5M, 0.25."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if sign == 'k' else size):g}{sign}"
    return f"{round(value, 6):,.6g}"
