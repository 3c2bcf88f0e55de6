"""What a run of the guide left in its folder: written as it goes on, read again to be judged.

FOLDER/run.json                         what was loaded, when, on what machine
FOLDER/1-basic/stage.json               how the stage ended
FOLDER/1-basic/report.json, output.txt  what k6 said (and report.html, report.md, report.csv, junit.xml)
FOLDER/1-basic/metrics-before.txt       /metrics of the service, and metrics-after.txt
FOLDER/1-basic/usage.csv                CPU, resident size and live tokens every few seconds
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.machine import Machine
from loadtest import sampling, scrape
from loadtest.sampling import Sample
from loadtest.verdict import Exit, Verdict


class RunFacts(msgspec.Struct, frozen=True):
    """What stands in ``run.json``."""

    began: str
    """UTC, to the minute."""
    where: str
    machine: Machine
    settings: Mapping[str, str] = {}
    """What shortened or changed the run, such as ``DURATION_FACTOR``."""


class StageEnd(msgspec.Struct, frozen=True):
    """What stands in ``stage.json``."""

    name: str
    exit: Exit
    seconds: float
    """From the scrape before to the scrape after."""
    began: str
    """UTC, to the minute."""
    load_before: float
    """The load average of the machine's last minute before it began."""


class Stage(msgspec.Struct, frozen=True):
    """One stage as it can be judged."""

    end: StageEnd
    verdict: Verdict | None = None
    usage: scrape.Usage | None = None
    samples: Sequence[Sample] = ()


class Record(msgspec.Struct, frozen=True):
    """A whole run."""

    facts: RunFacts
    stages: Mapping[str, Stage]
    """By name, in the order in which they ran."""


def write_json(path: Path, value: msgspec.Struct) -> None:
    """One value as readable JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def read_record(folder: Path) -> Record:
    """What a run left. Raises OSError or msgspec.DecodeError where ``run.json`` or a ``stage.json`` is not there."""
    facts = msgspec.json.decode((folder / "run.json").read_bytes(), type=RunFacts)
    stages = [_stage(path.parent) for path in sorted(folder.glob("*/stage.json"))]
    return Record(facts, {stage.end.name: stage for stage in stages})


def _stage(folder: Path) -> Stage:
    end = msgspec.json.decode((folder / "stage.json").read_bytes(), type=StageEnd)
    report, before, after, usage = (
        folder / name for name in ("report.json", "metrics-before.txt", "metrics-after.txt", "usage.csv")
    )
    used = None
    if before.exists() and after.exists():
        used = scrape.usage(scrape.parse(before.read_text()), scrape.parse(after.read_text()), end.seconds)
    return Stage(
        end,
        msgspec.json.decode(report.read_bytes(), type=Verdict) if report.exists() else None,
        used,
        sampling.read(usage) if usage.exists() else (),
    )
