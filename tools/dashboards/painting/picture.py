"""A whole dashboard: its head, its rows, its panels."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from tools.dashboards.painting.answers import Seen
from tools.dashboards.painting.axes import red_line
from tools.dashboards.painting.canvas import (
    BACKGROUND,
    BORDER,
    FAINT,
    FONT,
    INK,
    MARKS,
    PANEL,
    RED,
    Box,
    level,
    rectangle,
    text,
    upright,
)
from tools.dashboards.painting.figures import formatted, text_width
from tools.dashboards.painting.graphs import graph
from tools.dashboards.painting.stats import heatmap, stat

WIDTH, _HEAD, _GAP, _MARGIN, _UNIT = 1200.0, 84.0, 8.0, 12.0, 36.0
_TITLE = 26.0
_PLOTS: Mapping[str, Callable[[Mapping[str, Any], Box, Seen], Iterator[str]]] = {
    "timeseries": graph,
    "stat": stat,
    "heatmap": heatmap,
}


def picture(board: Mapping[str, Any], seen: Seen, chosen: Mapping[str, str]) -> str:
    """A dashboard as SVG. ``chosen`` is what its variables stand at, by label."""
    height = _HEAD + max(_box(panel).bottom for panel in board["panels"]) + _MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" font-family="{FONT}">'
    parts = [head, rectangle(Box(0, 0, WIDTH, height), BACKGROUND), *_head(board, seen, chosen)]
    for panel in board["panels"]:
        box = _box(panel)
        box = box._replace(y=box.y + _HEAD)
        parts += _row(panel, box) if panel["type"] == "row" else _panel(panel, box, seen)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(panel: Mapping[str, Any]) -> Box:
    """Where a panel is, below the head."""
    grid = panel["gridPos"]
    column = (WIDTH - 2 * _MARGIN + _GAP) / 24
    return Box(
        _MARGIN + grid["x"] * column,
        grid["y"] * _UNIT,
        grid["w"] * column - _GAP,
        grid["h"] * _UNIT - _GAP,
    )


def _head(board: Mapping[str, Any], seen: Seen, chosen: Mapping[str, str]) -> Iterator[str]:
    yield text((_MARGIN + 4, 28), board["title"], size=18, bold=True)
    first, last = (datetime.fromtimestamp(at, UTC) for at in (seen.start, seen.end))
    yield text(
        (WIDTH - _MARGIN - 4, 28), f"{first:%Y-%m-%d %H:%M} to {last:%H:%M} UTC", size=12, colour=FAINT, anchor="end"
    )
    x = _MARGIN
    for label, value in chosen.items():
        left, right = text_width(label, 11) + 18, text_width(value, 11) + 22
        yield rectangle(Box(x, 44, left, 24), "#22252b", BORDER, 3)
        yield text((x + 9, 60), label, colour=INK)
        yield rectangle(Box(x + left, 44, right, 24), BACKGROUND, BORDER, 3)
        yield text((x + left + 9, 60), value, colour=FAINT)
        x += left + right + _GAP
    x = WIDTH - _MARGIN - 4
    for name in reversed([name for name, points in seen.marks.items() if points]):
        x -= text_width(name, 11)
        yield text((x, 60), name, colour=FAINT)
        yield upright(x - 8, Box(x, 48, 0, 16), MARKS[name], "3 3")
        x -= 26


def _row(panel: Mapping[str, Any], box: Box) -> list[str]:
    return [text((box.x + 4, box.y + 19), f"▾  {panel['title']}", size=14, bold=True)]


def _panel(panel: Mapping[str, Any], box: Box, seen: Seen) -> list[str]:
    limit = red_line(panel) if panel.get("links") else None
    told = "" if limit is None else formatted(limit, panel["fieldConfig"]["defaults"]["unit"])
    room = box.width - 20 - (text_width(told, 10.5) + 44 if told else 0)
    parts = [
        rectangle(box, PANEL, BORDER, 3),
        text((box.x + 10, box.y + 18), panel["title"], size=12.5, bold=True, within=room),
    ]
    if told:
        parts.append(text((box.right - 10, box.y + 18), told, size=10.5, colour=RED, anchor="end"))
        x = box.right - 14 - text_width(told, 10.5)
        parts.append(level(box.y + 14, Box(x - 20, box.y, 20, 0), RED, "7 4"))
    inner = Box(box.x, box.y + _TITLE, box.width, box.height - _TITLE)
    if not seen.series.get(panel["id"]):
        return [*parts, text((inner.x + inner.width / 2, inner.y + inner.height / 2), "No data", anchor="middle")]
    return [*parts, *_PLOTS[panel["type"]](panel, inner, seen)]
