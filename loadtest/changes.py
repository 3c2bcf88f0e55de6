"""Load while something is changed: each of k6's scenarios for it, with the change really made in its middle.

FOLDER/rotation/change.json             what was changed and when (and rollout, failover)
FOLDER/rotation/report.json, output.txt what k6 said (and report.html, report.md, report.csv, junit.xml)
FOLDER/report.md                        the table of all
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from loadtest.change_acts import Act, ChangeFailed, Stage
from loadtest.change_stages import STAGES
from loadtest.generator import Outcome, run
from loadtest.record import write_json
from loadtest.scenarios import scenario
from loadtest.verdict import Exit, Verdict

SECONDS = 120
"""The planned time of ``k6/under-change.js``, before ``DURATION_FACTOR``."""


class Made(msgspec.Struct, frozen=True):
    """One change that was made."""

    at_seconds: float
    """Since k6 was started."""
    what: str
    came_to: str


class Change(msgspec.Struct, frozen=True):
    """What stands in ``change.json``."""

    name: str
    began: str
    """UTC, to the minute."""
    where: str
    load_before: float
    """The load average of the machine's last minute before it began."""
    planned: int
    """How many changes were to be made."""
    exit: Exit
    made: tuple[Made, ...] = ()
    failure: str = ""
    """Why a change was not made, or did not come to what it was to."""


class ChangeRun(msgspec.Struct, frozen=True):
    """One run as it can be shown."""

    change: Change
    verdict: Verdict | None = None


def run_changes(
    names: Sequence[str], folder: Path, environ: Mapping[str, str], say: Callable[[str], None]
) -> tuple[ChangeRun, ...]:
    """Run these, each into its own folder. ``environ``: what shortens them. Raises ServerError, LoadError, ChangeFailed
    where something does not even start."""
    for number, name in enumerate(names, 1):
        say(f"[{number}/{len(names)}] {name}: starting what it needs")
        with STAGES[name]() as stage:
            change = _run(name, stage, folder / name, environ, lambda line: say(f"    {line}"))
        say(f"[{number}/{len(names)}] {name}: {change.exit.words}")
    return read_runs(folder)


def read_runs(folder: Path) -> tuple[ChangeRun, ...]:
    """What runs left in a folder, in the order of :data:`STAGES`. Raises OSError where there is none."""
    found = []
    for name in STAGES:
        if not (folder / name / "change.json").exists():
            continue
        change = msgspec.json.decode((folder / name / "change.json").read_bytes(), type=Change)
        report = folder / name / "report.json"
        verdict = msgspec.json.decode(report.read_bytes(), type=Verdict) if report.exists() else None
        found.append(ChangeRun(change, verdict))
    if not found:
        raise FileNotFoundError(f"{folder} has no run of `python -m loadtest changes`")
    return tuple(found)


def _run(name: str, stage: Stage, report: Path, environ: Mapping[str, str], say: Callable[[str], None]) -> Change:
    began, load_before = f"{datetime.now(UTC):%Y-%m-%d %H:%M}", os.getloadavg()[0]
    told = {**stage.target.environ, **environ}
    told.pop("CALIBRATION_URL", None)
    seconds = SECONDS * float(environ.get("DURATION_FACTOR", "1"))
    made: list[Made] = []
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(make_all, stage.acts, seconds, made.append, say, ended)
        try:
            outcome = run(scenario(name), environ=told, report=report, cores=stage.target.cores)
        finally:
            ended.set()
        failure = changing.result()
    planned = len(stage.acts)
    change = Change(
        name,
        began,
        stage.target.where,
        round(load_before, 2),
        planned,
        judged(outcome, len(made), planned),
        tuple(made),
        failure,
    )
    write_json(report / "change.json", change)
    return change


def judged(outcome: Outcome, made: int, planned: int) -> Exit:
    """k6's own verdict; that of a run in which not everything was changed is no pass."""
    return Exit.FAILED if outcome.exit is Exit.PASSED and made < planned else outcome.exit


def make_all(
    acts: Sequence[Act],
    seconds: float,
    note: Callable[[Made], None],
    say: Callable[[str], None],
    ended: threading.Event,
) -> str:
    """Make each at its time, from now; why one was not made, or "". One that ends after the load is not noted."""
    start = time.monotonic()
    for act in acts:
        if ended.wait(max(0.0, start + act.at * seconds - time.monotonic())):
            return "the load ended before the change"
        at = time.monotonic() - start
        say(f"at {at:.0f} s: {act.what}")
        try:
            came_to = act.make()
        except ChangeFailed as error:
            say(str(error))
            return str(error)
        if ended.is_set():
            return "the load ended before what was changed was seen"
        say(f"at {time.monotonic() - start:.0f} s: {came_to}")
        note(Made(round(at, 1), act.what, came_to))
    return ""
