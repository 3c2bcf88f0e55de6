"""What live fire has seen, kept by alert, and the table of docs/operations/alerts.md."""

import json
import os
import sys
from pathlib import Path

from tests.alerts.rule_files import ROOT, RULE_FILES, rules
from tests.livefire.monitoring import Life
from tests.livefire.shortened import FACTOR

PAGE = ROOT / "docs/operations/alerts.md"
BEGIN, END = "<!-- live-fire:begin -->", "<!-- live-fire:end -->"
NOT_FIRED = {
    "MemoryNearLimit": "needs a memory limit that is nearly used; `promtool test rules`",
    "ClockSkew": "needs another clock; `promtool test rules`",
    "ErrorBudgetBurnSlow": "windows of days; `promtool test rules`",
    "NoSigningKey": "a ring without a key that signs is refused at the start; `promtool test rules`",
    "NoPublishedSuccessor": "did not within two minutes of stopped rotation; `promtool test rules`",
    "Watchdog": "always fires; the receiver of its signs of life is told again and again (seen)",
}


def keep(alert: str, fault: str, life: Life, pages: int, beside: list[str]) -> None:
    """Keep what was seen of an alert, where ``LIVE_FIRE_RESULTS`` names a folder."""
    folder = os.environ.get("LIVE_FIRE_RESULTS")
    if folder:
        kept = {"alert": alert, "fault": fault, **life._asdict(), "pages": pages, "beside": beside}
        (Path(folder) / f"{alert}.json").write_text(json.dumps(kept))


def _seconds(moment: float | None) -> str:
    return "–" if moment is None else f"{moment:.0f} s"


def table(folder: Path) -> str:
    """The table, in the order of the rules."""
    lines = [
        BEGIN,
        "| alert | severity | fault | pending | firing | resolved | pages | fired beside it |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for path in RULE_FILES:
        if path.stem in ("kubernetes", "recording"):
            continue
        for rule in rules(path):
            alert, severity = rule["alert"], rule["labels"]["severity"]
            file = folder / f"{alert}.json"
            if not file.exists():
                lines.append(f"| {alert} | {severity} | not fired live: {NOT_FIRED[alert]} | | | | | |")
                continue
            seen = json.loads(file.read_text())
            times = " | ".join(_seconds(seen[state]) for state in ("pending", "firing", "resolved"))
            beside = ", ".join(seen["beside"]) or "–"
            lines.append(f"| {alert} | {severity} | {seen['fault']} | {times} | {seen['pages']} | {beside} |")
    return "\n".join([*lines, END])


def main(folder: Path) -> None:
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + table(folder) + rest.split(END)[1])
    print(f"{PAGE.relative_to(ROOT)}: written; windows divided by {FACTOR}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
