"""How long operations took lately, from the buckets of their histogram."""

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

RATE_WINDOW_SECONDS = 60.0


class Latency(msgspec.Struct, frozen=True):
    """Quantiles in seconds, as far as buckets tell them; None where nothing was asked."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None


class RecentLatency:
    """The quantiles of the last minute, from samples that someone takes every few seconds."""

    def __init__(self, bounds: Sequence[float], read: Callable[[], list[int]], monotonic: Callable[[], float]) -> None:
        """``read`` gives the observations of each bucket, not accumulated, the one without a bound last."""
        self._bounds = bounds
        self._read = read
        self._monotonic = monotonic
        self._samples: deque[tuple[float, list[int]]] = deque([(monotonic(), read())])

    def sample(self) -> None:
        """Note the buckets, and forget what is older than the window."""
        now = self._monotonic()
        self._samples.append((now, self._read()))
        while len(self._samples) > 2 and self._samples[1][0] <= now - RATE_WINDOW_SECONDS:
            self._samples.popleft()

    def stats(self) -> Latency:
        """Of what was observed since the oldest sample of the window."""
        before = self._samples[0][1]
        counts = [now - then for now, then in zip(self._read(), before, strict=True)]
        p50, p95, p99 = (quantile(share, self._bounds, counts) for share in (0.5, 0.95, 0.99))
        return Latency(sum(counts), p50, p95, p99)


def quantile(share: float, bounds: Sequence[float], counts: Sequence[int]) -> float | None:
    """As Prometheus' ``histogram_quantile``: even within a bucket, and the last bound for what lies above it."""
    wanted = share * sum(counts)
    if wanted <= 0:
        return None
    below, lower = 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if below + count >= wanted:
            return lower + (bound - lower) * (wanted - below) / count
        below, lower = below + count, bound
    return bounds[-1]
