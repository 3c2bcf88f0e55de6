"""The performance guide's validation checklist, each line with the figure that decides it.

Pure: runs and scrapes in, lines out. A line whose figure was not measured has not passed.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from loadtest.scrape import Usage
from loadtest.verdict import Exit, Verdict

NORMAL_LOAD = "basic"
"""The stage that counts as normal load: 100 introspections a second."""
LEAK_SHARE = 0.05
"""How much larger the resident size may be after endurance than before it."""


class Line(msgspec.Struct, frozen=True):
    """One line of the checklist."""

    what: str
    wanted: str
    measured: str
    passed: bool


def checklist(runs: Mapping[str, Verdict], exits: Mapping[str, Exit], usages: Mapping[str, Usage]) -> Sequence[Line]:
    """The lines, in the guide's order. ``runs`` and ``usages`` by stage."""
    return (
        _latency("Token introspection, p95", runs.get("basic"), "introspect", 50),
        _latency("Token issuance, p95", runs.get("stress"), "issue", 100),
        _limiter(usages.values()),
        _memory(usages.get("endurance")),
        _cpu(usages.get(NORMAL_LOAD)),
        _errors([runs[stage] for stage in ("basic", "stress", "spike", "endurance") if stage in runs]),
        _held("Concurrent requests: 1,000 users", runs.get("users"), exits.get("users")),
        _held("Throughput: 5,000 introspections/s", runs.get("introspections"), exits.get("introspections")),
    )


def _latency(what: str, run: Verdict | None, endpoint: str, limit_ms: float) -> Line:
    figures = None if run is None else run.endpoint(endpoint)
    if figures is None:
        return _unmeasured(what, f"< {limit_ms:g} ms")
    measured = f"{figures.p95_ms:.1f} ms of {figures.requests:,} requests"
    return Line(what, f"< {limit_ms:g} ms", measured, figures.p95_ms < limit_ms)


def _limiter(usages: Iterable[Usage]) -> Line:
    what, wanted = "Rate limiting, for each request", "< 1 ms"
    known = [u.limiter_p99_ms for u in usages if u.limiter_p99_ms is not None]
    if not known:
        return _unmeasured(what, wanted)
    return Line(what, wanted, f"p99 ≤ {max(known):g} ms", max(known) < 1)


def _memory(usage: Usage | None) -> Line:
    what, wanted = "Memory: no leak under sustained load", f"≤ {LEAK_SHARE:.0%} more after endurance"
    if usage is None or usage.resident_before_bytes <= 0:
        return _unmeasured(what, wanted)
    before, after = usage.resident_before_bytes, usage.resident_after_bytes
    measured = f"{before / 1e6:.1f} → {after / 1e6:.1f} MB"
    return Line(what, wanted, measured, after <= before * (1 + LEAK_SHARE))


def _cpu(usage: Usage | None) -> Line:
    what, wanted = "CPU under normal load (100 introspections/s)", "< 50 % of a core"
    if usage is None:
        return _unmeasured(what, wanted)
    return Line(what, wanted, f"{usage.cpu_cores:.1%}", usage.cpu_cores < 0.5)


def _errors(runs: Sequence[Verdict]) -> Line:
    what, wanted = "Error rate", "< 0.1 %"
    asked = sum(e.requests for run in runs for e in run.endpoints)
    if asked == 0:
        return _unmeasured(what, wanted)
    failed = sum(e.requests * e.failed for run in runs for e in run.endpoints)
    return Line(what, wanted, f"{failed / asked:.3%} of {asked:,} requests", failed / asked < 0.001)


def _held(what: str, run: Verdict | None, ended: Exit | None) -> Line:
    if run is None or ended is None:
        return _unmeasured(what, "every threshold holds")
    figures = run.endpoint("introspect")
    measured = run.verdict
    if figures is not None:
        rate = figures.requests / run.seconds
        measured += f"; {rate:,.0f} introspections/s, p95 {figures.p95_ms:.1f} ms, {figures.failed:.3%} failed"
    return Line(what, "every threshold holds", measured, ended is Exit.PASSED)


def _unmeasured(what: str, wanted: str) -> Line:
    return Line(what, wanted, "not measured", passed=False)


def as_markdown(lines: Sequence[Line]) -> str:
    """The checklist as a table."""
    rows = [
        f"| {line.what} | {line.wanted} | {line.measured} | {'pass' if line.passed else 'FAIL'} |" for line in lines
    ]
    return "\n".join(["| | wanted | measured | |", "|---|---|---|---|", *rows]) + "\n"
