"""The guide's performance test as one command: its stages in order, the service's own figures around each, a report."""

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import describe
from loadtest import guide_page, scrape
from loadtest.generator import run
from loadtest.record import Record, RunFacts, StageEnd, read_record, write_json
from loadtest.sampling import Sampling
from loadtest.scenarios import Scenario, scenario
from loadtest.target import Target

STAGES = ("basic", "stress", "spike", "endurance", "users", "introspections")
"""The guide's four, and the two that its checklist asks for beside them."""
TOKEN_SECONDS = 600
"""How long a token lives at the service that is started for the run: longer than a stage asks about its one token (five
minutes), and a third of endurance, so that the number of live tokens settles and growth beyond it is a leak."""


class MixedRuns(Exception):
    """A folder's stages would be of several commits, or of several lengths; the message says which."""


def must_be_alike(before: RunFacts, now: RunFacts, folder: Path) -> None:
    """Raises MixedRuns where stages of now do not belong to a report of before."""
    for what, one, other in (
        ("commit", before.machine.commit, now.machine.commit),
        ("settings", _said(before.settings), _said(now.settings)),
    ):
        if one != other:
            raise MixedRuns(
                f"{folder} is a run of {what} {one}, and this would be of {other}: one report is of one {what}; "
                "give the same, or another folder with --out"
            )


def _said(settings: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(settings.items())) or "(none)"


def token_seconds(environ: Mapping[str, str]) -> int:
    """The life of a token in a run that ``DURATION_FACTOR`` stretches or shortens."""
    return max(60, round(TOKEN_SECONDS * float(environ.get("DURATION_FACTOR", "1"))))


def run_guide(
    target: Target,
    folder: Path,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    wall: Callable[[], float],
    *,
    only: Sequence[str] = STAGES,
) -> tuple[Path, bool]:
    """Run the stages, each into its own folder; with ``only`` some of them again in the folder of an earlier run.

    Returns the report's path, and whether every line of the checklist passed. Raises MixedRuns where what the folder
    has is of another commit or of other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = RunFacts(_utc(), target.where, describe(), environ)
    if (folder / "run.json").exists():
        must_be_alike(read_record(folder).facts, facts, folder)
    else:
        write_json(folder / "run.json", facts)
    chosen = [(index, name) for index, name in enumerate(STAGES, 1) if name in only]
    for index, name in chosen:
        stage = scenario(name)
        say(f"[{index}/{len(STAGES)}] {name}: {stage.says}")
        end = _run_stage(stage, target, folder / f"{index}-{name}", environ, wall=wall, say=say)
        say(f"[{index}/{len(STAGES)}] {name}: {end.exit.words} after {end.seconds:.0f} s")
    record = read_record(folder)
    return write_report(record, folder), guide_page.passed(record)


def _run_stage(
    stage: Scenario,
    target: Target,
    report: Path,
    environ: Mapping[str, str],
    *,
    wall: Callable[[], float],
    say: Callable[[str], None],
) -> StageEnd:
    if report.exists():
        shutil.rmtree(report)
    report.mkdir()
    began, load_before, start = _utc(), os.getloadavg()[0], wall()
    _scrape(target, report / "metrics-before.txt", say)
    with contextlib.ExitStack() as running:
        if target.metrics_url is not None:
            running.enter_context(Sampling(target.metrics_url, report / "usage.csv"))
        outcome = run(stage, environ={**target.environ, **environ}, report=report, cores=target.cores)
    _scrape(target, report / "metrics-after.txt", say)
    end = StageEnd(stage.name, outcome.exit, wall() - start, began, round(load_before, 2))
    write_json(report / "stage.json", end)
    return end


def _utc() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M}"


def write_report(record: Record, folder: Path) -> Path:
    """Write ``report.md`` and its charts into a run's folder, also for a run that was made before."""
    for name, svg in guide_page.charts(record).items():
        (folder / name).write_text(svg)
    path = folder / "report.md"
    path.write_text(guide_page.page(record))
    return path


def _scrape(target: Target, copy: Path, say: Callable[[str], None]) -> None:
    """A scrape that fails leaves no file, and the lines that need it say "not measured": the stage has been run."""
    if target.metrics_url is None:
        return
    try:
        copy.write_text(scrape.fetch(target.metrics_url))
    except OSError as error:
        say(f"{copy.name} of {copy.parent.name} is left out: {target.metrics_url}: {error}")
