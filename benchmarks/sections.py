"""The parts of a run that have a table of their own: the same cells for a terminal and for the page."""

from collections.abc import Iterator

import msgspec

from benchmarks import live_tokens, rate_steps
from benchmarks.peers.programs import INTROSPECTION
from benchmarks.results import Results, lines
from benchmarks.statistics import Spread
from benchmarks.summary import table, verdict

PEERS, LATENCY, LIVE, REPLICAS, CORES = (
    "Beside other servers",
    "Latency by rate",
    "Live tokens in memory",
    "Replicas",
    "Cores",
)


class Section(msgspec.Struct, frozen=True):
    """One table."""

    title: str
    note: str
    """How to read it, in a sentence or two."""
    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def sections(results: Results) -> Iterator[Section]:
    """Those that were measured."""
    if results.peers:
        yield _peers(results)
    if results.rate_steps:
        yield _latency(results)
    if results.live_tokens:
        yield _live_tokens(results)
    if results.processes is not None:
        yield from _processes(results)


def render(results: Results) -> str:
    """The whole report as text for a terminal."""
    report = list(lines(results))
    for section in sections(results):
        report += ["", f"{section.title}. {section.note}", *table(section.head, section.lines)]
    return "\n".join(report) + "\n"


def _peers(results: Results) -> Section:
    note = (
        "Each server pinned to the same core, the load on the other, in turns; the same requests, authenticated. "
        "At the durability that the column says: no commit waits for a disk, nothing survives the machine, and "
        "what lies in a map or in SQLite's own memory ends with its process. "
        "The columns before the target say how many times its rate the service's is, by the clock and by CPU time."
    )
    ordered = sorted(results.peers, key=lambda peer: (peer.endpoint != INTROSPECTION, -peer.row.ratio_on_cpu.median))
    return Section(
        PEERS,
        note,
        (
            "",
            "keeps tokens in",
            "requests/s",
            "× bare server",
            "p50",
            "p99",
            "service to it",
            "by CPU time",
            "target",
            "",
        ),
        tuple(
            (
                f"{peer.endpoint}: {peer.server}",
                peer.durability,
                f"{peer.row.rate.median:,.0f}",
                f"{peer.row.ratio.median:.3f}",
                f"{peer.row.p50_ms:.2f} ms",
                f"{peer.row.p99_ms:.2f} ms",
                _times(peer.times),
                _times(peer.times_on_cpu),
                "" if peer.target is None else f"≥ {peer.target:g}",
                verdict(peer.met),
            )
            for peer in ordered
        ),
    )


def _latency(results: Results) -> Section:
    note = (
        f"Open load, connections that each ask once in {rate_steps.PERIOD_MS:g} ms in the mean, at fractions of the "
        "most that the server answers to connections which never pause. The target, "
        f"{rate_steps.P99_TARGET_MS:g} ms, is for the p99 at half of it."
    )
    standstill = results.rate_steps[0].standstill
    if standstill is not None:
        note += f" With nothing running, the server's core stood still by itself for {standstill}."
    found = []
    for steps in results.rate_steps:
        for step in steps.steps:
            is_half = step is steps.half
            found.append(
                (
                    f"{steps.name}, {step.fraction:.0%} of {steps.most.median:,.0f}/s",
                    f"{step.rate.median:,.0f}",
                    f"{step.core_share:.0%}",
                    _ms(step.p50_ms),
                    _ms(step.p99_ms),
                    f"≤ {rate_steps.P99_TARGET_MS:g} ms" if is_half else "",
                    verdict(steps.met) if is_half else "",
                )
            )
    return Section(LATENCY, note, ("", "requests/s", "of the core", "p50", "p99", "p99 at most", ""), tuple(found))


def _live_tokens(results: Results) -> Section:
    note = (
        "All introspected, each as likely as any other; issuance begins with so many and adds to them. The rates "
        f"beside those of {live_tokens.COUNTS[0]:,} tokens are by CPU time."
    )
    found = []
    for one in results.live_tokens:
        largest = one.is_largest
        kept = (one.introspection_kept, one.issuance_kept)
        is_met = min(spread.median for spread in kept) >= live_tokens.RATE_TARGET
        is_met = is_met and one.growth_mb <= live_tokens.GROWTH_TARGET_MB
        found.append(
            (
                f"{one.count:,}",
                f"+{one.growth_mb:.1f} MB",
                f"{one.introspection.rate.median:,.0f}",
                f"{one.issuance.rate.median:,.0f}",
                *(f"{spread.median:.2f} ({spread.low:.2f}–{spread.high:.2f})" for spread in kept),
                f"≤ {live_tokens.GROWTH_TARGET_MB:g} MB, ≥ {live_tokens.RATE_TARGET}" if largest else "",
                verdict(is_met) if largest else "",
            )
        )
    head = (
        "live tokens",
        "memory",
        "introspections/s",
        "issuances/s",
        "introspection kept",
        "issuance kept",
        "target",
        "",
    )
    return Section(LIVE, note, head, tuple(found))


def _processes(results: Results) -> Iterator[Section]:
    if results.processes is None:
        return
    replicas, cores = results.processes.replicas, results.processes.cores
    yield Section(
        REPLICAS,
        "Processes on one Redis, each with the same load of introspections that its cache does not have; they share a "
        "core, which has room for all. CPU time a request, median and range of the rounds.",
        ("processes", "requests/s", "of the service", "of Redis", "p99"),
        tuple(
            (str(one.count), f"{one.rate.median:,.0f}", _us(one.service_us), _us(one.redis_us), f"{one.p99_ms:.2f} ms")
            for one in replicas
        ),
    )
    yield Section(
        CORES,
        "On one core a process, its load and Redis; on two cores such a pair each and the same Redis: twice is all "
        "that a second core can bring.",
        ("", "one core, requests/s", "two cores, requests/s", "times"),
        tuple(
            (
                one.name,
                f"{one.one.median:,.0f}",
                f"{one.two.median:,.0f}",
                f"{one.times.median:.2f} ({one.times.low:.2f}–{one.times.high:.2f})",
            )
            for one in cores
        ),
    )


def _ms(of: Spread) -> str:
    return f"{of.median:.2f} ms ({of.low:.2f}–{of.high:.2f})"


def _times(of: Spread) -> str:
    return f"{of.median:.1f} ({of.low:.1f}–{of.high:.1f})"


def _us(of: Spread) -> str:
    return f"{of.median:.1f} µs ({of.low:.1f}–{of.high:.1f})"
