"""Latency against the rate: introspection and issuance at fractions of the most that the server answers.

Rules:
- The load is open in all but name: so many connections that each asks once in :data:`PERIOD_MS`, with exponential
  pauses that are long against an answer's time, so that a slow answer holds back next to nothing. wrk itself adds the
  samples that a stalled connection did not take (``stats_correct`` in https://github.com/wg/wrk, src/wrk.c).
- wrk's timers have whole milliseconds: requests come in small crowds, which makes latencies a little longer. It looks
  at every timer of a thread whenever one has run out: few connections a thread, or the load is slower than the server.
- A run lasts :data:`STEADY_SECONDS` at least. All its connections open at once, and who opens hundreds waits some tens
  of milliseconds for the first answers: with what wrk adds for them they would be the p99 of a run of two seconds,
  which is to be that of connections that live.
- The most is measured first, by as many connections without any pause as the rows of the table have. Where the server
  did not have its core meanwhile, nothing is reported: half of too little is met by anyone.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import clients, rows
from benchmarks.http_rounds import Schedule
from benchmarks.load import Load, LoadError, Script
from benchmarks.machine import split_cores
from benchmarks.rounds import Arm, interleave, progress
from benchmarks.rows import UNDISTURBED, Row
from benchmarks.servers import Server, service
from benchmarks.standstill import SECONDS, Standstill, watch
from benchmarks.statistics import Spread, spread

FRACTIONS = (0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
HALF = 0.5
PERIOD_MS = 10.0
"""Between two requests of a connection, in the mean."""
CONNECTIONS_A_THREAD = 32
STEADY_SECONDS = 10.0
P99_TARGET_MS = 5.0
LEAST_OF_RATE = 0.95
"""The part of the rate asked for that must have come for the latency to be the one at that rate."""
INTROSPECTION, ISSUANCE = "introspection, opaque", "client_credentials, opaque"
_CALIBRATION_SECONDS = 1


class RateStep(msgspec.Struct, frozen=True):
    """One rate that was asked for."""

    fraction: float
    """Of the most."""
    rate: Spread
    """Answers a second."""
    p50_ms: Spread
    p99_ms: Spread
    core_share: float
    """Median of the part of its core that the server used."""


class RateSteps(msgspec.Struct, frozen=True):
    """One endpoint at rising rates."""

    name: str
    most: Spread
    """Answers a second to connections that never pause."""
    most_p99_ms: float
    steps: tuple[RateStep, ...]
    standstill: Standstill | None = None
    """How the server's core stood still by itself, before anything was started on it."""

    @property
    def half(self) -> RateStep | None:
        """The step at half of the most."""
        return next((step for step in self.steps if step.fraction == HALF), None)

    @property
    def met(self) -> bool | None:
        """Whether the p99 at half of the most is within its target, and that half did come."""
        half = self.half
        if half is None:
            return None
        came = half.rate.median >= LEAST_OF_RATE * HALF * self.most.median
        return came and half.p99_ms.median <= P99_TARGET_MS


