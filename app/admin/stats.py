"""``/admin/stats``: the state of this process in one look."""

import msgspec


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


def resident_bytes(statm: str, page_bytes: int) -> int:
    """The resident size from the content of ``/proc/self/statm`` (proc(5))."""
    return int(statm.split()[1]) * page_bytes
