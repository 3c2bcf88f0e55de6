"""One Redis server that operations go to: its connections, what it publishes, its lease and its birth."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from app.randomness import RandomBytes
from app.storage.interface import StoreError, StoreUnavailable
from app.storage.observer import CacheObserver
from app.storage.redis.birth import Birth
from app.storage.redis.cache import Lease, ReadCache
from app.storage.redis.connecting import Connector, Resolver
from app.storage.redis.connection_counts import ConnectionCounts
from app.storage.redis.epochs import SharedEpochs
from app.storage.redis.greeting import Greet
from app.storage.redis.invalidation import Invalidation
from app.storage.redis.keyspace import Keyspace
from app.storage.redis.node import Limits, RedisNode
from app.storage.redis.slots import slot_of_tag, spread_tags, tag_within

LOOKS_PER_BOUND = 4
"""How often, within the bound of staleness, the sentinels are asked whether the master is still the same."""


class MemberParts(msgspec.Struct, frozen=True):
    """What every server of a deployment is used with."""

    keyspace: Keyspace
    make_connector: Callable[[Greet], Connector]
    """Gives a connector whose greeting ends with the given step."""
    limits: Limits
    wait_replicas: int
    deadline_seconds: float
    staleness_seconds: float
    replica: str
    """Names this process among all that use the deployment."""
    opened_at: int
    """Unix seconds at which this process started to use it."""
    cache: ReadCache
    epochs: SharedEpochs
    listens: bool
    """Whether invalidations are subscribed to; without, no lease is ever valid."""
    now: Callable[[], float]
    monotonic: Callable[[], float]
    random_bytes: RandomBytes
    counts: ConnectionCounts
    cache_observer: CacheObserver
    on_connected: Callable[[], None]


class Member:
    """A server; where there is but one it is the :class:`~app.storage.redis.engine.Engine`."""

    def __init__(
        self,
        parts: MemberParts,
        resolve: Resolver,
        lease: Lease,
        slots: frozenset[int] | None,
        *,
        moves: bool = False,
    ) -> None:
        """``slots`` are those that it serves; None where it serves all and is no cluster.

        ``moves``: ``resolve`` may name another server at any time. It is asked again, so that a server that others
        have left, and that still believes in itself, is left well within the bound of staleness.
        """
        self.slots = slots
        self.lease = lease
        self.birth = Birth(self._birth_names, parts.now, parts.opened_at)
        self._parts = parts
        connector = parts.make_connector(self.birth.learn)

        def node(limits: Limits, wait_replicas: int) -> RedisNode:
            return RedisNode(
                connector=connector,
                resolve=resolve,
                limits=limits,
                deadline_seconds=parts.deadline_seconds,
                random_bytes=parts.random_bytes,
                observer=parts.counts.of((self, wait_replicas)),
                on_connected=parts.on_connected,
                wait_replicas=wait_replicas,
                confirms=moves,
                coalesce_reads=slots is None,  # the keys of one MGET must share a slot
            )

        self.node = node(parts.limits, 0)
        one_connection = msgspec.structs.replace(parts.limits, connections=1)
        self.durable = node(one_connection, parts.wait_replicas) if parts.wait_replicas else self.node
        self._invalidation = Invalidation(
            engine=self.node,
            connector=connector,
            resolve=resolve,
            keyspace=parts.keyspace,
            beat_channel=self._beat_channel,
            cache=parts.cache,
            epochs=parts.epochs,
            lease=lease,
            staleness_seconds=parts.staleness_seconds,
            monotonic=parts.monotonic,
            observer=parts.cache_observer,
        )
        self._resolve = resolve
        self._moves = moves
        self._opening: list[asyncio.Task[None]] = []

    @property
    def is_connected(self) -> bool:
        """Whether it can be asked now."""
        return self.node.is_connected

    def start(self) -> None:
        """Begin to connect and to listen, in the background."""
        self._opening = [asyncio.create_task(_open(node)) for node in {self.node, self.durable}]
        self._listen()

    async def open(self) -> None:
        """Begin to connect and to listen; return with the first connections.

        Raises StoreUnavailable after the first failed attempt; attempts go on until :meth:`close`.
        """
        self._listen()
        if self._moves and not self._opening:
            self._opening.append(asyncio.create_task(self._follow()))
        await self.node.open()
        if self.durable is not self.node:
            await self.durable.open()

    def read(self, key: bytes) -> asyncio.Future[Any]:
        return self.node.read(key)

    def run(self, key: bytes, *arguments: bytes | str | int) -> asyncio.Future[Any]:
        return self.node.run(key, *arguments)

    def everywhere(self, *arguments: bytes | str | int) -> list[asyncio.Future[Any]]:
        return self.node.everywhere(*arguments)

    async def close(self) -> None:
        """Listen no more, flush, disconnect."""
        await self._invalidation.stop()
        for opening in self._opening:
            opening.cancel()
        for node in {self.node, self.durable}:
            await node.close()
        for waits in {0, self._parts.wait_replicas}:
            self._parts.counts.forget((self, waits))

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._parts.staleness_seconds / LOOKS_PER_BOUND)
            with suppress(StoreError):  # whoever is connected stays so while nobody knows better
                address = await self._resolve()
                for node in {self.node, self.durable}:
                    node.leave_all_but(address)

    def _listen(self) -> None:
        if self._parts.listens:
            self._invalidation.start()

    def _birth_names(self) -> list[bytes]:
        if self.slots is None:
            return [self._parts.keyspace.born_at()]
        tags = [tag for tag in spread_tags() if slot_of_tag(tag.encode()) in self.slots]
        return [self._parts.keyspace.born_at(tag) for tag in tags]

    def _beat_channel(self) -> bytes:
        """A channel whose name, as a key, lies on this server. Raises StoreUnavailable."""
        tag = "meta" if self.slots is None else tag_within(self.slots)
        if tag is None:
            raise StoreUnavailable("a node of the Redis cluster serves no slot of ours")
        return self._parts.keyspace.beat_channel(self._parts.replica, tag)


async def _open(node: RedisNode) -> None:
    with suppress(StoreError):  # it goes on trying by itself
        await node.open()
