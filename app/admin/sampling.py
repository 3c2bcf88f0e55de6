"""What has to be looked at every few seconds: gauges, and rates over the last minute."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial

from app.admin.latency import RATE_WINDOW_SECONDS, RecentLatency
from app.admin.stats import CounterStats
from app.keys.keeper import KeyKeeper
from app.keys.ring import KeyState
from app.observability.metrics import OPERATIONS, Metrics
from app.observability.store_metrics import OPERATION_SECONDS
from app.storage.interface import StoreError, TokenStore

logger = logging.getLogger("app.service")

SAMPLE_SECONDS = 5.0


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


class Sampler:
    """Keeps the gauges and the recent rates up to date."""

    def __init__(
        self,
        metrics: Metrics,
        store: TokenStore,
        keeper: KeyKeeper,
        *,
        monotonic: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._metrics = metrics
        self._store = store
        self._keeper = keeper
        self._now = now
        self.issued = RecentRate(lambda: metrics.issued, monotonic)
        self.introspected = RecentRate(lambda: metrics.introspections, monotonic)
        self.latencies = {
            name: RecentLatency(OPERATION_SECONDS, partial(metrics.operation_buckets, name), monotonic)
            for name in OPERATIONS
        }
        metrics.expect_keys(keeper.policy.algorithms, KeyState)
        keeper.on_change(self._count_keys)

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            await self.sample()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def sample(self) -> None:
        """Look once."""
        self.issued.sample()
        self.introspected.sample()
        for latency in self.latencies.values():
            latency.sample()
        self._metrics.store_degraded.set(self._store.degraded)
        self._count_keys()
        try:
            self._metrics.active_tokens.set(await self._store.count_live_tokens())
        except StoreError:  # the store's own metrics tell; the gauge keeps what it last knew
            logger.debug("the live tokens could not be counted")

    def _count_keys(self) -> None:
        now = self._now()
        ages: dict[tuple[str, str], list[float]] = {}
        for key in self._keeper.status(now):
            ages.setdefault((key.algorithm, key.state.value), []).append(key.age_seconds)
        self._metrics.keys_counted(ages)
        self._metrics.rotations_planned(self._keeper.next_rotations(now))