def measure(schedule: Schedule, folder: Path, only: Sequence[str] = ()) -> tuple[RateSteps, ...]:
    """Both endpoints of one service in memory. Raises LoadError or ServerError."""
    server_cores, load_cores = split_cores()
    seconds = max(schedule.seconds, STEADY_SECONDS)
    progress(f"watching core {server_cores[0]} for {SECONDS:g} s")
    standstill = watch(server_cores[0])
    with contextlib.ExitStack() as running:
        server = running.enter_context(service(server_cores, rows.settings(folder)))
        token = rows.issue(server, clients.OPAQUE)
        full = {
            INTROSPECTION: (rows.introspection(server, INTROSPECTION, token), f"token={token}"),
            ISSUANCE: (rows.issuance(server, ISSUANCE, clients.OPAQUE), "grant_type=client_credentials"),
        }
        wanted = {name: of for name, of in full.items() if not only or any(part in name for part in only)}
        run = partial(_run, server, load_cores)
        tried = interleave(
            [Arm(name, partial(run, row)) for name, (row, _) in wanted.items()],
            rounds=schedule.rounds,
            seconds=seconds,
            warm_up_seconds=schedule.warm_up_seconds,
        )
        most = {name: undisturbed(name, loads) for name, loads in tried.items()}
        arms = []
        for name, (row, body) in wanted.items():
            rate = spread([load.rate for load in most[name]]).median
            for fraction in FRACTIONS:
                connections = connections_for(fraction * rate)
                at = partial(_paced, row, body, connections)
                pause = calibrate(partial(_try, run, at), fraction * rate, connections)
                progress(f"{name} at {fraction:.0%} of {rate:,.0f}/s: {connections} with pauses of {pause:.2f} ms")
                arms.append(Arm(step_name(name, fraction), partial(run, at(pause))))
        loads = interleave(arms, rounds=schedule.rounds, seconds=seconds, warm_up_seconds=1)
    return tuple(summarise_steps(name, most[name], loads, standstill) for name in wanted)


def undisturbed(name: str, loads: Sequence[Load]) -> list[Load]:
    """The loads in which the server had its core. Raises LoadError if there is none."""
    kept = [load for load in loads if load.core_share >= UNDISTURBED]
    if not kept:
        share = max(load.core_share for load in loads)
        raise LoadError(
            f"{name}: the server had {share:.0%} of its core at best while its maximum was measured, and needs "
            f"{UNDISTURBED:.0%}; end what else runs on core {split_cores()[0][0]} and measure again"
        )
    return kept


def step_name(name: str, fraction: float) -> str:
    """What a step is called among the loads."""
    return f"{name} at {fraction:.0%}"


def connections_for(rate: float) -> int:
    """How many connections ask ``rate`` times a second if each does once in :data:`PERIOD_MS`, in whole threads."""
    threads = max(1, round(rate * PERIOD_MS / 1e3 / CONNECTIONS_A_THREAD))
    return threads * CONNECTIONS_A_THREAD


def calibrate(run: Callable[[float], Load], rate: float, connections: int) -> float:
    """The mean pause in ms with which the connections together come to ``rate`` a second, by one try.

    From the answer of one request to the next of its connection more time goes by than the pause: the answer's own and
    that of the timer. Both are seen in a run and taken off.
    """
    period = connections / rate * 1e3
    first = max(0.0, period - 1)
    seen = connections / run(first).rate * 1e3
    return max(0.0, period - (seen - first))


def summarise_steps(
    name: str, most: Sequence[Load], loads: Mapping[str, Sequence[Load]], standstill: Standstill | None = None
) -> RateSteps:
    """The steps of one endpoint from the loads by name."""
    steps = []
    for fraction in FRACTIONS:
        of = loads[step_name(name, fraction)]
        steps.append(
            RateStep(
                fraction=fraction,
                rate=spread([load.rate for load in of]),
                p50_ms=spread([load.p50_ms for load in of]),
                p99_ms=spread([load.p99_ms for load in of]),
                core_share=spread([load.core_share for load in of]).median,
            )
        )
    return RateSteps(
        name=name,
        most=spread([load.rate for load in most]),
        most_p99_ms=spread([load.p99_ms for load in most]).median,
        steps=tuple(steps),
        standstill=standstill,
    )


def _paced(row: Row, body: str, connections: int, mean_pause_ms: float) -> Row:
    script = Script.paced(clients.authorization(clients.OPAQUE), body, mean_pause_ms)
    threads = connections // CONNECTIONS_A_THREAD
    return Row(row.name, row.path, script, row.check, connections=connections, threads=threads, tries=1)


def _try(run: Callable[[Row, float], Load], at: Callable[[float], Row], mean_pause_ms: float) -> Load:
    return run(at(mean_pause_ms), _CALIBRATION_SECONDS)


def _run(server: Server, cores: list[int], row: Row, seconds: float) -> Load:
    return rows.run(row, server, seconds=seconds, cores=cores)
