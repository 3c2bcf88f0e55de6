"""Where values lie: time from left to right, values from the bottom up, and which of them are bad."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tools.dashboards.painting.answers import Point
from tools.dashboards.painting.canvas import FAINT, GRID, MARKS, Box, text, upright

LEFT, BOTTOM = 54.0, 18.0
"""Room for the figures beside and below, in pixels."""
JsonObject = Mapping[str, Any]


def red_line(panel: JsonObject) -> float | None:
    """Where the values begin, or end, to be bad."""
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return float(steps[1]["value"]) if len(steps) > 1 else None


def is_bad(panel: JsonObject, value: float) -> bool:
    """Whether a value lies on the red side."""
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    colour = [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]
    return bool(colour == "red")


class Axes:
    """A rectangle with time from left to right and values from the bottom up."""

    def __init__(self, box: Box, span: tuple[float, float], low: float, high: float) -> None:
        self.box, self.span, self.low, self.high = box, span, low, high

    def x(self, at: float) -> float:
        start, end = self.span
        return self.box.x + (at - start) / (end - start) * self.box.width

    def y(self, value: float) -> float:
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.box.bottom - part * self.box.height

    def places(self, points: Sequence[Point]) -> list[tuple[float, float]]:
        return [(self.x(at), self.y(value)) for at, value in points]

    def clock(self) -> Iterator[str]:
        """Whole minutes below."""
        minute = math.ceil(self.span[0] / 60) * 60
        while minute <= self.span[1]:
            shown = datetime.fromtimestamp(minute, UTC).strftime("%H:%M")
            yield upright(self.x(minute), self.box, GRID)
            middle = min(self.x(minute), self.box.right - 12)
            yield text((middle, self.box.bottom + 14), shown, size=10, colour=FAINT, anchor="middle")
            minute += 60

    def marks(self, marks: Mapping[str, Sequence[Point]]) -> Iterator[str]:
        """What happened meanwhile."""
        for name, points in marks.items():
            for at, _ in points:
                if self.span[0] < at < self.span[1]:
                    yield upright(self.x(at), self.box, MARKS[name], "3 3", 0.7)
