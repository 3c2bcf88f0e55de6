"""What the limits cost: a decision by itself and beside a single lock, and the p99 with limits on and off.

The single-lock limiter is what is compared with, never served: the same algorithm in one table, behind one lock.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from app import clock
from app.endpoints.exchange import Request
from app.endpoints.limits import Limits, OwnLimiter
from app.model.clients import Client
from app.observability.audit import silent_audit
from app.observability.metrics import Metrics
from app.ratelimit.failures import Failures
from app.ratelimit.limiter import RateLimiter
from benchmarks import clients, rows
from benchmarks.load import Load, Script
from benchmarks.repetition import Work
from benchmarks.rows import Row
from benchmarks.servers import Server
from benchmarks.statistics import Spread, spread

DECISION = "limits: admit a request, metrics included"
DECISION_TARGET_US = 20.0
P99_TARGET_MS = 1.0
PAUSE_MS = 7
"""64 connections that wait so long between two requests make 8,000 a second, a quarter of what one core can do."""

FULL, FULL_OFF = "introspection, opaque, one token", "limits off: introspection, opaque"
PACED = "limits on, 8,000 a second: introspection, opaque"
PACED_OFF = "limits off, 8,000 a second: introspection, opaque"
_PAIRS = (("at full load", FULL, FULL_OFF), ("at 8,000 requests a second", PACED, PACED_OFF))

OFF = {"RATE_LIMIT_REQUESTS_PER_MINUTE": "0", "RATE_LIMIT_FAILURES_PER_MINUTE": "0"}
"""Settings of a service without limits, beside clients that have none of their own."""

KEYS = 1000
FULL_TABLES = 100_000
_FILLING = 150_000
_PAUSE_ROUNDS = 5


class SingleLockLimiter:
    """All keys in one table, and a lock around each decision, as where threads share it."""

    def __init__(self, max_keys: int = FULL_TABLES) -> None:
        self._limiter = RateLimiter(max_keys, shards=1)
        self._lock = threading.Lock()

    def retry_after(self, key: str, per_minute: int, now: float) -> float:
        """As :meth:`app.ratelimit.limiter.RateLimiter.retry_after`."""
        with self._lock:
            return self._limiter.retry_after(key, per_minute, now)


def steps(metrics: Metrics, caller: Client) -> dict[str, Work]:
    """Single decisions; those of the limiter alone are each for another of 1,000 keys than the last one."""
    failures = Failures(clients.REQUESTS_PER_MINUTE)
    limits = Limits(
        make_limiter=OwnLimiter,
        client_per_minute=clients.REQUESTS_PER_MINUTE,
        failures=failures,
        metrics=metrics,
        audit=silent_audit(),
        monotonic=clock.monotonic,
        stopwatch=clock.stopwatch,
    )
    request = Request("POST", peer="10.0.0.1", operation="issue")
    return {
        DECISION: lambda: limits.admit(request, caller),
        "limiter: admit": _deciding(RateLimiter().retry_after),
        "limiter: admit, one table": _deciding(RateLimiter(shards=1).retry_after),
        "limiter: admit, one table behind one lock": _deciding(SingleLockLimiter().retry_after),
        "limiter: count a failure": lambda: failures.failed("10.0.0.1", "", clock.monotonic()),
    }


def _deciding(decide: Callable[[str, int, float], float]) -> Work:
    turn = iter(_for_ever([f"client-{number}" for number in range(KEYS)])).__next__
    return lambda: decide(turn(), clients.REQUESTS_PER_MINUTE, clock.monotonic())


def _for_ever(keys: list[str]) -> Iterator[str]:
    while True:
        yield from keys


def pauses() -> dict[str, Spread]:
    """CPU nanoseconds of the slowest of 150,000 decisions for new keys that fill 100,000 places and then make room."""
    return {
        "limiter: the slowest decision that fills its tables": _slowest(lambda: RateLimiter(FULL_TABLES).retry_after),
        "limiter: the same with one table behind one lock": _slowest(lambda: SingleLockLimiter().retry_after),
    }


def _slowest(make: Callable[[], Callable[[str, int, float], float]]) -> Spread:
    keys = [f"key-{number}" for number in range(_FILLING)]
    slowest = []
    for _ in range(_PAUSE_ROUNDS):
        decide, longest = make(), 0.0
        for number, key in enumerate(keys):
            started = clock.cpu_seconds_of_this_thread()
            decide(key, 60, 1000 + number * 1e-6)
            longest = max(longest, clock.cpu_seconds_of_this_thread() - started)
        slowest.append(longest * 1e9)
    return spread(slowest)


def unlimited_settings(folder: Path, *, collector: str | None) -> dict[str, str]:
    """The settings of the service that is measured, without any limit."""
    of_its_own = folder / "unlimited"
    of_its_own.mkdir(exist_ok=True)
    file = clients.write_clients(of_its_own, per_minute="unlimited")
    return rows.settings(folder, collector=collector) | OFF | {"CLIENTS_FILE": str(file)}


def unlimited_rows(server: Server, folder: Path) -> tuple[Row, ...]:
    """What is measured of a service without limits."""
    token = rows.issue(server, clients.OPAQUE)
    return rows.introspection(server, FULL_OFF, token), _paced(server, PACED_OFF, token, folder / "paced-off")


def limited_row(server: Server, folder: Path) -> Row:
    """The paced row of the service with limits."""
    return _paced(server, PACED, rows.issue(server, clients.OPAQUE), folder / "paced-on")


def _paced(server: Server, name: str, token: str, file: Path) -> Row:
    file.write_text(token + "\n")
    script = Script("wide.lua", (clients.authorization(clients.OPAQUE), str(file.absolute()), str(PAUSE_MS)))
    return Row(
        name, "/oauth/introspect", script, partial(rows.check_introspection, server, clients.OPAQUE, token), tries=1
    )


def added_ms(of: Mapping[str, tuple[Load, ...]]) -> Iterator[tuple[str, float]]:
    """What limits add to the p99, by load: the median of the rounds' differences."""
    for name, on, off in _PAIRS:
        if on in of and off in of:
            differences = [one.p99_ms - other.p99_ms for one, other in zip(of[on], of[off], strict=True)]
            yield name, spread(differences).median
