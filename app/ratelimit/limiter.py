"""A limit on requests, by key, as a leaky bucket (the generic cell rate algorithm, ITU-T I.371).

One float a key: the instant at which the key's bucket is empty again. A bucket holds one minute's worth of requests,
so a client may spend its minute at once and then waits for the refill.

Rules:
- Keys are spread over shards, so that nothing ever touches all of them at once: a dict that grows, a shard that is
  full, and the sweep of what has emptied each concern one shard (the measurements are in ADR 30).
- The number of keys is bounded. A full shard first forgets buckets that are empty, which changes nothing, then the
  half that owes least: a flood of new keys cannot wash away the one that is far over its limit.
"""

WINDOW_SECONDS = 60.0
_TOLERANCE = 0.1
"""Of the time between two requests: what the rounding of sixty thousand sums comes to on a machine up for months."""

SHARDS = 64
_WORTH_SHARDING = SHARDS * 16


class RateLimiter:
    """Limits in this process's memory. Not shared between threads: it belongs to the event loop."""

    def __init__(self, max_keys: int = 100_000, shards: int | None = None) -> None:
        count = shards or (SHARDS if max_keys >= _WORTH_SHARDING else 1)
        self._shards: list[dict[str, float]] = [{} for _ in range(count)]
        self._count = count
        self._max_keys = max_keys // count
        self._next = 0

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def retry_after(self, key: str, per_minute: int, now: float) -> float:
        """0 if a request of ``key`` may pass at ``now`` (monotonic seconds), else the seconds until one may.

        ``per_minute`` 0 is unlimited. A request that may pass is counted.
        """
        if per_minute == 0:
            return 0.0
        interval = WINDOW_SECONDS / per_minute
        shard = self._shards[hash(key) % self._count]
        empty_at = shard.get(key)
        if empty_at is None:
            if len(shard) >= self._max_keys:
                _make_room(shard, self._max_keys, now)
            empty_at = now
        elif empty_at < now:
            empty_at = now
        wait = empty_at + interval - now - WINDOW_SECONDS
        if wait > interval * _TOLERANCE:
            return wait
        shard[key] = empty_at + interval
        return 0.0

    def full_for(self, key: str, per_minute: int, now: float) -> float:
        """What :meth:`retry_after` would say; nothing is counted."""
        empty_at = self._shards[hash(key) % self._count].get(key) if per_minute else None
        if empty_at is None:
            return 0.0
        interval = WINDOW_SECONDS / per_minute
        wait = empty_at + interval - now - WINDOW_SECONDS
        return wait if wait > interval * _TOLERANCE else 0.0

    def sweep(self, now: float) -> None:
        """Forget the empty buckets of one shard, another at each call; that costs well under a millisecond."""
        shard = self._shards[self._next]
        self._next = (self._next + 1) % len(self._shards)
        for key in [key for key, at in shard.items() if at <= now]:
            del shard[key]


def _make_room(shard: dict[str, float], bound: int, now: float) -> None:
    for key in [key for key, at in shard.items() if at <= now]:
        del shard[key]
    if len(shard) >= bound:
        for key in sorted(shard, key=shard.__getitem__)[: (len(shard) + 1) // 2]:
            del shard[key]
