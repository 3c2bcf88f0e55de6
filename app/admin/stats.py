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
    live_tokens: int | None
    """None while the store cannot be asked: this page is wanted most then."""


class CounterStats(msgspec.Struct, frozen=True):
    """A count since the start, and its rate over the last minute."""

    total: int
    per_second: float


class CacheStats(msgspec.Struct, frozen=True):
    """The read cache, all None where there is none; the ratio also while nothing was asked of it."""

    hit_ratio: float | None
    lease: bool | None = None
    """Whether what is cached may be believed now."""
    entries: int | None = None
    epochs_version: str | None = None
    """Of this process's copy of the bulk revocations: as Redis has it, ``0`` for none, None for a copy to be read."""


class RingStats(msgspec.Struct, frozen=True):
    """The document that the keys come from."""

    revision: int
    problem: str | None
    """What is wrong with its source now, in a word; None while it is read without trouble."""


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
    ring: RingStats
    keys: tuple[KeyStats, ...]
    process: ProcessStats


def resident_bytes(statm: str, page_bytes: int) -> int:
    """The resident size from the content of ``/proc/self/statm`` (proc(5))."""
    return int(statm.split()[1]) * page_bytes
