"""The report of a run of the guide: the checklist, the stages, and how CPU and memory went.

Pure: a record in, text out.
"""

from collections.abc import Iterator, Mapping, Sequence

from loadtest.checklist import Line, as_markdown, checklist
from loadtest.curves import Axis, Curve, curves
from loadtest.record import Record, Stage
from loadtest.scrape import Usage
from loadtest.verdict import Exit

MEMORY_CHART, CPU_CHART = "resident.svg", "cpu.svg"


def lines(record: Record) -> Sequence[Line]:
    """The checklist, filled in."""
    return checklist(record.stages)


def passed(record: Record) -> bool:
    """Whether every line of the checklist passed."""
    return all(line.passed for line in lines(record))


def page(record: Record) -> str:
    """The report as Markdown, its charts beside it."""
    charts = "".join(f"\n![{title}]({name})\n" for name, title in titles(record))
    return f"# Performance test\n\n{body(record)}{charts}"


def body(record: Record) -> str:
    """What was run, the checklist and the stages, without a heading of its own."""
    facts, machine = record.facts, record.facts.machine
    changed = "".join(f", {name}={value}" for name, value in facts.settings.items())
    limited = [name for name, stage in record.stages.items() if stage.end.exit is Exit.GENERATOR_LIMITED]
    note = f"\nLimited by the generator, not by the service: {', '.join(limited)}.\n" if limited else ""
    return (
        f"{facts.began} UTC, {facts.where}{changed}. {machine.cpu}, {machine.cores} cores, {machine.python}, "
        f"commit {machine.commit}, load average before: {machine.load_before:g}.\n\n"
        f"{as_markdown(lines(record))}{note}\n{stages(record.stages)}"
    )


def stages(ran: Mapping[str, Stage]) -> str:
    """A row for each stage."""
    head = [
        "stage",
        "began (UTC)",
        "load before",
        "seconds",
        "verdict",
        "introspection p95",
        "issuance p95",
        "failed",
        "CPU",
        "resident",
        "live tokens",
    ]
    rule = "|---|---|---:|---:|---|---:|---:|---:|---:|---:|---:|"
    return "\n".join([f"| {' | '.join(head)} |", rule, *map(_row, ran.values())]) + "\n"


def _row(stage: Stage) -> str:
    end = stage.end
    cells = [end.name, end.began, f"{end.load_before:g}", f"{end.seconds:,.0f}", end.exit.words]
    for endpoint in ("introspect", "issue"):
        figures = None if stage.verdict is None else stage.verdict.endpoint(endpoint)
        cells.append("" if figures is None else f"{figures.p95_ms:.2f} ms")
    asked = () if stage.verdict is None else stage.verdict.endpoints
    requests = sum(e.requests for e in asked)
    failed = round(sum(e.requests * e.failed for e in asked))
    cells.append(f"{failed:,} of {requests:,}" if requests else "")
    cells += ("", "") if stage.usage is None else _usage(stage.usage)
    cells.append(f"{stage.samples[-1].live_tokens:,.0f}" if stage.samples else "")
    return f"| {' | '.join(cells)} |"


def _usage(usage: Usage) -> tuple[str, str]:
    cpu, resident = usage.cpu_cores, usage.resident_after_bytes
    unknown = "not measured"
    return unknown if cpu is None else f"{cpu:.0%}", unknown if resident is None else f"{resident / 1e6:.1f} MB"


def charts(record: Record) -> Mapping[str, str]:
    """SVG by file name; none where nothing was sampled."""
    return {name: _chart(name, title, record) for name, title in titles(record)}


def titles(record: Record) -> Iterator[tuple[str, str]]:
    """The charts that there are: file name and title."""
    if any(len(stage.samples) > 1 for stage in record.stages.values()):
        yield MEMORY_CHART, "Resident size and live tokens over the run"
        yield CPU_CHART, "CPU of the service over the run"


def _chart(name: str, title: str, record: Record) -> str:
    return _memory(title, record) if name == MEMORY_CHART else _cpu(title, record)


def _memory(title: str, record: Record) -> str:
    resident, tokens = [], []
    for start, stage in _in_order(record):
        resident += [((start + s.at) / 60, s.resident_bytes / 1e6) for s in stage.samples]
        tokens += [((start + s.at) / 60, s.live_tokens / 1000) for s in stage.samples]
    drawn = (Curve("resident, MB", resident), Curve("live tokens, thousands", tokens))
    return curves(title, Axis("minutes"), Axis("MB; thousands of tokens"), drawn, marks=_marks(record))


def _cpu(title: str, record: Record) -> str:
    points: list[tuple[float, float]] = []
    for start, stage in _in_order(record):
        for a, b in zip(stage.samples, stage.samples[1:], strict=False):
            points.append(((start + b.at) / 60, 100 * (b.cpu_seconds - a.cpu_seconds) / (b.at - a.at)))
    return curves(title, Axis("minutes"), Axis("% of a core"), (Curve("CPU", points),), marks=_marks(record))


def _in_order(record: Record) -> Iterator[tuple[float, Stage]]:
    """Each stage with the second of the run at which it began."""
    start = 0.0
    for stage in record.stages.values():
        yield start, stage
        start += stage.end.seconds


def _marks(record: Record) -> Sequence[tuple[float, str]]:
    return [(start / 60, stage.end.name) for start, stage in _in_order(record)]
