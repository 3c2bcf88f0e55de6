"""What a run of the benchmark comes to: kept as JSON, printed as a table."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from benchmarks import idle_cores, limit_rows
from benchmarks.live_tokens import LiveTokens
from benchmarks.machine import Machine
from benchmarks.memory import IDLE_TARGET_MB, TOKENS_TARGET_MB, Memory
from benchmarks.peers.rows import PeerRow
from benchmarks.processes import Processes
from benchmarks.rate_steps import RateSteps
from benchmarks.redis_rows import FULL_PAIR, MISS, PAIR, QUARTER, QUARTER_IN_MEMORY, UNBATCHED
from benchmarks.startup import TARGET_SECONDS
from benchmarks.statistics import Spread, round_ratios, spread
from benchmarks.summary import RowResult, table, verdict

FORMAT = 1
"""Of the JSON; a change that breaks its readers adds one."""


class Results(msgspec.Struct, frozen=True):
    """One run of the benchmark."""

    machine: Machine
    measured_at: str
    """ISO 8601, UTC."""
    rounds: int
    seconds: float
    rows: tuple[RowResult, ...] = ()
    redis_rows: tuple[RowResult, ...] = ()
    """Measured in rounds of their own, the bare server among them."""
    memory: Memory | None = None
    start_seconds: Spread | None = None
    steps_ns: dict[str, Spread] = {}
    peers: tuple[PeerRow, ...] = ()
    rate_steps: tuple[RateSteps, ...] = ()
    live_tokens: tuple[LiveTokens, ...] = ()
    processes: Processes | None = None
    parts: tuple[str, ...] = ()
    """What was measured, of :data:`benchmarks.bench.PARTS`."""
    format: int = FORMAT


def lines(results: Results) -> Iterator[str]:
    """The table and the small figures of a run, as text for a terminal."""
    machine = results.machine
    yield f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.kernel}, {machine.python}"
    yield f"commit {machine.commit}, {results.measured_at}, load average before the start {machine.load_before}"
    yield f"cores without work {machine.idle_cores}{'' if machine.idle_cores_polled else idle_cores.HINT}"
    for of in (results.rows, results.redis_rows):
        if of:
            yield ""
            yield f"{results.rounds} rounds of {results.seconds:g} s in turns, server and load on a core each; medians"
            yield from _table_of(of)
    small = list(sizes(results))
    if small:
        yield ""
        yield from table(("", "measured", "target", ""), small)
    if results.steps_ns:
        yield ""
        yield from table(
            ("in one process, without a server", "us", "(min-max)"),
            [
                (name, f"{ns.median / 1e3:.2f}", f"({ns.low / 1e3:.2f}-{ns.high / 1e3:.2f})")
                for name, ns in results.steps_ns.items()
            ],
        )


def _table_of(of: Sequence[RowResult]) -> Iterator[str]:
    return table(
        ("", "req/s", "x bare", "(min-max)", "by CPU", "(min-max)", "of core", "p50 ms", "p99 ms", "target", ""),
        [
            (
                row.name,
                f"{row.rate.median:,.0f}",
                f"{row.ratio.median:.2f}",
                f"({row.ratio.low:.2f}-{row.ratio.high:.2f})",
                f"{row.ratio_on_cpu.median:.2f}",
                f"({row.ratio_on_cpu.low:.2f}-{row.ratio_on_cpu.high:.2f})",
                f"{row.core_share:.0%}",
                f"{row.p50_ms:.2f}",
                f"{row.p99_ms:.2f}",
                "" if row.target is None else f">= {row.target:.2f}",
                verdict(row.met),
            )
            for row in of
        ],
    )


def sizes(results: Results) -> Iterator[tuple[str, str, str, str]]:
    """What is small or short: name, figure, target, verdict."""
    memory, start = results.memory, results.start_seconds
    yield from _redis_comparisons({row.name: row for row in results.redis_rows})
    yield from _limit_comparisons(results)
    if memory is not None:
        idle_met = memory.idle_mb <= IDLE_TARGET_MB
        growth_met = memory.growth_mb <= TOKENS_TARGET_MB
        yield "idle process", f"{memory.idle_mb:.1f} MB", f"<= {IDLE_TARGET_MB:g} MB", verdict(idle_met)
        yield (
            "100,000 live tokens, issued over HTTP",
            f"+{memory.growth_mb:.1f} MB",
            f"<= {TOKENS_TARGET_MB:g} MB",
            verdict(growth_met),
        )
        yield "100,000 live tokens, the store alone", f"+{memory.store_mb:.1f} MB", "", ""
    if start is not None:
        yield (
            "start to first answer",
            f"{start.median:.2f} s ({start.low:.2f}-{start.high:.2f})",
            f"<= {TARGET_SECONDS:g} s",
            verdict(start.median <= TARGET_SECONDS),
        )


def _redis_comparisons(of: Mapping[str, RowResult]) -> Iterator[tuple[str, str, str, str]]:
    """What two rows with Redis say together."""
    miss, unbatched, full_pair = of.get(MISS), of.get(UNBATCHED), of.get(FULL_PAIR)
    if miss is not None and unbatched is not None:
        gain = miss.ratio_on_cpu.median / unbatched.ratio_on_cpu.median
        yield "misses a CPU second, batched to unbatched", f"{gain:.2f}", "", ""
    paced, in_memory, pair = of.get(QUARTER), of.get(QUARTER_IN_MEMORY), of.get(PAIR)
    if paced is not None and pair is not None:
        # Each of the two has the load of the one, so that a loop's tick, and with it a batch, holds as much.
        cost = _cost(paced, pair)
        yield "CPU seconds a miss, two processes to one, each as loaded", f"{cost:.2f}", "<= 1.1", verdict(cost <= 1.1)
    if miss is not None and full_pair is not None:
        cost = _cost(miss, full_pair)
        yield "the same where both want one whole core", f"{cost:.2f}", "", ""
    if paced is not None and in_memory is not None:
        added = paced.p50_ms - in_memory.p50_ms
        yield "p50 at a quarter of the rate, Redis over memory", f"{added:+.2f} ms", "<= 1 ms", verdict(added <= 1)


def _limit_comparisons(results: Results) -> Iterator[tuple[str, str, str, str]]:
    """What the limits cost, beside their targets."""
    for load, added in limit_rows.added_ms({row.name: row.loads for row in results.rows}):
        target = limit_rows.P99_TARGET_MS
        yield f"p99 {load}, limits on over off", f"{added:+.2f} ms", f"<= {target:g} ms", verdict(added <= target)
    decision = results.steps_ns.get(limit_rows.DECISION)
    if decision is not None:
        us, target = decision.median / 1e3, limit_rows.DECISION_TARGET_US
        yield "a decision of the limiter", f"{us:.2f} us", f"<= {target:g} us", verdict(us <= target)


def _cost(one: RowResult, two: RowResult) -> float:
    """CPU time of a request in ``two`` over that in ``one``, round by round; the bare server is left out of it."""
    rates = [[load.rate_on_cpu for load in row.loads] for row in (one, two)]
    return spread(round_ratios(*rates)).median
