"""What the scenarios measured: printed, kept in ``dist/e2e.json``, and written into docs/reliability.md.

``python -m tests.e2e.figures`` writes the page's section from what was kept. A scenario that is run again replaces its
own lines and no others, so each has its own date and commit.
"""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "dist" / "e2e.json"
PAGE = ROOT / "docs" / "reliability.md"
RUN = "run"
"""The name of a scenario's date and commit, beside its figures."""
BAR = "\\|"
"""A bar that ends no cell."""
BEGIN, END = "<!-- cluster:begin -->", "<!-- cluster:end -->"


class Figures:
    """Keeps lines of figures by scenario."""

    def add(self, scenario: str, **measured: object) -> None:
        """Print and keep what a scenario measured, as text or numbers."""
        texts = {name.replace("_", " "): str(value) for name, value in measured.items()}
        print(f"\n{scenario}: " + "; ".join(f"{name} {value}" for name, value in texts.items()))
        kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps(kept | {scenario: {**texts, RUN: run_now()}}, indent=2) + "\n")


def run_now() -> str:
    """The date and the commit of what is checked out."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return f"{datetime.now(UTC):%Y-%m-%d}, {commit.stdout.strip()}"


def section(kept: dict[str, dict[str, str]]) -> str:
    """The table of the page."""
    rows = [
        f"| {name.replace('|', BAR)} | {'<br>'.join(f'{n}: **{v}**' for n, v in m.items() if n != RUN)} | {m[RUN]} |"
        for name, m in sorted(kept.items())
    ]
    return "\n".join([BEGIN, "| scenario | measured | run |", "|---|---|---|", *rows, END])


def publish() -> None:
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    PAGE.write_text(before + section(json.loads(KEPT.read_text())) + rest.split(END)[1])


if __name__ == "__main__":
    publish()
