"""A limit on requests, by key, as a leaky bucket (the generic cell rate algorithm, ITU-T I.371).

One float a key: the instant at which the key's bucket is empty again. A bucket holds one minute's worth of requests,
so a client may spend its minute at once and then waits for the refill.
"""

WINDOW_SECONDS = 60.0
_TOLERANCE = 0.1
"""Of the time between two requests: what the rounding of sixty thousand sums comes to on a machine up for months."""


class RateLimiter:
    """Limits in this process's memory. Not shared between threads: it belongs to the event loop."""

    def __init__(self, max_keys: int = 100_000) -> None:
        self._empty_at: dict[str, float] = {}
        self._max_keys = max_keys

    def __len__(self) -> int:
        return len(self._empty_at)

    def retry_after(self, key: str, per_minute: int, now: float) -> float:
        """0 if a request of ``key`` may pass at ``now`` (monotonic seconds), else the seconds until one may.

        ``per_minute`` 0 is unlimited. A request that may pass is counted.
        """
        if per_minute == 0:
            return 0.0
        interval = WINDOW_SECONDS / per_minute
        empty_at = self._empty_at.get(key, now)
        empty_at = max(empty_at, now)
        wait = empty_at + interval - now - WINDOW_SECONDS
        if wait > interval * _TOLERANCE:
            return wait
        if len(self._empty_at) >= self._max_keys and key not in self._empty_at:
            self._forget_empty(now)
        self._empty_at[key] = empty_at + interval
        return 0.0

    def _forget_empty(self, now: float) -> None:
        """Make room: an empty bucket is the same as none. If none is empty, forget the oldest half of the keys."""
        kept = {key: at for key, at in self._empty_at.items() if at > now}
        if len(kept) >= self._max_keys:
            kept = dict(list(kept.items())[(len(kept) + 1) // 2 :])
        self._empty_at = kept
