"""What live fire has seen, kept by alert; the table of docs/operations/alerts.md and what runbooks show."""

import os
import sys
from pathlib import Path

import msgspec

from tests.alerts.rule_files import ROOT, RULE_FILES, rules
from tests.livefire.monitoring import Life
from tests.livefire.shortened import FACTOR
from tests.runbooks.pages import RUNBOOKS
from tests.runbooks.seen import FiveMinutes, as_block, write

PAGE = ROOT / "docs/operations/alerts.md"
BEGIN, END = "<!-- live-fire:begin -->", "<!-- live-fire:end -->"


class Shot(msgspec.Struct, frozen=True):
    """What was seen of one alert."""

    alert: str
    fault: str
    life: Life
    pages: int
    """How often the pager was told of alerts that fire."""
    beside: tuple[str, ...]
    """What else fired."""
    seen: FiveMinutes
    """What its runbook's first five minutes showed."""


def keep(shot: Shot) -> None:
    """Keep what was seen of an alert, where ``LIVE_FIRE_RESULTS`` names a folder."""
    folder = os.environ.get("LIVE_FIRE_RESULTS")
    if folder:
        (Path(folder) / f"{shot.alert}.json").write_bytes(msgspec.json.encode(shot))


def kept(folder: Path, alert: str) -> Shot:
    """What was seen of an alert. Raises OSError where it was not."""
    return msgspec.json.decode((folder / f"{alert}.json").read_bytes(), type=Shot)


def _seconds(moment: float | None) -> str:
    return "–" if moment is None else f"{moment:.0f} s"


def _row(alert: str, severity: str, shot: Shot) -> str:
    times = " | ".join(_seconds(moment) for moment in shot.life)
    named = "yes" if alert in shot.seen.alerts_named else "–"
    return (
        f"| {alert} | {severity} | {shot.fault} | {times} | {shot.pages} | {named} | {', '.join(shot.beside) or '–'} |"
    )


def table(folder: Path) -> str:
    """The table, in the order of the rules. Raises OSError where an alert was not seen."""
    lines = [
        BEGIN,
        "| alert | severity | fault | pending | firing | resolved | pages | doctor | fired beside it |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for path in RULE_FILES:
        if path.stem not in ("kubernetes", "recording"):
            alerts = ((rule["alert"], rule["labels"]["severity"]) for rule in rules(path))
            lines += [_row(alert, severity, kept(folder, alert)) for alert, severity in alerts]
    return "\n".join([*lines, END])


def main(folder: Path) -> None:
    """Write the table, and what each runbook shows."""
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + table(folder) + rest.split(END)[1])
    for file in sorted(folder.glob("*.json")):
        shot = kept(folder, file.stem)
        write(RUNBOOKS / f"{shot.alert}.md", as_block(shot.fault, shot.seen))
    print(f"{PAGE.relative_to(ROOT)} and the runbooks: written; windows divided by {FACTOR}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
