"""What came of the commands of the runbooks, and the tables of docs/operations/runbook-commands.md.

``python -m tests.runbooks.kept FOLDER PART`` writes the table of a part: ``service`` or ``cluster``.
"""

import datetime
import os
import sys
from pathlib import Path

import msgspec

from tests.runbooks.pages import ROOT
from tests.runbooks.terminal import Ran

PAGE = ROOT / "docs/operations/runbook-commands.md"
MAX_COLUMNS = 90


class Kept(msgspec.Struct, frozen=True):
    """A command with what came of it."""

    ran: Ran
    pages: tuple[str, ...]


def keep(part: str, ran: Ran, pages: list[str]) -> None:
    """Keep it, where ``RUNBOOKS_RESULTS`` names a folder."""
    folder = os.environ.get("RUNBOOKS_RESULTS")
    if folder:
        with (Path(folder) / f"{part}.jsonl").open("ab") as file:
            file.write(msgspec.json.encode(Kept(ran, tuple(pages))) + b"\n")


def table(lines: list[bytes]) -> str:
    """The table of what was kept."""
    rows = ["| command | pages | exit code | first line of its output |", "|---|---|---|---|"]
    for each in (msgspec.json.decode(line, type=Kept) for line in lines):
        output = each.ran.output.strip().splitlines() or ["(nothing)"]
        first = output[0] if len(output[0]) <= MAX_COLUMNS else output[0][: MAX_COLUMNS - 2] + " …"
        command, first = (text.replace("|", "\\|") for text in (each.ran.command, first.replace("`", "'")))
        pages = each.pages[0] if len(each.pages) == 1 else f"{each.pages[0]} and {len(each.pages) - 1} more"
        rows.append(f"| `{command}` | {pages} | {each.ran.code} | `{first}` |")
    return "\n".join(rows)


def main(folder: Path, part: str) -> None:
    """Write the table of a part, with the date."""
    begin, end = f"<!-- {part}:begin -->", f"<!-- {part}:end -->"
    lines = (folder / f"{part}.jsonl").read_bytes().splitlines()
    today = datetime.datetime.now(datetime.UTC).date()
    before, rest = PAGE.read_text().split(begin)
    text = f"{begin}\n{len(lines)} commands, {today}.\n\n{table(lines)}\n{end}"
    PAGE.write_text(before + text + rest.split(end)[1])
    print(f"{PAGE.relative_to(ROOT)}: {part} written")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
