"""Single figures, and heatmaps."""

import math
from collections.abc import Iterator

from tools.dashboards.painting.answers import Seen
from tools.dashboards.painting.axes import BOTTOM, LEFT, Axes, JsonObject, is_bad
from tools.dashboards.painting.canvas import FAINT, GREEN, INK, PALETTE, RED, Box, area, line, rectangle, text
from tools.dashboards.painting.figures import formatted


def stat(panel: JsonObject, box: Box, seen: Seen) -> Iterator[str]:
    """Single figures, each with its course behind it."""
    series = seen.series.get(panel["id"], ())
    coloured = panel["options"]["colorMode"] == "value"
    named = panel["options"]["textMode"] == "value_and_name"
    unit = panel["fieldConfig"]["defaults"]["unit"]
    width = box.width / max(1, len(series))
    for index, each in enumerate(series):
        cell = Box(box.x + index * width + 6, box.y, width - 12, box.height - 6)
        value = each.points[-1][1]
        colour = (RED if is_bad(panel, value) else GREEN) if coloured else INK
        course = [(at, v) for at, v in each.points]
        low, high = min(v for _, v in course), max(v for _, v in course)
        if high > low and len(course) > 2:
            lower = Box(cell.x, cell.y + cell.height * 0.62, cell.width, cell.height * 0.38)
            axes = Axes(lower, (course[0][0], course[-1][0]), low - (high - low) * 0.1, high)
            places = axes.places(course)
            shade = colour if coloured else PALETTE[2]
            yield area(places, [(x, lower.bottom) for x, _ in (places[0], places[-1])], shade, 0.18)
            yield line(places, shade, 1)
        middle = cell.x + cell.width / 2
        size = min(30.0, cell.width / 5)
        yield text((middle, cell.y + 42), formatted(value, unit), size=size, colour=colour, anchor="middle", bold=True)
        if named:
            yield text((middle, cell.y + 60), each.legend, size=11, colour=FAINT, anchor="middle", within=cell.width)


def heatmap(panel: JsonObject, box: Box, seen: Seen) -> Iterator[str]:
    """How many fell between two bounds, by the colour of a cell."""
    bounds = sorted(
        (each for each in seen.series.get(panel["id"], ()) if each.legend != "+Inf"),
        key=lambda each: float(each.legend),
    )
    below: dict[float, float] = {}
    rows = []
    for each in bounds:
        counts = [(at, max(0.0, value - below.get(at, 0.0))) for at, value in each.points]
        below = dict(each.points)
        rows.append((float(each.legend), counts))
    filled = [index for index, (_, counts) in enumerate(rows) if max((v for _, v in counts), default=0) > 0]
    rows = rows[max(0, min(filled, default=0) - 1) : max(filled, default=0) + 2]
    most = max((value for _, counts in rows for _, value in counts), default=1.0) or 1.0
    inner = Box(box.x + LEFT, box.y + 6, box.width - LEFT - 8, box.height - BOTTOM - 16)
    axes = Axes(inner, (seen.start, seen.end), 0, max(1, len(rows)))
    height = inner.height / max(1, len(rows))
    for index, (bound, counts) in enumerate(rows):
        y = inner.bottom - (index + 1) * height
        yield text((inner.x - 6, y + 4), formatted(bound, "s"), size=10, colour=FAINT, anchor="end")
        step = 4.0
        for at, value in counts[::2]:
            if value > 0:
                shade = 0.12 + 0.88 * math.sqrt(value / most)
                width = inner.width * step / (seen.end - seen.start)
                cell = Box(round(axes.x(at), 1), round(y + 0.5, 1), round(width - 0.6, 1), round(height - 1, 1))
                if cell.right <= inner.right:
                    yield rectangle(cell, "#ff9830").replace("/>", f' fill-opacity="{shade:.2f}"/>')
    yield from axes.clock()
