"""What many live tokens in memory cost: megabytes, and the rates beside those of a store that is nearly empty.

Rules:
- Tokens are issued over HTTP, and all of them are introspected, each as likely as any other.
- Issuing makes more live tokens: a store that is to be small is made anew for each run, the largest one only grows.
"""

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import clients, rows
from benchmarks.http_rounds import Schedule
from benchmarks.load import Load, Script
from benchmarks.machine import split_cores
from benchmarks.memory import settled
from benchmarks.rounds import Arm, interleave, progress
from benchmarks.rows import Row
from benchmarks.servers import Server, bare_server, service
from benchmarks.statistics import Spread, round_ratios, spread
from benchmarks.summary import RowResult, summarise

COUNTS = (10_000, 100_000, 1_000_000)
GROWTH_TARGET_MB = 500.0
RATE_TARGET = 0.9


class LiveTokens(msgspec.Struct, frozen=True):
    """A store with so many live tokens."""

    count: int
    growth_mb: float
    """By how much the process grew while they were issued, in MB of 10^6 bytes."""
    introspection: RowResult
    """Uniform over all of them."""
    issuance: RowResult
    introspection_kept: Spread
    """The rate by CPU time over that of the smallest store, round by round."""
    issuance_kept: Spread

    @property
    def is_largest(self) -> bool:
        """Whether this is the count that the targets are about."""
        return self.count == COUNTS[-1]


def measure(schedule: Schedule, folder: Path) -> tuple[LiveTokens, ...]:
    """Every count of :data:`COUNTS`, in turns. Raises LoadError or ServerError."""
    server_cores, load_cores = split_cores()
    grown: dict[int, float] = {}
    with contextlib.ExitStack() as running:
        bare = running.enter_context(bare_server(server_cores))
        yardstick = rows.constant(bare)
        arms = [Arm(rows.YARDSTICK, partial(_run, yardstick, bare, load_cores))]
        for count in COUNTS:
            server = running.enter_context(service(server_cores, rows.settings(folder)))
            rows.issue(server, clients.OPAQUE)
            before = settled(server)
            file = folder / f"live-{count}"
            progress(f"issuing {count:,} tokens")
            rows.collect_tokens(server, file, count, load_cores)
            grown[count] = settled(server) - before
            arms.append(Arm(_introspection(count), partial(_run, _uniform(server, count, file), server, load_cores)))
            arms.append(Arm(_issuance(count), _issuing(server, count, folder, server_cores, load_cores)))
        loads = interleave(
            arms, rounds=schedule.rounds, seconds=schedule.seconds, warm_up_seconds=schedule.warm_up_seconds
        )
    found = {row.name: row for row in summarise(loads, rows.YARDSTICK, {})}
    return tuple(live_tokens(count, grown[count], found) for count in COUNTS)


def live_tokens(count: int, growth_mb: float, found: dict[str, RowResult]) -> LiveTokens:
    """One count's figures from all rows by name."""
    introspection, issuance = found[_introspection(count)], found[_issuance(count)]
    return LiveTokens(
        count=count,
        growth_mb=growth_mb,
        introspection=introspection,
        issuance=issuance,
        introspection_kept=_kept(introspection, found[_introspection(COUNTS[0])]),
        issuance_kept=_kept(issuance, found[_issuance(COUNTS[0])]),
    )


def _kept(row: RowResult, of_smallest: RowResult) -> Spread:
    return spread(round_ratios(*([load.rate_on_cpu for load in one.loads] for one in (row, of_smallest))))


def _introspection(count: int) -> str:
    return f"introspection, opaque, uniform over {count:,} tokens"


def _issuance(count: int) -> str:
    return f"client_credentials, opaque, from {count:,} live tokens on"


def _uniform(server: Server, count: int, file: Path) -> Row:
    script = Script("wide.lua", (clients.authorization(clients.OPAQUE), str(file.absolute()), "0"))
    check = partial(rows.check_introspection, server, clients.OPAQUE, rows.last_line(file))
    return Row(_introspection(count), "/oauth/introspect", script, check)


def _issuing(
    largest: Server, count: int, folder: Path, server_cores: list[int], load_cores: list[int]
) -> Callable[[float], Load]:
    if count == COUNTS[-1]:
        return partial(_run, rows.issuance(largest, _issuance(count), clients.OPAQUE), largest, load_cores)

    def run(seconds: float) -> Load:
        with service(server_cores, rows.settings(folder)) as server:
            tokens = folder / f"anew-{server.pid}"
            rows.collect_tokens(server, tokens, count, load_cores)
            tokens.unlink()
            return _run(rows.issuance(server, _issuance(count), clients.OPAQUE), server, load_cores, seconds)

    return run


def _run(row: Row, server: Server, cores: list[int], seconds: float) -> Load:
    return rows.run(row, server, seconds=seconds, cores=cores)
