"""What a dashboard is made of: rows of panels, whose queries have legends and whose thresholds are the alerts'."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]

Kind = Literal["timeseries", "stat", "heatmap"]
Variables = Literal["service", "exporters", "load test"]


class Query(NamedTuple):
    """One query of a panel and its legend, in which ``{{label}}`` stands for a label's value."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """One panel."""

    title: str
    description: str
    unit: str
    """As Grafana calls it: ``s``, ``reqps``, ``percentunit`` …"""
    queries: Sequence[Query]
    threshold: str | None = None
    """A key of ``alerts/thresholds.yaml``, whose value becomes the red line."""
    kind: Kind = "timeseries"
    width: int = 8
    """Of the 24 columns of a dashboard."""
    below: bool = False
    """Whether what is below the threshold is bad."""
    stacked: bool = False
    signed: bool = False
    """Whether values below zero mean something; otherwise the axis begins at zero."""


class Row(NamedTuple):
    """A title with panels below it."""

    title: str
    panels: Sequence[Panel]


class Dashboard(NamedTuple):
    """One dashboard; its file and its uid are ``auth-service-NAME``."""

    name: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Variables = "service"

    def panels(self) -> list[Panel]:
        """The panels of all rows."""
        return [panel for row in self.rows for panel in row.panels]


def threshold(key: str) -> float:
    """A threshold of the alerts by ``NAME.KEY``. Raises KeyError where there is none."""
    name, _, field = key.partition(".")
    return _thresholds()[name][field]


@cache
def _thresholds() -> dict[str, dict[str, float]]:
    document: dict[str, dict[str, float]] = yaml.safe_load((ROOT / "alerts/thresholds.yaml").read_text())
    return document
