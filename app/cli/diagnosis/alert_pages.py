"""What the package carries of each alert: thresholds and runbook (``alerts.json``, written by ``make docs``)."""

import difflib
import importlib.resources
from collections.abc import Mapping
from functools import cache

import msgspec


class Threshold(msgspec.Struct, frozen=True):
    """A number that an alert's rule compares with; the chart may have another."""

    name: str
    value: float | int | str
    meaning: str


class AlertPage(msgspec.Struct, frozen=True):
    """One alert."""

    severity: str
    summary: str
    thresholds: tuple[Threshold, ...]
    runbook: Mapping[str, str]
    """The runbook's parts, in Markdown, by their titles."""

    def threshold(self, name: str) -> float:
        """A numeric threshold. Raises LookupError for another."""
        for each in self.thresholds:
            if each.name == name and not isinstance(each.value, str):
                return each.value
        raise LookupError(name)


@cache
def alert_pages() -> Mapping[str, AlertPage]:
    """All of them by name."""
    text = (importlib.resources.files("app.cli.diagnosis") / "alerts.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, AlertPage])


def like(name: str) -> list[str]:
    """Names that may have been meant."""
    by_small = {known.lower(): known for known in alert_pages()}
    return [by_small[found] for found in difflib.get_close_matches(name.lower(), by_small, n=3)]


def as_text(name: str, page: AlertPage) -> list[str]:
    """The page for a terminal: what it means, its thresholds, what to do."""
    lines = [f"{name} ({page.severity}): {page.summary}", ""]
    if page.thresholds:
        lines.append("Thresholds (defaults; the chart's metrics.prometheusRule.thresholds may have others)")
        shown = [(each.name, f"{each.value}", each.meaning) for each in page.thresholds]
        widths = [max(len(row[column]) for row in shown) for column in (0, 1)]
        lines += [f"  {a.ljust(widths[0])}  {b.ljust(widths[1])}  {c}".rstrip() for a, b, c in shown]
        lines.append("")
    for title, text in page.runbook.items():
        lines += [title, *(f"  {line}".rstrip() for line in text.splitlines()), ""]
    return lines[:-1]
