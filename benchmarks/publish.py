"""From the figures of one or several runs to the documentation: one block of ``docs/performance.md``, the pictures.

Rules:
- A part that several runs measured is the last one's. The page says of each run what it measured, when and of which
  commit.
- Runs on different machines, or with other packages, are not put side by side.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks.machine import REPOSITORY
from benchmarks.pictures import OF_SECTION, RATIOS, pictures
from benchmarks.results import Results, sizes
from benchmarks.sections import sections
from benchmarks.summary import RowResult, verdict

PAGE = REPOSITORY / "docs" / "performance.md"
PICTURES = REPOSITORY / "docs" / "images"
BEGIN, END = "<!-- measured: begin (python -m benchmarks publish) -->", "<!-- measured: end -->"
_NOT_MEASURED = ("machine", "measured_at", "rounds", "seconds", "parts", "format")


class PublishError(Exception):
    """The figures cannot be published; the message says why."""


def publish(runs: Sequence[Results]) -> tuple[Path, ...]:
    """Write the page and the pictures; their paths. Raises PublishError, or ValueError if the page has no block."""
    PAGE.write_text(fill(PAGE.read_text(), runs))
    PICTURES.mkdir(parents=True, exist_ok=True)
    written = [PAGE]
    for name, svg in pictures(merge(runs)):
        (PICTURES / name).write_text(svg)
        written.append(PICTURES / name)
    return tuple(written)


def merge(runs: Sequence[Results]) -> Results:
    """One run that measured what all of them did. Raises PublishError if their machines differ."""
    merged = runs[0]
    for run in runs[1:]:
        here, there = (msgspec.structs.replace(one.machine, commit="", load_before=0) for one in (merged, run))
        if here != there:
            raise PublishError(f"the run of {run.measured_at} was on another machine or with other packages")
        measured = {
            name: getattr(run, name)
            for name in run.__struct_fields__
            if name not in _NOT_MEASURED and getattr(run, name)
        }
        merged = msgspec.structs.replace(merged, **measured)
    return merged


def fill(page: str, runs: Sequence[Results]) -> str:
    """The page with the block between :data:`BEGIN` and :data:`END` made anew."""
    return fill_between(page, BEGIN, END, list(_block(merge(runs), runs)))


def fill_between(page: str, begin: str, end: str, block: Sequence[str]) -> str:
    """The page with the lines of ``block`` between two marks. Raises ValueError if they are not there."""
    before, begins, rest = page.partition(begin)
    _, ends, after = rest.partition(end)
    if not begins or not ends:
        raise ValueError(f"there is no block between {begin} and {end}")
    return before + begins + "\n" + "\n".join(block) + "\n" + ends + after


def _block(results: Results, runs: Sequence[Results]) -> Iterator[str]:
    machine = results.machine
    yield f"Machine: {machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.kernel}, {machine.python}"
    yield f"({', '.join(f'{name} {version}' for name, version in machine.packages.items())})."
    yield f"Interleaved rounds after a warm-up; medians. Cores without work {machine.idle_cores}."
    yield "Load average: the machine's in the minute before."
    yield ""
    for run in runs:
        of = run.machine
        how = f"{run.rounds} rounds of {run.seconds:g} s, load average {of.load_before}"
        yield f"- {', '.join(run.parts)}: commit {of.commit}, {run.measured_at}, {how}"
    yield ""
    if results.rows:
        yield from _rates(results.rows)
        yield ""
        yield f"![Each row as a multiple of the bare server](images/{RATIOS})"
        yield ""
    if results.redis_rows:
        yield "With Redis, its rounds apart, Redis and the load on the other core:"
        yield ""
        yield from _rates(results.redis_rows)
        yield ""
    small = list(sizes(results))
    if small:
        yield from _table(("", "measured", "target", ""), small)
        yield ""
    for section in sections(results):
        yield f"### {section.title}"
        yield section.note
        yield ""
        yield from _table(section.head, section.lines)
        yield ""
        yield f"![{section.title}](images/{OF_SECTION[section.title]})"
        yield ""
    if results.steps_ns:
        yield "### Steps"
        yield from _table(
            ("step, alone in one process", "µs", "least–most"),
            [
                (name, f"{ns.median / 1e3:.2f}", f"{ns.low / 1e3:.2f}–{ns.high / 1e3:.2f}")
                for name, ns in results.steps_ns.items()
            ],
        )


def _rates(rows: Sequence[RowResult]) -> Iterator[str]:
    yield from _table(
        ("", "requests/s", "× bare server", "least–most", "by CPU time", "least–most", "p50", "p99", "target", ""),
        [
            (
                row.name,
                f"{row.rate.median:,.0f}",
                f"**{row.ratio.median:.2f}**",
                f"{row.ratio.low:.2f}–{row.ratio.high:.2f}",
                f"**{row.ratio_on_cpu.median:.2f}**",
                f"{row.ratio_on_cpu.low:.2f}–{row.ratio_on_cpu.high:.2f}",
                f"{row.p50_ms:.2f} ms",
                f"{row.p99_ms:.2f} ms",
                "" if row.target is None else f"≥ {row.target:.2f}",
                verdict(row.met),
            )
            for row in rows
        ],
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" + "---:|" * (len(head) - 1)
    for line in lines:
        yield "| " + " | ".join(line) + " |"
