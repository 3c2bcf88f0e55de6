"""A look at Redis by its own answers, from a process that does nothing else with it.

Rules:
- Only ROLE, INFO, TIME and GET are asked of the server, which the service's own ACL user may; of sentinels, only what
  they know of the master.
- Every server is told of, one that must not be used included: who looks wants to know why.
- The library's errors become sentences without credentials.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from redis import exceptions

from app.composition.key_ring import redis_address
from app.config.store import StoreSettings
from app.keys.sources.redis_address import Topology
from app.keys.sources.redis_client import Client, MasterUnknown, RedisClients
from app.storage.redis.keyspace import Keyspace

_NO_REPLICATION_ID = "0" * 40


class RedisReplica(msgspec.Struct, frozen=True):
    """A replica as its master sees it."""

    address: str
    state: str
    lag_seconds: int
    """Since it was last heard."""
    behind_bytes: int


class RedisServer(msgspec.Struct, frozen=True):
    """One server."""

    address: str
    role: str
    release: str
    policy: str
    used_bytes: int
    max_bytes: int
    """0 for no limit."""
    evicted_keys: int
    uptime_seconds: int
    was_replica: bool
    """Whether it became the master by a failover (its former replication id is still known)."""
    replicas: tuple[RedisReplica, ...]
    clock_ahead_seconds: float
    """Against this process's clock; half the time of the question is its error."""
    answer_seconds: float


class RedisSeen(msgspec.Struct, frozen=True):
    """All of it."""

    deployment: str
    servers: tuple[RedisServer, ...] = ()
    epochs_version: str | None = None
    """``0`` for no bulk revocation in force."""
    failovers: int | None = None
    """The sentinels' configuration epoch: it grows with each failover. None without sentinels."""
    master_for_seconds: float | None = None
    """For how long a sentinel has seen the master in its role: since the last failover, or its own start."""
    problem: str | None = None
    """Why it, or the rest of it, could not be asked."""


async def look_at_redis(
    store: StoreSettings, now: Callable[[], float], stopwatch: Callable[[], float]
) -> RedisSeen | None:
    """What Redis says of itself; None where none is configured. Raises ConfigurationError."""
    address = redis_address(store)
    if address is None:
        return None
    clients = RedisClients(address)
    seen = RedisSeen(address.topology.name.lower())
    try:
        if address.topology is Topology.SENTINEL:
            failovers, seconds = _sentinels_word(await clients.ask_sentinels("MASTER"))
            seen = msgspec.structs.replace(seen, failovers=failovers, master_for_seconds=seconds)
        client = await clients.current()
        nodes = await _nodes(client)
        servers = tuple([await _server(client, node, now, stopwatch) for node in nodes])
        seen = msgspec.structs.replace(seen, servers=servers)
        version = await client.get(Keyspace(store.redis_key_prefix).epochs_version())
        return msgspec.structs.replace(seen, epochs_version="0" if version is None else _text(version))
    except (exceptions.RedisError, OSError, ValueError) as error:
        return msgspec.structs.replace(seen, problem=sentence_of(error))
    finally:
        await clients.close()


def sentence_of(error: Exception) -> str:
    """What went wrong, for people; nothing that a server or a library says word for word, for it may quote."""
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (MasterUnknown, "no sentinel knows the master"),
        (exceptions.AuthenticationError, "Redis refuses the user name or password"),
        (exceptions.NoPermissionError, "Redis' ACL does not allow what the service needs"),
        (exceptions.TimeoutError, "Redis does not answer in time"),
        (exceptions.ClusterDownError, "the Redis Cluster is down"),
        (exceptions.BusyLoadingError, "Redis is loading its data"),
        (exceptions.ConnectionError, "Redis cannot be reached"),
        (OSError, "Redis cannot be reached, or a file for it cannot be read"),
        (ValueError, "the credentials or files for Redis cannot be used"),
    )
    return next((text for kind, text in kinds if isinstance(error, kind)), f"Redis: {type(error).__name__}")


def _sentinels_word(answer: Any) -> tuple[int | None, float | None]:
    facts = _facts(answer)
    epoch, reported = str(facts.get("config-epoch", "")), str(facts.get("role-reported-time", ""))
    return int(epoch) if epoch.isdigit() else None, int(reported) / 1000 if reported.isdigit() else None


async def _nodes(client: Any) -> list[Any]:
    """The servers to ask: of a cluster, its masters."""
    if not hasattr(client, "get_primaries"):
        return [None]
    await client.initialize()
    return list(client.get_primaries())


async def _server(client: Client, node: Any, now: Callable[[], float], stopwatch: Callable[[], float]) -> RedisServer:
    started = stopwatch()
    before = now()
    seconds, micros = await _ask(client, node, "TIME")
    after, took = now(), stopwatch() - started
    clock = int(seconds) + int(micros) / 1e6
    facts: dict[str, Any] = {}
    for section in ("server", "memory", "stats", "replication"):
        facts.update(_facts(await _ask(client, node, "INFO", section)))
    role = await _ask(client, node, "ROLE")
    own = int(facts.get("master_repl_offset", 0))
    return RedisServer(
        address=_address(client, node),
        role=_text(role[0]),
        release=str(facts.get("redis_version", "unknown")),
        policy=str(facts.get("maxmemory_policy", "unknown")),
        used_bytes=int(facts.get("used_memory", 0)),
        max_bytes=int(facts.get("maxmemory", 0)),
        evicted_keys=int(facts.get("evicted_keys", 0)),
        uptime_seconds=int(facts.get("uptime_in_seconds", 0)),
        was_replica=str(facts.get("master_replid2", _NO_REPLICATION_ID)) not in ("0", _NO_REPLICATION_ID),
        replicas=tuple(
            _replica(value, own) for name, value in facts.items() if name.startswith("slave") and name[5:].isdigit()
        ),
        clock_ahead_seconds=round(clock - (before + after) / 2, 3),
        answer_seconds=round(took, 6),
    )


async def _ask(client: Any, node: Any, *command: str) -> Any:
    answer = await client.execute_command(*command, **({} if node is None else {"target_nodes": node}))
    # Of a cluster some commands are answered by node name even where one node was asked.
    return next(iter(answer.values())) if node is not None and _is_by_node(answer, node) else answer


def _is_by_node(answer: object, node: Any) -> bool:
    return isinstance(answer, Mapping) and set(answer) == {node.name}


def _facts(answer: Any) -> Mapping[str, Any]:
    """The fields of INFO, which the library has parsed, or of SENTINEL MASTER, which it leaves in bytes."""
    if not isinstance(answer, Mapping):
        return {}
    return {_text(name): _text(value) if isinstance(value, bytes) else value for name, value in answer.items()}


def _replica(value: Any, own: int) -> RedisReplica:
    told: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    return RedisReplica(
        address=f"{told.get('ip', '?')}:{told.get('port', '?')}",
        state=str(told.get("state", "unknown")),
        lag_seconds=int(told.get("lag", -1)),
        behind_bytes=max(0, own - int(told.get("offset", 0))),
    )


def _address(client: Any, node: Any) -> str:
    if node is not None:
        return str(node.name)
    options = client.connection_pool.connection_kwargs
    return f"{options['host']}:{options['port']}"


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
