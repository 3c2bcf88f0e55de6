"""The performance guide's validation checklist, each line with the figure that decides it.

Pure: stages in, lines out. A line whose figure was not measured has not passed.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from loadtest import sampling
from loadtest.record import Stage
from loadtest.verdict import Exit

NORMAL_LOAD = "basic"
"""The stage that counts as normal load: 100 introspections a second."""
LEAK_SHARE = 0.05
"""How much larger the resident size may be at the end of endurance than where it settled."""
GUIDE_STAGES = ("basic", "stress", "spike", "endurance")
"""Whose errors count: all that the guide's own test asks for."""


class Line(msgspec.Struct, frozen=True):
    """One line of the checklist."""

    what: str
    wanted: str
    measured: str
    passed: bool


def checklist(stages: Mapping[str, Stage]) -> Sequence[Line]:
    """The lines, in the guide's order. ``stages`` by name."""
    return (
        _latency("Token introspection, p95", stages.get("basic"), "introspect", 50),
        _latency("Token issuance, p95", stages.get("stress"), "issue", 100),
        _limiter(stages.values()),
        _memory(stages.get("endurance")),
        _cpu(stages.get(NORMAL_LOAD)),
        _errors(stages),
        _stages(stages),
        _held("Concurrent requests: 1,000 users", stages.get("users")),
        _held("Throughput: 5,000 introspections/s", stages.get("introspections")),
    )


def _latency(what: str, stage: Stage | None, endpoint: str, limit_ms: float) -> Line:
    figures = None if stage is None or stage.verdict is None else stage.verdict.endpoint(endpoint)
    if figures is None:
        return _unmeasured(what, f"< {limit_ms:g} ms")
    measured = f"{figures.p95_ms:.2f} ms of {figures.requests:,} requests"
    return Line(what, f"< {limit_ms:g} ms", measured, figures.p95_ms < limit_ms)


def _limiter(stages: Iterable[Stage]) -> Line:
    what, wanted = "Rate limiting, for each request", "< 1 ms"
    known = [s.usage.limiter_p99_ms for s in stages if s.usage is not None and s.usage.limiter_p99_ms is not None]
    if not known:
        return _unmeasured(what, wanted)
    return Line(what, wanted, f"p99 ≤ {max(known):g} ms", max(known) < 1)


def _memory(stage: Stage | None) -> Line:
    what, wanted = "Memory: no leak under sustained load", f"≤ {LEAK_SHARE:.0%} more at the end of endurance"
    trend = None if stage is None else sampling.trend(stage.samples)
    if trend is None or trend.settled_bytes <= 0:
        return _unmeasured(what, wanted)
    measured = (
        f"{trend.settled_bytes / 1e6:.1f} → {trend.last_bytes / 1e6:.1f} MB, "
        f"live tokens {trend.settled_tokens:,.0f} → {trend.last_tokens:,.0f}"
    )
    return Line(what, wanted, measured, trend.last_bytes <= trend.settled_bytes * (1 + LEAK_SHARE))


def _cpu(stage: Stage | None) -> Line:
    what, wanted = "CPU under normal load (100 introspections/s)", "< 50 % of a core"
    if stage is None or stage.usage is None or stage.usage.cpu_cores is None:
        return _unmeasured(what, wanted)
    return Line(what, wanted, f"{stage.usage.cpu_cores:.1%}", stage.usage.cpu_cores < 0.5)


def _errors(stages: Mapping[str, Stage]) -> Line:
    what, wanted = "Error rate", "< 0.1 %"
    verdicts = [stages[name].verdict if name in stages else None for name in GUIDE_STAGES]
    endpoints = [e for verdict in verdicts if verdict is not None for e in verdict.endpoints]
    asked = sum(e.requests for e in endpoints)
    if asked == 0 or None in verdicts:
        return _unmeasured(what, wanted)
    failed = sum(e.requests * e.failed for e in endpoints)
    return Line(what, wanted, f"{failed / asked:.3%} of {asked:,} requests", failed / asked < 0.001)


def _stages(stages: Mapping[str, Stage]) -> Line:
    """A stage that ended early, dropped iterations or got a wrong answer has failed, whatever its latencies are."""
    ends = {name: stages[name].end.exit if name in stages else Exit.NOT_RUN for name in GUIDE_STAGES}
    others = [f"{name}: {end.words}" for name, end in ends.items() if end is not Exit.PASSED]
    measured = "; ".join(others) or ", ".join(f"{name}: {end.words}" for name, end in ends.items())
    return Line("The four stages", "every threshold holds", measured, not others)


def _held(what: str, stage: Stage | None) -> Line:
    if stage is None or stage.verdict is None:
        return _unmeasured(what, "every threshold holds")
    figures = stage.verdict.endpoint("introspect")
    measured = stage.verdict.verdict
    if figures is not None:
        rate = figures.requests / stage.verdict.seconds
        measured += f"; {rate:,.0f} introspections/s, p95 {figures.p95_ms:.2f} ms, {figures.failed:.3%} failed"
    return Line(what, "every threshold holds", measured, stage.end.exit is Exit.PASSED)


def _unmeasured(what: str, wanted: str) -> Line:
    return Line(what, wanted, "not measured", passed=False)


def as_markdown(lines: Sequence[Line]) -> str:
    """The checklist as a table."""
    rows = [
        f"| {line.what} | {line.wanted} | {line.measured} | {'pass' if line.passed else 'FAIL'} |" for line in lines
    ]
    return "\n".join(["| | wanted | measured | |", "|---|---|---|---|", *rows]) + "\n"
