"""What a real Prometheus answers to everything that a dashboard asks, as Grafana would put it."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.dashboards.boards import Board, panels
from tests.dashboards.live.stage import Stage
from tests.programs.prometheus_process import SCRAPE_SECONDS, Point

STEP_SECONDS = 2.0
RATE_INTERVAL = f"{12 * SCRAPE_SECONDS}s"
"""Grafana takes at least four scrapes; twelve make a picture of a few minutes calm enough to read."""


class Series(NamedTuple):
    """One line of a panel."""

    legend: str
    labels: dict[str, str]
    points: list[Point]


class Answer(NamedTuple):
    """What one query of a panel got."""

    panel: int
    query: int
    series: list[Series]
    exemplars: list[Point]
    """When and with which value requests were seen whose trace is known."""


def chosen(board: Board) -> dict[str, str]:
    """What each variable stands for when a dashboard is opened."""
    values = {}
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            first = {"job": "auth-service", "namespace": "auth"}.get(variable["name"], "")
            values[variable["name"]] = variable["allValue"] if variable["includeAll"] else first
    return values


def filled_in(expression: str, values: Mapping[str, str], seconds: float) -> str:
    """An expression as Grafana sends it."""
    expression = expression.replace("$__rate_interval", RATE_INTERVAL).replace("$__range", f"{seconds:.0f}s")
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], expression)


def legend(text: str, labels: Mapping[str, str]) -> str:
    """A legend with its labels. Raises KeyError for one that the series does not have."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels[found[1]], text)


def answers(stage: Stage, board: Board) -> Iterator[Answer]:
    """Everything that the panels of a dashboard ask, over the time that was played."""
    values, seconds = chosen(board), stage.end - stage.start
    for panel in panels(board):
        for number, target in enumerate(panel["targets"]):
            expression = filled_in(target["expr"], values, seconds)
            found = stage.prometheus.query_range(expression, stage.start, stage.end, STEP_SECONDS)
            series = [Series(legend(target["legendFormat"], labels), labels, points) for labels, points in found]
            exemplars = []
            if target["exemplar"]:
                seen = stage.prometheus.exemplars(expression, stage.start, stage.end)
                exemplars = [(each["timestamp"], float(each["value"])) for each in seen]
            yield Answer(panel["id"], number, [each for each in series if each.points], exemplars)


def marks(stage: Stage, board: Board) -> dict[str, list[Point]]:
    """The annotations of a dashboard by name."""
    found: dict[str, list[Point]] = {}
    for mark in board["annotations"]["list"]:
        expression = filled_in(mark["expr"], chosen(board), stage.end - stage.start)
        series = stage.prometheus.query_range(expression, stage.start, stage.end, STEP_SECONDS)
        found[mark["name"]] = [point for _, points in series for point in beginnings(points)]
    return found


def beginnings(points: list[Point]) -> list[Point]:
    """The first point after each gap."""
    times = [-math.inf, *(at for at, _ in points)]
    return [point for before, point in zip(times, points, strict=False) if point[0] - before > 1.5 * STEP_SECONDS]


def keep(folder: Path, name: str, stage: Stage, got: list[Answer], marked: Mapping[str, list[Point]]) -> None:
    """Keep what a picture is drawn from."""
    kept: dict[str, Any] = {
        "start": stage.start,
        "end": stage.end,
        "marks": marked,
        "answers": [
            {**answer._asdict(), "series": [{"legend": s.legend, "points": s.points} for s in answer.series]}
            for answer in got
        ],
    }
    (folder / f"{name}.json").write_text(json.dumps(kept))
