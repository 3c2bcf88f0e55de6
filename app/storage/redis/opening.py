"""How a Redis store is put together for a deployment."""

from collections.abc import Callable

from app.randomness import RandomBytes
from app.storage.observer import CacheObserver, StoreObserver, Unobserved
from app.storage.redis.birth import Births
from app.storage.redis.cache import CacheLimits, Lease, ReadCache
from app.storage.redis.cluster import Cluster, ClusterBirths, JointLease
from app.storage.redis.connecting import Connector, Resolver
from app.storage.redis.connection_counts import ConnectionCounts
from app.storage.redis.engine import Commands, Engine
from app.storage.redis.epochs import SharedEpochs
from app.storage.redis.greeting import OLDEST_CLUSTER_RELEASE, OLDEST_RELEASE, Greet, MasterGreeting
from app.storage.redis.keyspace import Keyspace
from app.storage.redis.member import Member, MemberParts
from app.storage.redis.node import Limits
from app.storage.redis.replay import RecentRevocations
from app.storage.redis.sentinel import SentinelResolver
from app.storage.redis.slots import spread_tags
from app.storage.redis.store import RedisStore
from app.storage.redis_options import Address, CredentialsReader, Deployment, RedisOptions, TlsFiles

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
    tls = (tls or TlsFiles()) if options.tls else None
    credentials = credentials or (lambda: options.url_credentials)
    cache_limits = cache_limits or CacheLimits()
    cache_observer = cache_observer or Unobserved()
    observer = observer or Unobserved()
    is_cluster = options.deployment is Deployment.CLUSTER
    keyspace = Keyspace(key_prefix)
    joint = JointLease()
    lease = joint if is_cluster else Lease()
    clock = monotonic or stopwatch
    cache = ReadCache(cache_limits, lease, clock)
    epochs = SharedEpochs(keyspace, lease, now, monotonic)
    recent = RecentRevocations(clock)

    def connector(greet: Greet | None, *, is_sentinel: bool = False) -> Connector:
        return Connector(
            credentials=credentials,
            tls=tls,
            database=0 if is_sentinel else options.database,
            connect_seconds=connect_seconds,
            deadline_seconds=deadline_seconds,
            greet=greet,
            credentials_optional=is_sentinel,
        )

    def master_connector(then: Greet) -> Connector:
        oldest = OLDEST_CLUSTER_RELEASE if is_cluster else OLDEST_RELEASE
        return connector(MasterGreeting(oldest_release=oldest, allow_eviction=allow_eviction, then=then))

    parts = MemberParts(
        keyspace=keyspace,
        make_connector=master_connector,
        limits=limits or Limits(),
        wait_replicas=wait_replicas,
        deadline_seconds=deadline_seconds,
        staleness_seconds=staleness_seconds,
        replica=random_bytes(8).hex(),
        opened_at=int(now()),
        cache=cache,
        epochs=epochs,
        listens=monotonic is not None,
        now=now,
        monotonic=clock,
        random_bytes=random_bytes,
        counts=ConnectionCounts(observer),
        cache_observer=cache_observer,
        on_connected=recent.on_connected,
    )
    engine: Engine
    durable: Commands
    births: Births
    if is_cluster:
        cluster = Cluster(
            seeds=options.addresses,
            asker=connector(None),
            make_member=lambda address: Member(parts, _one(address), Lease(), frozenset()),
            tag_at=len(keyspace.opening),
            monotonic=clock,
            refresh_seconds=staleness_seconds / 2,
            staleness_seconds=staleness_seconds,
            lease=joint,
        )
        engine, durable = cluster, cluster.durable
        births = ClusterBirths(cluster, [keyspace.born_at(tag) for tag in spread_tags()])
    else:
        resolve: Resolver = _one(options.addresses[0])
        if options.deployment is Deployment.SENTINEL:
            asker = connector(None, is_sentinel=True)
            resolve = SentinelResolver(asker, options.addresses, options.master_name)
        member = Member(parts, resolve, lease, None, moves=options.deployment is Deployment.SENTINEL)
        engine, durable, births = member, member.durable, member.birth
    return RedisStore(
        engine,
        durable,
        keyspace,
        births,
        recent=recent,
        epochs=epochs,
        cache=cache if monotonic is not None and cache_limits.max_entries > 0 else None,
        cache_observer=cache_observer,
        now=now,
        stopwatch=stopwatch,
        observer=observer,
    )


def _one(address: Address) -> Resolver:
    async def resolve() -> Address:
        return address

    return resolve
