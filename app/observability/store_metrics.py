"""The metrics of the token store and of the read cache in front of it.

Rules are those of :mod:`app.observability.metrics`, which owns the registry.

- ``store_memory_used_bytes``, ``store_memory_max_bytes`` and ``store_evicted_keys_total`` are what Redis says of
  itself; in a cluster the first two are those of the fullest node. Every replica exports the same: rules take the max.
- ``store_errors_total`` counts everything that Redis did not do; of its kinds ``record_version`` is a record that a
  newer release wrote, ``corrupt_record`` what is no record at all, and ``subscription`` a lost or failed subscription
  to what others revoke.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from app.observability.loop_metrics import CounterChild, HistogramChild, LoopCounter, LoopHistogram

OPERATION_SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
PROPAGATION_SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

ERROR_KINDS = {
    "memory": ("full", "client_share"),
    "redis": (
        "unavailable",
        "full",
        "record_version",
        "corrupt_record",
        "refused",
        "connect",
        "connection_lost",
        "subscription",
    ),
}
CONNECTION_STATES = ("connected", "connecting")
CACHE_RESULTS = ("hit", "miss", "bypass")
REDIS_OPERATIONS = (
    "access_token",
    "is_marked",
    "find_refresh_token",
    "save",
    "rotate",
    "revoke_access_token",
    "revoke_family",
    "revoke_jwt",
    "revoke_before",
    "remember_once",
    "count_live_tokens",
)
"""What is asked of Redis in the course of requests, as ``store_operation_duration_seconds`` names it."""


class StoreMetrics:
    """A :class:`~app.storage.observer.StoreObserver` and :class:`~app.storage.observer.CacheObserver`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        r = registry
        self._operation_seconds = LoopHistogram(
            "store_operation_duration_seconds",
            "Time that a store operation took, waiting included.",
            ["backend", "operation"],
            buckets=OPERATION_SECONDS,
            registry=r,
        )
        self._operations: dict[tuple[str, str], HistogramChild] = {}
        self._batches = LoopHistogram(
            "store_batch_size", "Operations sent to the store at once.", [], buckets=BATCH_SIZES, registry=r
        ).labels()
        self._errors = Counter(
            "store_errors", "What the store did not do, and connections that failed.", ["backend", "kind"], registry=r
        )
        self._connections = Gauge("store_connections", "Connections to the store.", ["backend", "state"], registry=r)
        self._memory_used = Gauge("store_memory_used_bytes", "Memory that Redis uses.", registry=r)
        self._memory_max = Gauge("store_memory_max_bytes", "Redis' own limit (maxmemory); 0 for none.", registry=r)
        self._evicted = Counter("store_evicted_keys", "Keys that Redis dropped for want of memory.", registry=r)
        self._evicted_seen = 0
        self._eviction_allowed = Gauge(
            "store_eviction_allowed", "1 where a Redis that drops keys when it is full is accepted.", registry=r
        )
        lookups = LoopCounter("token_cache_requests", "Lookups in the read cache.", ["result"], registry=r)
        self._lookups: dict[str, CounterChild] = {result: lookups.labels(result) for result in CACHE_RESULTS}
        self._lease = Gauge(
            "token_cache_lease_valid",
            "1 while what is cached may be believed: what others revoke is heard.",
            registry=r,
        )
        self._entries = Gauge("token_cache_entries", "Answers of Redis that are remembered.", registry=r)
        self._propagation = LoopHistogram(
            "revocation_propagation_seconds",
            "From this replica's own publishing to its own subscription.",
            [],
            buckets=PROPAGATION_SECONDS,
            registry=r,
        ).labels()
        self._read_cache_state: Callable[[], tuple[bool, int, str | None]] | None = None
        for backend, kinds in ERROR_KINDS.items():
            for kind in kinds:
                self._errors.labels(backend, kind)

    def expect_redis(self, *, eviction_allowed: bool) -> None:
        """Let the series of a Redis store exist before anything happens to it."""
        for state in CONNECTION_STATES:
            self._connections.labels("redis", state)
        for operation in REDIS_OPERATIONS:
            self._operation("redis", operation)
        self._eviction_allowed.set(eviction_allowed)

    def watch_cache(
        self,
        entries: Callable[[], int],
        has_lease: Callable[[], bool],
        epochs_version: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Look at the cache at each scrape, and at each :meth:`cache_state`."""
        self._read_cache_state = lambda: (has_lease(), entries(), epochs_version())
        self._entries.set_function(entries)
        self._lease.set_function(has_lease)

    def cache_state(self) -> tuple[bool, int, str | None] | tuple[None, None, None]:
        """Whether the lease holds, how much is cached, and the version of the epochs; Nones where there is no cache."""
        return (None, None, None) if self._read_cache_state is None else self._read_cache_state()

    @property
    def cache_hit_ratio(self) -> float | None:
        """Hits among all lookups since the start; None before the first."""
        asked = sum(child.value for child in self._lookups.values())
        return self._lookups["hit"].value / asked if asked else None

    def operation(self, backend: str, operation: str, seconds: float) -> None:
        """One operation ended."""
        (self._operations.get((backend, operation)) or self._operation(backend, operation)).observe(seconds)

    def error(self, backend: str, kind: str) -> None:
        """One operation failed."""
        self._errors.labels(backend, kind).inc()

    def batch(self, operations: int) -> None:
        """So many operations left together."""
        self._batches.observe(operations)

    def connections(self, backend: str, state: str, count: int) -> None:
        """So many connections are in a state."""
        self._connections.labels(backend, state).set(count)

    def memory(self, used_bytes: int, max_bytes: int, evicted_keys: int) -> None:
        """What Redis says of its memory; ``evicted_keys`` since it started."""
        self._memory_used.set(used_bytes)
        self._memory_max.set(max_bytes)
        # Fewer than before: another server, or the same one started anew, counts from zero.
        more = evicted_keys - self._evicted_seen if evicted_keys >= self._evicted_seen else evicted_keys
        self._evicted_seen = evicted_keys
        self._evicted.inc(more)

    def lookup(self, result: str) -> None:
        """Something was looked up in the cache."""
        self._lookups[result].value += 1

    def propagation(self, seconds: float) -> None:
        """What this replica published to itself took so long."""
        self._propagation.observe(seconds)

    def subscribed(self, subscribed: bool) -> None:
        """A subscription began, or it ended or failed."""
        if not subscribed:
            self.error("redis", "subscription")

    def _operation(self, backend: str, operation: str) -> HistogramChild:
        child = self._operations[backend, operation] = self._operation_seconds.labels(backend, operation)
        return child
