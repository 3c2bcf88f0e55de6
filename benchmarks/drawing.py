"""Pictures for the pages: matplotlib's SVG on white, the same bytes for the same figures.

matplotlib comes with ``make install``; who measures with the service's own packages alone draws nothing.
"""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, FAINT, GRID, TARGET = "#222222", "#666666", "#dddddd", "#b3402a"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours that are told apart with a colour vision deficiency as well (Okabe and Ito, 2008)."""

_STYLE: Any = {
    "svg.hashsalt": "auth-service",  # ids are made of it and not of chance
    "svg.fonttype": "none",  # text stays text
    "font.family": ["DejaVu Sans"],  # which comes with matplotlib: widths are the same everywhere
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 2,
}


class DrawingError(Exception):
    """Nothing can be drawn; the message says what helps."""


def svg(title: str, width: float, height: float, draw: Callable[["Figure"], None]) -> str:
    """An SVG document of so many pixels, which ``draw`` fills. Raises DrawingError where matplotlib is missing."""
    try:
        from matplotlib import rc_context  # noqa: PLC0415 - what measures must start without it
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise DrawingError("pictures are drawn by matplotlib, which is not installed: make install") from None
    out = io.StringIO()
    with rc_context(_STYLE):
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")  # SVG has 72 points to the inch
        draw(figure)
        figure.savefig(out, format="svg", metadata={"Title": title, "Date": None, "Creator": None})
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def number(value: float, _place: object = None) -> str:
    """A short figure for an axis: 20k, 1.5M, 0.25."""
    for limit, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:g}{letter}"
    return f"{round(value, 6):g}"
