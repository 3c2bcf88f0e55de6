#!/usr/bin/env python3
"""Writes the table of docs/operations/metrics.md from the service's registry: run by `make docs`.

python tools/metrics_page.py            # write
python tools/metrics_page.py --check    # exit 1 if the page is out of date
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric

from app.observability.metrics import Metrics

PAGE = Path(__file__).parents[1] / "docs/operations/metrics.md"
BEGIN, END = "<!-- table of metrics: written by make docs -->\n", "<!-- end of table -->\n"
_SUFFIXES = {"counter": "_total", "info": "_info"}


def exported_name(family: Metric) -> str:
    """A family's name as rules and dashboards use it, without a histogram's suffixes."""
    return family.name + _SUFFIXES.get(family.type, "")


def table(registry: CollectorRegistry) -> str:
    """One line a metric: name, type, labels, help."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for family, labels in _described(registry):
        shown = ", ".join(f"`{label}`" for label in labels)
        kind = "gauge" if family.type == "info" else family.type
        rows.append(f"| `{exported_name(family)}` | {kind} | {shown} | {family.documentation} |")
    return "\n".join(rows) + "\n"


def _described(registry: CollectorRegistry) -> Iterator[tuple[Metric, tuple[str, ...]]]:
    for collector in list(registry._collector_to_names):  # noqa: SLF001 - the library tells label names nowhere else
        declared: tuple[str, ...] = getattr(collector, "_labelnames", ()) or getattr(collector, "_label_names", ())
        for family in collector.collect():
            seen = {label for sample in family.samples for label in sample.labels} - {"le"}
            yield family, tuple(sorted(seen.union(declared)))


def page() -> str:
    """The page as it should be."""
    metrics = Metrics()
    metrics.build("0")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table(metrics.registry)}{END}{after}"


def main() -> int:
    wanted = page()
    if "--check" in sys.argv:
        return 0 if PAGE.read_text() == wanted else 1
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
