"""The table of ``docs/reliability.md``: ``python -m tests.proving.page RESULTS`` prints it and writes it there."""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import describe
from tests.proving.figures import SCENARIOS, Figures, read_all

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- proven: begin (make prove) -->", "<!-- proven: end -->"
HEAD = (
    "what happens",
    "requests",
    "answered 503",
    "wrong answers",
    "lost tokens",
    "active past the bound",
    "longest active after its revocation",
    "measured beside it",
)


def table(rows: Sequence[Figures]) -> Iterator[str]:
    """The lines of the table."""
    yield "| " + " | ".join(HEAD) + " |"
    yield "|" + "---|" * len(HEAD)
    for row in rows:
        cells = (
            SCENARIOS[row.scenario],
            f"{row.requests:,}",
            f"{row.unavailable:,}",
            f"{row.wrong}",
            f"{row.lost:,}" + (" (counted)" if row.loses else ""),
            f"{row.stale_past_bound}" + (" (counted)" if row.revives else ""),
            f"{row.worst_staleness_seconds * 1000:.0f} ms" if row.worst_staleness_seconds else "none seen",
            row.notes,
        )
        yield "| " + " | ".join(cells) + " |"


def fill(page: str, block: str) -> str:
    """The page with the block between :data:`BEGIN` and :data:`END` made anew. Raises ValueError if it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is no block between {BEGIN} and {END}")
    return f"{before}{begin}\n{block}\n{end}{after}"


def publish(results: Path) -> None:
    """Print the table and write it to the page."""
    rows = read_all(results)
    machine = describe()
    where = f"{machine.cpu}, {machine.cores} cores, {machine.kernel}, {machine.python}, commit {machine.commit}"
    requests, minutes = sum(row.requests for row in rows), sum(row.seconds for row in rows) / 60
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {where}: {len(rows)} scenarios, {requests:,} requests, {minutes:.0f} minutes.",
        "",
        *table(rows),
    ]
    block = "\n".join(lines)
    print(block)
    PAGE.write_text(fill(PAGE.read_text(), block))


if __name__ == "__main__":
    publish(Path(sys.argv[1]))
