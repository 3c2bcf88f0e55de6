"""From what runs left to the documentation: blocks of pages between markers, pictures beside them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from benchmarks.machine import REPOSITORY
from loadtest import change_page, guide_page
from loadtest.changes import ChangeRun
from loadtest.model import page as model_page
from loadtest.model.calibration import Model
from loadtest.model.plots import plots
from loadtest.record import Record
from loadtest.verdict import Verdict

RUNS_PAGE = REPOSITORY / "docs" / "operations" / "load-tests.md"
MODEL_PAGE = REPOSITORY / "docs" / "scaling.md"
IMAGES = REPOSITORY / "docs" / "images"


def fill(text: str, block: str, content: str) -> str:
    """A page with one block made anew. Raises ValueError if the page has no such block."""
    begin, end = f"<!-- {block}: begin (python -m loadtest) -->", f"<!-- {block}: end -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"there is no block between {begin} and {end}")
    return f"{before}{begin}\n{content.strip()}\n{end}{after}"


def publish_guide(record: Record, page: Path = RUNS_PAGE, images: Path = IMAGES) -> None:
    """Put a run of the guide into the page, its charts beside the other pictures."""
    for name, svg in guide_page.charts(record).items():
        (images / f"guide-{name}").write_text(svg)
    shown = "".join(f"\n![{title}](../images/guide-{name})\n" for name, title in guide_page.titles(record))
    page.write_text(fill(page.read_text(), "guide", guide_page.body(record) + shown))


def publish_runs(block: str, folders: Iterable[Path], page: Path = RUNS_PAGE) -> None:
    """Put a table of single runs into a block of the page. Raises OSError for a folder without ``report.json``."""
    verdicts = [msgspec.json.decode((folder / "report.json").read_bytes(), type=Verdict) for folder in folders]
    page.write_text(fill(page.read_text(), block, runs_table(verdicts)))


def publish_changes(runs: Sequence[ChangeRun], page: Path = RUNS_PAGE) -> None:
    """Put the table of load under change into its block of the page."""
    page.write_text(fill(page.read_text(), "changes", change_page.table(runs)))


def runs_table(verdicts: Sequence[Verdict]) -> str:
    """A row for each endpoint of each run."""
    head = ("run", "seconds", "endpoint", "a second", "requests", "failed", "p50", "p95", "p99", "k6 alone", "verdict")
    rows = [f"| {' | '.join(head)} |", "|---|---:|---|" + "---:|" * 7 + "---|"]
    for verdict in verdicts:
        seconds = verdict.measured_seconds or verdict.seconds
        can = None if verdict.generator is None else verdict.generator.get("requests_per_second")
        for number, figures in enumerate(verdict.endpoints):
            first = number == 0
            cells = (
                verdict.scenario if first else "",
                f"{seconds:,.0f}" if first else "",
                figures.endpoint,
                f"{figures.requests / seconds:,.0f}",
                f"{figures.requests:,}",
                f"{figures.failed:.3%}",
                *(f"{ms:.2f} ms" for ms in (figures.p50_ms, figures.p95_ms, figures.p99_ms)),
                f"{can:,.0f}/s" if first and can is not None else "",
                verdict.verdict if first else "",
            )
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def publish_model(model: Model, page: Path = MODEL_PAGE, images: Path = IMAGES) -> None:
    """Put the capacity model's tables and plots into its page."""
    for name, svg in plots(model).items():
        (images / name).write_text(svg)
    page.write_text(fill(page.read_text(), "model", model_page.page(model)))
