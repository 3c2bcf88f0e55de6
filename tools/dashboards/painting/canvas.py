"""SVG: colours, shapes, and text that stays in its place."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from tools.dashboards.painting.figures import fitted

BACKGROUND, PANEL, BORDER, GRID = "#111217", "#181b1f", "#2a2d34", "#2c2f36"
INK, FAINT = "#d8d9e6", "#9a9ba8"
RED, GREEN = "#f2495c", "#73bf69"
PALETTE = (
    *("#73bf69", "#f2cc0c", "#8ab8ff", "#ff9830", "#f2495c", "#5794f2", "#b877d9", "#56c5b0"),
    *("#e0b400", "#ff85b8", "#96d98d", "#c0a3ea", "#ffb357", "#6ed0e0", "#bf8f60", "#a3a7b0"),
)
MARKS = {"Deploys": "#5794f2", "Starts": "#8ab8ff", "Rotations": "#b877d9"}
FONT = "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


class Box(NamedTuple):
    """A rectangle, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


def rectangle(box: Box, fill: str, stroke: str = "none", radius: float = 0) -> str:
    return (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="{radius:g}" '
        f'fill="{fill}" stroke="{stroke}"/>'
    )


def text(
    at: tuple[float, float],
    content: str,
    *,
    size: float = 11,
    colour: str = INK,
    anchor: str = "start",
    bold: bool = False,
    within: float = 1e9,
) -> str:
    """A line of text, cut to ``within`` pixels."""
    weight = ' font-weight="600"' if bold else ""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    shown = escape(fitted(content, size, within))
    return f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" font-size="{size:g}" fill="{colour}"{where}{weight}>{shown}</text>'


def line(points: Sequence[tuple[float, float]], colour: str, width: float = 1.3) -> str:
    """A line through points."""
    return f'<path d="{track(points)}" fill="none" stroke="{colour}" stroke-width="{width:g}" stroke-linejoin="round"/>'


def upright(x: float, box: Box, colour: str, pattern: str = "none", opacity: float = 1) -> str:
    """A straight line from the top of a box to its bottom."""
    return _straight((x, box.y), (x, box.bottom), colour, pattern, opacity)


def level(y: float, box: Box, colour: str, pattern: str = "none") -> str:
    """A straight line from the left of a box to its right."""
    return _straight((box.x, y), (box.right, y), colour, pattern, 1)


def _straight(start: tuple[float, float], end: tuple[float, float], colour: str, pattern: str, opacity: float) -> str:
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" stroke="{colour}" '
        f'stroke-dasharray="{pattern}" stroke-opacity="{opacity:g}"/>'
    )


def area(
    upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]], colour: str, opacity: float
) -> str:
    """What lies between two lines."""
    outline = track([*upper, *reversed(lower)])
    return f'<path d="{outline}Z" fill="{colour}" fill-opacity="{opacity:g}"/>'


def track(points: Sequence[tuple[float, float]]) -> str:
    """The data of a path; points that change nothing are left out."""
    kept = [
        point
        for index, point in enumerate(points)
        if not 0 < index < len(points) - 1
        or round(points[index - 1][1], 1) != round(point[1], 1)
        or round(points[index + 1][1], 1) != round(point[1], 1)
    ]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in kept)
