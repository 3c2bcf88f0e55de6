"""Figures as people read them: values with their unit, and the ticks of an axis."""

import math
from collections.abc import Callable, Sequence

_BINARY = ((1024.0**3, "GiB"), (1024.0**2, "MiB"), (1024.0, "KiB"), (1.0, "B"))
_DECIMAL = ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"), (1.0, ""))
_TIME = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_SUFFIX = {"reqps": " req/s", "ops": " ops/s", "cpm": " /min"}
_ON_AXIS = {"reqps": "/s", "ops": "/s", "cpm": "/min"}


def number(value: float) -> str:
    """A number with three digits that mean something."""
    digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def formatted(value: float, unit: str) -> str:
    """A value with its unit, as large or small as it reads best."""
    if unit == "percentunit":
        return f"{number(100 * value)}%"
    if unit in ("s", "bytes"):
        factor, name = _scale(abs(value), _TIME if unit == "s" else _BINARY)
        return f"{number(value / factor)} {name}"
    factor, name = _scale(abs(value), _DECIMAL)
    return f"{number(value / factor)}{name if factor > 1 else ''}{_SUFFIX.get(unit, '')}"


def _scale(size: float, scales: Sequence[tuple[float, str]]) -> tuple[float, str]:
    """The largest of the scales that is not above a size; the one of 1 for zero."""
    if size == 0:
        return next(scale for scale in scales if scale[0] == 1)
    return next((scale for scale in scales if size >= scale[0] * 0.9995), scales[-1])


def ticks(low: float, high: float, unit: str, about: int = 4) -> tuple[list[float], Callable[[float], str]]:
    """Round values from ``low`` to ``high``, and how to write them: all in one scale."""
    scales = {"s": _TIME, "bytes": _BINARY}.get(unit, ((1.0, ""),))
    factor, name = _scale(max(abs(low), abs(high)), scales)
    if unit == "percentunit":
        factor, name = 0.01, "%"
    raw = (high - low) / factor / about
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(nice * magnitude for nice in (1, 2, 2.5, 5, 10) if nice * magnitude >= raw * 0.999)
    first = math.ceil(low / factor / step - 1e-9)
    last = math.floor(high / factor / step + 1e-9)
    space = "" if name == "%" else " "
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if step / 10.0**-digits % 1 > 1e-6:
        digits += 1

    def write(value: float) -> str:
        shown = f"{value / factor:,.{digits}f}".replace(",", " ")
        if unit not in ("s", "bytes", "percentunit"):
            shown = formatted(value, unit).removesuffix(_SUFFIX.get(unit, "")) + _ON_AXIS.get(unit, "")
        return f"{shown}{space}{name}".strip() if name else shown

    return [index * step * factor for index in range(first, last + 1)], write


def text_width(text: str, size: float) -> float:
    """About how wide a text is in a sans-serif font, in pixels."""
    narrow, wide = "fijlrt.,:;|!'()[] ", "mwMW%@"
    return size * sum(0.33 if c in narrow else 0.86 if c in wide else 0.66 if c.isupper() else 0.56 for c in text)


def fitted(text: str, size: float, width: float) -> str:
    """A text cut to a width."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"
