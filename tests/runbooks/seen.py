"""What a runbook's first five minutes showed while its alert fired, and the block of the page that shows it."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.runbooks.pages import SEEN_BEGIN, SEEN_END, blocks, in_cluster, written_text
from tests.runbooks.terminal import Ran, Terminal

MAX_LINES, MAX_COLUMNS, MAX_SERIES = 24, 300, 8
_NEXT_PART = re.compile(r"^## Decision tree$", re.MULTILINE)


class Asked(msgspec.Struct, frozen=True):
    """A query, and its series as lines."""

    query: str
    series: tuple[str, ...]


class FiveMinutes(msgspec.Struct, frozen=True):
    """What the commands and the queries said."""

    ran: tuple[Ran, ...]
    asked: tuple[Asked, ...]

    @property
    def alerts_named(self) -> frozenset[str]:
        """The alerts that the doctor named."""
        told = "\n".join(each.output for each in self.ran if each.command == "auth-service doctor")
        return frozenset(re.findall(r"^(?:WRONG|LOOK) \[(\w+)\]", told, re.MULTILINE))


def spend(page: Path, terminal: Terminal, query: Callable[[str], list[dict[str, Any]]]) -> FiveMinutes:
    """Run everything that a page asks for at first and that needs no cluster."""
    here = [line for line in blocks(page, "sh") if not in_cluster(line)]
    return FiveMinutes(
        tuple(terminal.run(line) for line in here),
        tuple(Asked(line, as_lines(query(line))) for line in blocks(page, "promql")),
    )


def as_lines(result: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The series of an instant vector, the largest value first."""
    rows = []
    for series in result:
        labels = {name: value for name, value in series["metric"].items() if name not in ("job", "__name__")}
        text = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
        rows.append((float(series["value"][1]), f"{{{text}}}"))
    rows.sort(key=lambda row: (-row[0] if row[0] == row[0] else float("inf"), row[1]))
    return tuple(f"{labels} {value:.4g}" for value, labels in rows)


def _shown(lines: Sequence[str], most: int) -> list[str]:
    short = [line if len(line) <= MAX_COLUMNS else line[: MAX_COLUMNS - 2] + " …" for line in lines]
    return short if len(short) <= most else [*short[: most - 1], f"… {len(short) - most + 1} lines more"]


def as_block(fault: str, seen: FiveMinutes) -> str:
    """The block of a page."""
    lines = [SEEN_BEGIN, f"What they said in `make live-fire` while it fired ({fault}):", "```console"]
    for ran in seen.ran:
        lines += [f"$ {ran.command}", *_shown(ran.output.rstrip().splitlines(), MAX_LINES)]
        lines += [f"(exit code {ran.code})"] if ran.code else []
    for asked in seen.asked:
        lines += [f"> {asked.query}", *(_shown(asked.series, MAX_SERIES) or ["no series"])]
    return "\n".join([*lines, "```", SEEN_END]) + "\n"


def write(page: Path, block: str) -> None:
    """Put a block into a page, in place of the former one."""
    text = written_text(page)
    at = _NEXT_PART.search(text)
    assert at is not None
    page.write_text(f"{text[: at.start()].rstrip()}\n{block}\n{text[at.start() :]}")
