"""How a Redis store is put together for a deployment."""

from collections.abc import Callable

import msgspec

from app.randomness import RandomBytes
from app.storage.observer import CacheObserver, StoreObserver, Unobserved
from app.storage.redis.birth import Birth
from app.storage.redis.cache import CacheLimits, Lease, ReadCache
from app.storage.redis.connecting import Connector, Resolver
from app.storage.redis.epochs import SharedEpochs
from app.storage.redis.greeting import OLDEST_RELEASE, MasterGreeting
from app.storage.redis.invalidation import Invalidation
from app.storage.redis.keyspace import Keyspace
from app.storage.redis.node import Limits, RedisNode
from app.storage.redis.options import Address, CredentialsReader, Deployment, RedisOptions, TlsFiles
from app.storage.redis.replay import RecentRevocations
from app.storage.redis.sentinel import SentinelResolver
from app.storage.redis.store import Background, RedisStore

DEADLINE_SECONDS = 0.5
"""An operation that Redis has not answered by then has failed."""

CONNECT_SECONDS = 2.0
"""A connection that is not ready by then has failed: name, TCP, TLS, credentials and role together."""


STALENESS_SECONDS = 2.0
"""Nothing that another replica ended longer ago is taken for alive, whatever fails."""


def redis_store(
    options: RedisOptions,
    key_prefix: str,
    *,
    now: Callable[[], float],
    stopwatch: Callable[[], float],
    random_bytes: RandomBytes,
    credentials: CredentialsReader | None = None,
    tls: TlsFiles | None = None,
    limits: Limits | None = None,
    allow_eviction: bool = False,
    wait_replicas: int = 0,
    deadline_seconds: float = DEADLINE_SECONDS,
    connect_seconds: float = CONNECT_SECONDS,
    observer: StoreObserver | None = None,
    monotonic: Callable[[], float] | None = None,
    cache_limits: CacheLimits | None = None,
    staleness_seconds: float = STALENESS_SECONDS,
    cache_observer: CacheObserver | None = None,
) -> RedisStore:
    """A store that is not open yet. Raises ValueError for a prefix that cannot be used.

    ``credentials`` stands before those in the URL; ``tls`` is used where the URL asks for TLS, the system's authorities
    where it is None. With ``monotonic`` (seconds on a clock that neither steps nor stops) what is read is cached within
    ``cache_limits``, and not believed ``staleness_seconds`` after another replica ended it, whatever fails.
    ``allow_eviction`` accepts a Redis that drops what it likes when it is full, revocations included.
    ``wait_replicas`` is how many replicas must have a revocation or a rotation before it counts.
    """
    observer = observer or Unobserved()
    keyspace = Keyspace(key_prefix)
    birth = Birth(keyspace, now)
    credentials = credentials or (lambda: options.url_credentials)
    tls = (tls or TlsFiles()) if options.tls else None
    connector = Connector(
        credentials=credentials,
        tls=tls,
        database=options.database,
        connect_seconds=connect_seconds,
        deadline_seconds=deadline_seconds,
        greet=MasterGreeting(oldest_release=OLDEST_RELEASE, allow_eviction=allow_eviction, then=birth.learn),
    )
    resolve: Resolver
    if options.deployment is Deployment.SINGLE:
        resolve = _one(options.addresses[0])
    elif options.deployment is Deployment.SENTINEL:
        asker = Connector(
            credentials=credentials,
            tls=tls,
            database=0,
            connect_seconds=connect_seconds,
            deadline_seconds=deadline_seconds,
            credentials_optional=True,
        )
        resolve = SentinelResolver(asker, options.addresses, options.master_name)
    else:
        raise ValueError(f"{options.deployment.value} is not supported yet")
    limits = limits or Limits()

    recent = RecentRevocations(monotonic or stopwatch)

    def node(limits: Limits, wait_replicas: int) -> RedisNode:
        return RedisNode(
            connector=connector,
            resolve=resolve,
            limits=limits,
            deadline_seconds=deadline_seconds,
            random_bytes=random_bytes,
            # The second node's one connection would overwrite what the first says of its own.
            observer=Unobserved() if wait_replicas else observer,
            on_connected=recent.on_connected,
            wait_replicas=wait_replicas,
        )

    engine = node(limits, 0)
    durable = node(msgspec.structs.replace(limits, connections=1), wait_replicas) if wait_replicas else engine
    cache_observer = cache_observer or Unobserved()
    cache_limits = cache_limits or CacheLimits()
    lease = Lease()
    epochs = SharedEpochs(keyspace, lease, now, monotonic)
    cache: ReadCache | None = None
    background: list[Background] = [recent]
    if monotonic is not None:
        cache = ReadCache(cache_limits, lease, monotonic)
        background.append(
            Invalidation(
                engine=engine,
                connector=connector,
                resolve=resolve,
                keyspace=keyspace,
                replica=random_bytes(8).hex(),
                cache=cache,
                epochs=epochs,
                lease=lease,
                staleness_seconds=staleness_seconds,
                monotonic=monotonic,
                observer=cache_observer,
            )
        )
    return RedisStore(
        engine,
        durable,
        keyspace,
        birth,
        recent=recent,
        epochs=epochs,
        cache=cache if cache_limits.max_entries > 0 else None,
        cache_observer=cache_observer,
        background=background,
        now=now,
        stopwatch=stopwatch,
        observer=observer,
    )


def _one(address: Address) -> Resolver:
    async def resolve() -> Address:
        return address

    return resolve
