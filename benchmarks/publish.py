"""From a run's figures to the documentation: one block of ``docs/performance.md``, one picture."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.machine import REPOSITORY
from benchmarks.plot import ratio_bars
from benchmarks.results import Results, RowResult, sizes, verdict

PAGE = REPOSITORY / "docs" / "performance.md"
PICTURE = REPOSITORY / "docs" / "images" / "ratios.svg"
BEGIN, END = "<!-- measured: begin (python -m benchmarks publish) -->", "<!-- measured: end -->"


def publish(results: Results) -> tuple[Path, ...]:
    """Write both files; their paths. Raises ValueError if the page has no block to fill."""
    PAGE.write_text(fill(PAGE.read_text(), results))
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(
        ratio_bars(results.rows, "Requests for each second of CPU time, as a multiple of the bare server's")
    )
    return PAGE, PICTURE


def fill(page: str, results: Results) -> str:
    """The page with the block between :data:`BEGIN` and :data:`END` made anew."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is no block between {BEGIN} and {END}")
    return before + begin + "\n" + "\n".join(_block(results)) + "\n" + end + after


def _block(results: Results) -> Iterator[str]:
    machine = results.machine
    yield f"Machine: {machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.kernel}, {machine.python}"
    yield f"({', '.join(f'{name} {version}' for name, version in machine.packages.items())})."
    yield f"Commit {machine.commit}, {results.measured_at}, load average of the machine before: {machine.load_before}."
    yield f"{results.rounds} interleaved rounds of {results.seconds:g} s, after a warm-up; medians."
    yield ""
    yield from _rates(results.rows)
    yield ""
    if results.redis_rows:
        yield "With Redis, its rounds apart, Redis and the load on the other core:"
        yield ""
        yield from _rates(results.redis_rows)
        yield ""
    yield from _table(("", "measured", "target", ""), list(sizes(results)))
    yield ""
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
