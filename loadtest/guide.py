"""The guide's performance test as one command: its stages in order, the service's own figures around each, a report."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import describe
from loadtest import scrape
from loadtest.checklist import Line, as_markdown, checklist
from loadtest.generator import Outcome, run
from loadtest.scenarios import scenario
from loadtest.target import Target
from loadtest.verdict import Exit, Verdict

STAGES = ("basic", "stress", "spike", "endurance", "users", "introspections")
"""The guide's four, and the two that its checklist asks for beside them."""


def run_guide(
    target: Target, folder: Path, environ: Mapping[str, str], say: Callable[[str], None], wall: Callable[[], float]
) -> tuple[Path, bool]:
    """Run all stages. Returns the report's path, and whether every line of the checklist passed."""
    outcomes: dict[str, Outcome] = {}
    usages: dict[str, scrape.Usage] = {}
    for index, name in enumerate(STAGES, 1):
        stage = scenario(name)
        say(f"[{index}/{len(STAGES)}] {name}: {stage.says}")
        report = folder / f"{index}-{name}"
        report.mkdir(parents=True)
        before, began = _scrape(target, report / "metrics-before.txt"), wall()
        outcomes[name] = run(stage, environ={**target.environ, **environ}, report=report, cores=target.cores)
        after, seconds = _scrape(target, report / "metrics-after.txt"), wall() - began
        if before is not None and after is not None:
            usages[name] = scrape.usage(before, after, seconds)
        say(f"[{index}/{len(STAGES)}] {name}: {outcomes[name].exit.name.lower().replace('_', ' ')}")
    verdicts = {name: outcome.verdict for name, outcome in outcomes.items() if outcome.verdict is not None}
    lines = checklist(verdicts, {name: outcome.exit for name, outcome in outcomes.items()}, usages)
    path = folder / "report.md"
    path.write_text(_page(target, lines, outcomes, verdicts, usages))
    return path, all(line.passed for line in lines)


def _scrape(target: Target, copy: Path) -> scrape.Series | None:
    if target.metrics_url is None:
        return None
    text = scrape.fetch(target.metrics_url)
    copy.write_text(text)
    return scrape.parse(text)


def _page(
    target: Target,
    lines: Sequence[Line],
    outcomes: Mapping[str, Outcome],
    verdicts: Mapping[str, Verdict],
    usages: Mapping[str, scrape.Usage],
) -> str:
    machine = describe()
    rows = ["| stage | verdict | introspection p95 | issuance p95 | CPU | resident |", "|---|---|---:|---:|---:|---:|"]
    for name, outcome in outcomes.items():
        verdict, used = verdicts.get(name), usages.get(name)
        cells = [name, outcome.exit.name.lower().replace("_", " ")]
        for endpoint in ("introspect", "issue"):
            figures = None if verdict is None else verdict.endpoint(endpoint)
            cells.append("" if figures is None else f"{figures.p95_ms:.1f} ms")
        cells.append("" if used is None else f"{used.cpu_cores:.0%}")
        cells.append("" if used is None else f"{used.resident_after_bytes / 1e6:.1f} MB")
        rows.append(f"| {' | '.join(cells)} |")
    limited = [name for name, outcome in outcomes.items() if outcome.exit is Exit.GENERATOR_LIMITED]
    note = f"\nLimited by the generator, not by the service: {', '.join(limited)}.\n" if limited else ""
    return (
        "# Performance test\n\n"
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {target.where}. {machine.cpu}, {machine.cores} cores, "
        f"{machine.python}, commit {machine.commit}.\n\n"
        f"## Checklist\n\n{as_markdown(lines)}{note}\n## Stages\n\n" + "\n".join(rows) + "\n"
    )
