"""How a Redis store is put together for a deployment."""

import itertools
from collections.abc import Callable

from app.randomness import RandomBytes
from app.storage.observer import StoreObserver, Unobserved
from app.storage.redis.birth import Birth
from app.storage.redis.connecting import Connector
from app.storage.redis.engine import Engine
from app.storage.redis.keyspace import Keyspace
from app.storage.redis.node import Limits, RedisNode
from app.storage.redis.options import Address, CredentialsReader, Deployment, RedisOptions, TlsFiles
from app.storage.redis.store import RedisStore

DEADLINE_SECONDS = 0.5
"""An operation that Redis has not answered by then has failed."""

CONNECT_SECONDS = 2.0
"""A connection that is not ready by then has failed: name, TCP, TLS, credentials and role together."""


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
    deadline_seconds: float = DEADLINE_SECONDS,
    connect_seconds: float = CONNECT_SECONDS,
    observer: StoreObserver | None = None,
) -> RedisStore:
    """A store that is not open yet.

    ``credentials`` stands before those in the URL; ``tls`` is used where the URL asks for TLS, the system's authorities
    where it is None. Raises ValueError for a prefix that cannot be used.
    """
    observer = observer or Unobserved()
    keyspace = Keyspace(key_prefix)
    birth = Birth(keyspace, now)
    connector = Connector(
        credentials=credentials or (lambda: options.url_credentials),
        tls=(tls or TlsFiles()) if options.tls else None,
        database=options.database,
        connect_seconds=connect_seconds,
        deadline_seconds=deadline_seconds,
        greet=birth.learn,
    )
    engine: Engine
    if options.deployment is Deployment.SINGLE:
        attempts = itertools.cycle(options.addresses)

        async def resolve() -> Address:
            return next(attempts)

        engine = RedisNode(
            connector=connector,
            resolve=resolve,
            limits=limits or Limits(),
            deadline_seconds=deadline_seconds,
            random_bytes=random_bytes,
            observer=observer,
        )
    else:
        raise ValueError(f"{options.deployment.value} is not supported yet")
    return RedisStore(engine, keyspace, birth, now=now, stopwatch=stopwatch, observer=observer)
