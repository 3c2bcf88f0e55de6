"""The Redis store as the settings want it, and what Redis must allow for it."""

import logging
from collections.abc import Callable, Iterable

import msgspec
from prometheus_client import CollectorRegistry

from app import clock, randomness
from app.config.problems import ConfigurationError, Problem
from app.config.secret_files import read_secret_file
from app.config.store import StoreSettings, Switch
from app.observability.store_metrics import StoreMetrics
from app.observability.tracing import NOTHING_TRACED, TracedStore, Traces
from app.storage.epochs import Epoch
from app.storage.redis.acl import acl_line
from app.storage.redis.cache import CacheLimits
from app.storage.redis.node import Limits
from app.storage.redis.opening import redis_store
from app.storage.redis.store import RedisStore
from app.storage.redis_options import Credentials, Deployment, TlsFiles, parse_redis_url

logger = logging.getLogger("app.service")

BYTES_OF_AN_ENTRY = 1_600
"""The cache's bound in bytes for each entry that it may have; an entry of an ordinary token takes 600."""


def make_redis_store(store: StoreSettings, metrics: StoreMetrics, traces: Traces = NOTHING_TRACED) -> RedisStore:
    """The Redis store, not open yet. Raises ConfigurationError."""
    assert store.redis_url is not None  # noqa: S101 - narrows the type; callers have asked
    evicting = store.redis_allow_eviction is Switch.ON
    metrics.expect_redis(eviction_allowed=evicting)
    try:
        redis = redis_store(
            parse_redis_url(store.redis_url.reveal()),
            store.redis_key_prefix,
            now=clock.unix_now,
            stopwatch=clock.stopwatch,
            random_bytes=randomness.random_bytes,
            credentials=credentials_reader(store),
            tls=TlsFiles(store.redis_ca_file, store.redis_cert_file, store.redis_key_file),
            limits=Limits(batching=store.store_batching is Switch.ON),
            allow_eviction=evicting,
            wait_replicas=store.redis_wait_replicas,
            observer=metrics if traces.sampler is None else TracedStore(metrics, traces),
            # Without a cache nothing is subscribed to either: every answer is asked of Redis, epochs included.
            monotonic=clock.monotonic if store.cache_max_entries else None,
            cache_limits=CacheLimits(
                max_entries=store.cache_max_entries,
                max_bytes=store.cache_max_entries * BYTES_OF_AN_ENTRY,
                seconds=store.cache_ttl_seconds,
            ),
            staleness_seconds=store.cache_max_staleness_seconds,
            cache_observer=_LoggedCache(metrics),
        )
    except ValueError as error:
        raise ConfigurationError([Problem("REDIS_URL", str(error))]) from None
    if store.cache_max_entries:
        metrics.watch_cache(lambda: redis.cached_entries, lambda: redis.has_lease, lambda: redis.epochs_version)
    return redis


async def end_through_store(store: StoreSettings, epochs: Iterable[Epoch]) -> None:
    """Put epochs in force for all replicas, from a process that does nothing else with Redis.

    Raises StoreError, and ConfigurationError.
    """
    # What ends at once needs no cache, nor what keeps one honest.
    uncached = msgspec.structs.replace(store, cache_max_entries=0)
    redis = make_redis_store(uncached, StoreMetrics(CollectorRegistry()))
    try:
        await redis.open()
        for epoch in epochs:
            await redis.revoke_before(epoch)
    finally:
        await redis.close()


def credentials_reader(store: StoreSettings) -> Callable[[], Credentials] | None:
    """Reads the credentials at every connection, so that changed files count; None where no setting has them."""
    if store.redis_username is None and store.redis_password is None:
        return None

    def read() -> Credentials:
        username, password = store.redis_username, store.redis_password
        if store.redis_username_file is not None:
            username = read_secret_file(store.redis_username_file)
        if store.redis_password_file is not None:
            return Credentials(username, read_secret_file(store.redis_password_file))
        return Credentials(username, None if password is None else password.reveal())

    return read


def redis_acl_line(store: StoreSettings) -> str | None:
    """The line of Redis' ACL file that allows what the service does and nothing else; None without Redis."""
    if store.redis_url is None:
        return None
    options = parse_redis_url(store.redis_url.reveal())
    username = store.redis_username or options.url_credentials.username or "auth-service"
    return acl_line(username, store.redis_key_prefix, cluster=options.deployment is Deployment.CLUSTER)


class _LoggedCache:
    """Tells the metrics everything, and the log when what others revoke is heard no more, or again."""

    def __init__(self, metrics: StoreMetrics) -> None:
        self.lookup = metrics.lookup
        self.propagation = metrics.propagation
        self._metrics = metrics
        self._told: bool | None = None

    def subscribed(self, subscribed: bool) -> None:
        self._metrics.subscribed(subscribed)
        if subscribed and self._told is False:
            logger.warning("what other replicas revoke is heard again: the read cache begins anew")
        elif not subscribed and self._told is not False:
            logger.warning("what other replicas revoke cannot be heard: the read cache is not used until it can")
        self._told = subscribed
