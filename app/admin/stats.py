"""``/admin/stats``: the state of this process in one look."""

from collections import deque
from collections.abc import Callable

import msgspec

RATE_WINDOW_SECONDS = 60.0


class KeyStats(msgspec.Struct, frozen=True):
    """One signing key."""

    kid: str
    algorithm: str
    state: str
    age_seconds: float


class StoreStats(msgspec.Struct, frozen=True):
    """The token store."""

    kind: str
    degraded: bool
    live_tokens: int


class CounterStats(msgspec.Struct, frozen=True):
    """A count since the start, and its rate over the last minute."""

    total: int
    per_second: float


class CacheStats(msgspec.Struct, frozen=True):
    """The read cache; the ratio is None while there is no cache or nothing was asked of it."""

    hit_ratio: float | None


class ProcessStats(msgspec.Struct, frozen=True):
    """The process."""

    pid: int
    resident_bytes: int


class Stats(msgspec.Struct, frozen=True):
    """The whole answer."""

    version: str
    uptime_seconds: float
    store: StoreStats
    issued: CounterStats
    introspected: CounterStats
    cache: CacheStats
    keys: tuple[KeyStats, ...]
    process: ProcessStats


class RecentRate:
    """The rate of a counter over the last minute, from samples that someone takes every few seconds."""

    def __init__(self, read: Callable[[], int], monotonic: Callable[[], float]) -> None:
        self._read = read
        self._monotonic = monotonic
        self._samples: deque[tuple[float, int]] = deque([(monotonic(), read())])

    def sample(self) -> None:
        """Note the counter, and forget what is older than the window."""
        now = self._monotonic()
        self._samples.append((now, self._read()))
        while len(self._samples) > 2 and self._samples[1][0] <= now - RATE_WINDOW_SECONDS:
            self._samples.popleft()

    def stats(self) -> CounterStats:
        """The count, and its rate since the oldest sample of the window."""
        now, total = self._monotonic(), self._read()
        then, before = self._samples[0]
        elapsed = now - then
        return CounterStats(total, round((total - before) / elapsed, 2) if elapsed > 0 else 0.0)


def resident_bytes(statm: str, page_bytes: int) -> int:
    """The resident size from the content of ``/proc/self/statm`` (proc(5))."""
    return int(statm.split()[1]) * page_bytes
