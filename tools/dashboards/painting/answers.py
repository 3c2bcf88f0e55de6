"""What was answered, as it is kept in a file for each dashboard (tests/dashboards/live)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

Point = tuple[float, float]


class Series(NamedTuple):
    """One line of a panel."""

    legend: str
    points: Sequence[Point]


class Seen(NamedTuple):
    """A dashboard's answers."""

    start: float
    end: float
    series: Mapping[int, Sequence[Series]]
    """By the panel's id, in the order of its queries."""
    exemplars: Mapping[int, Sequence[Point]]
    marks: Mapping[str, Sequence[Point]]


def seen(file: Path) -> Seen:
    """Read a file of answers."""
    kept = json.loads(file.read_text())
    series: dict[int, list[Series]] = {}
    exemplars: dict[int, list[Point]] = {}
    for answer in kept["answers"]:
        found = [Series(each["legend"], [(at, value) for at, value in each["points"]]) for each in answer["series"]]
        series.setdefault(answer["panel"], []).extend(found)
        exemplars.setdefault(answer["panel"], []).extend((at, value) for at, value in answer["exemplars"])
    return Seen(kept["start"], kept["end"], series, exemplars, kept["marks"])
