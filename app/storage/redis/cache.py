"""What was read from Redis a moment ago, for as long as it is surely still so.

Rules:
- A hit counts only under a valid lease (:mod:`app.storage.redis.invalidation`), looked at on every hit by a clock that
  does not stop with the process.
- Only what exists is kept: "not found" is asked again each time.
- A read that was under way while its name was invalidated, or while everything was flushed, fills nothing.
- Bounded in entries, in bytes and in time; whoever was not asked for the longest time leaves first.
- Records are kept as the bytes they came as: their size is known, and decoding takes less than a microsecond.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable

import msgspec

ENTRY_BYTES = 250
"""What an entry takes beside its name and value, measured."""


class Lease:
    """Until when, by the monotonic clock, what is cached may be believed. Always in the past at first."""

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until = float("-inf")


class CacheLimits(msgspec.Struct, frozen=True):
    """The bounds of a replica's cache."""

    max_entries: int = 10_000
    """0 turns the cache off."""
    max_bytes: int = 16 * 1024 * 1024
    seconds: float = 300.0
    """How long an entry is believed at most."""


class _Reading:
    """Reads of one name that are under way."""

    __slots__ = ("count", "overtaken")

    def __init__(self) -> None:
        self.count = 0
        self.overtaken = False


class ReadCache:
    """Names in Redis and what was read under them."""

    def __init__(self, limits: CacheLimits, lease: Lease, monotonic: Callable[[], float]) -> None:
        self._limits = limits
        self._lease = lease
        self._monotonic = monotonic
        self._entries: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        self._readings: dict[bytes, _Reading] = {}
        self._bytes = 0

    @property
    def has_lease(self) -> bool:
        """Whether hits count now."""
        return self._lease.until > self._monotonic()

    def get(self, name: bytes) -> bytes | None:
        """What was read under a name, if that may be believed now."""
        now = self._monotonic()
        if self._lease.until <= now:
            return None
        entry = self._entries.get(name)
        if entry is None:
            return None
        if entry[1] <= now:
            self._forget(name)
            return None
        self._entries.move_to_end(name)
        return entry[0]

    def begin(self, name: bytes) -> _Reading | None:
        """To be called before a name is read; what it returns is handed to :meth:`settle`, whatever comes of it."""
        if self._lease.until <= self._monotonic():
            return None
        reading = self._readings.get(name)
        if reading is None:
            reading = self._readings[name] = _Reading()
        reading.count += 1
        return reading

    def settle(self, reading: _Reading | None, name: bytes, value: bytes | None) -> None:
        """The read came to this; None for nothing, or for a failure."""
        if reading is None or reading.overtaken:
            return
        reading.count -= 1
        if reading.count == 0:
            del self._readings[name]
        if value is not None:
            self._keep(name, value)

    def drop(self, names: Iterable[bytes]) -> None:
        """Forget these names, and what is being read under them."""
        for name in names:
            if name in self._entries:
                self._forget(name)
            reading = self._readings.pop(name, None)
            if reading is not None:
                reading.overtaken = True

    def flush(self) -> None:
        """Forget everything, and everything that is being read."""
        self._entries.clear()
        self._bytes = 0
        readings, self._readings = self._readings, {}
        for reading in readings.values():
            reading.overtaken = True

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes_held(self) -> int:
        """What the entries take, by the measure of ENTRY_BYTES."""
        return self._bytes

    def _keep(self, name: bytes, value: bytes) -> None:
        if name in self._entries:
            self._forget(name)
        self._entries[name] = (value, self._monotonic() + self._limits.seconds)
        self._bytes += ENTRY_BYTES + len(name) + len(value)
        while len(self._entries) > self._limits.max_entries or self._bytes > self._limits.max_bytes:
            oldest, (its_value, _) = self._entries.popitem(last=False)
            self._bytes -= ENTRY_BYTES + len(oldest) + len(its_value)

    def _forget(self, name: bytes) -> None:
        value, _ = self._entries.pop(name)
        self._bytes -= ENTRY_BYTES + len(name) + len(value)
