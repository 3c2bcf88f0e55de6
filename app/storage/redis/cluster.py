"""Redis Cluster: every operation goes to the node that serves its slot.

Rules:
- A token and its family share a slot, so that one node decides on them in one step.
- The map of slots is read regularly, and at once where a node says that it is out of date; an operation follows at
  most MAX_HOPS redirections, and fails where the node that it is sent to is not connected yet.
- The lease of the cache is the shortest of all nodes' leases and of the map's own: what is cached may be ended on any
  node, and a node that joined unseen would be one that nobody listens to.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from app.cancellation import end_tasks
from app.storage.interface import StoreError, StoreUnavailable
from app.storage.redis.cache import Lease
from app.storage.redis.connecting import Connector
from app.storage.redis.errors import Redirected
from app.storage.redis.member import Member
from app.storage.redis.slots import SLOTS, TAG_LENGTH, read_slots, slot_of_tag
from app.storage.redis_options import Address

MAX_HOPS = 3


class JointLease(Lease):
    """Valid while all of several leases are."""

    def __init__(self) -> None:
        self.leases: Callable[[], Iterable[Lease]] = tuple

    @property
    def until(self) -> float:  # type: ignore[override]
        """The earliest end; in the past where there is no lease at all."""
        return min((lease.until for lease in self.leases()), default=float("-inf"))


class _Asked(msgspec.Struct, frozen=True):
    """An operation, to be asked again elsewhere."""

    key: bytes
    arguments: tuple[bytes | str | int, ...]
    durable: bool = False


class Cluster:
    """An :class:`~app.storage.redis.engine.Engine` over the nodes of a cluster."""

    def __init__(
        self,
        *,
        seeds: tuple[Address, ...],
        asker: Connector,
        make_member: Callable[[Address], Member],
        tag_at: int,
        monotonic: Callable[[], float],
        refresh_seconds: float,
        staleness_seconds: float,
        lease: JointLease,
    ) -> None:
        """``asker`` connects to any node to ask for the map; ``tag_at`` is where a name's tag begins."""
        self._seeds = seeds
        self._asker = asker
        self._make_member = make_member
        self._tag = slice(tag_at, tag_at + TAG_LENGTH)
        self._monotonic = monotonic
        self._refresh_seconds = refresh_seconds
        self._staleness_seconds = staleness_seconds
        self._members: dict[Address, Member] = {}
        self._by_slot: list[Member | None] = [None] * SLOTS
        self._served: dict[Address, list[range]] = {}
        self._map_lease = Lease()
        self._outdated = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        lease.leases = lambda: (self._map_lease, *(member.lease for member in self._members.values()))
        self.durable = DurableCluster(self)

    @property
    def is_connected(self) -> bool:
        """Whether every slot is served by a node that is connected."""
        connected = {id(member) for member in self._members.values() if member.is_connected}
        return bool(connected) and all(member is not None and id(member) in connected for member in self._by_slot)

    async def open(self) -> None:
        """Read the map and connect to every node on it. Raises StoreUnavailable, and goes on trying until closed."""
        try:
            await self._refresh()
            # Each raises after its first attempt, and goes on by itself.
            await asyncio.gather(*(member.open() for member in self._members.values()))
        finally:
            if self._task is None:
                self._task = asyncio.create_task(self._stay_current())
        if None in self._by_slot:
            raise StoreUnavailable("not every slot of the Redis cluster is served")

    async def close(self) -> None:
        """Flush, then disconnect from every node."""
        if self._task is not None:
            await end_tasks([self._task])
            self._task = None
        await asyncio.gather(*(member.close() for member in self._members.values()), *self._leaving)
        self._members.clear()
        self._by_slot = [None] * SLOTS

    def member_of(self, name: bytes) -> Member:
        """The node that serves a name. Raises StoreUnavailable where none does."""
        member = self._by_slot[slot_of_tag(name[self._tag])]
        if member is None:
            raise StoreUnavailable("no node of the Redis cluster serves this slot")
        return member

    def read(self, key: bytes) -> asyncio.Future[Any]:
        return self._followed(self.member_of(key).read(key), _Asked(key, (b"GET", key)))

    def run(self, key: bytes, *arguments: bytes | str | int) -> asyncio.Future[Any]:
        return self._followed(self.member_of(key).run(key, *arguments), _Asked(key, arguments))

    def everywhere(self, *arguments: bytes | str | int) -> list[asyncio.Future[Any]]:
        return [reply for member in self._members.values() for reply in member.everywhere(*arguments)]

    def run_durably(self, key: bytes, *arguments: bytes | str | int) -> asyncio.Future[Any]:
        """As :meth:`run`, on the connection that waits for replicas."""
        reply = self.member_of(key).durable.run(key, *arguments)
        return self._followed(reply, _Asked(key, arguments, durable=True))

    def _followed(self, reply: asyncio.Future[Any], asked: _Asked) -> asyncio.Future[Any]:
        """A future for the reply of whichever node gives one in the end."""
        answer: asyncio.Future[Any] = reply.get_loop().create_future()
        reply.add_done_callback(partial(self._settle, answer, asked, MAX_HOPS))
        return answer

    def _settle(self, answer: asyncio.Future[Any], asked: _Asked, hops: int, reply: asyncio.Future[Any]) -> None:
        error = reply.exception()
        if answer.done():
            return
        if error is None:
            answer.set_result(reply.result())
        elif not isinstance(error, Redirected) or hops == 0:
            answer.set_exception(error)
        else:
            try:
                further = self._redirect(error, asked)
            except StoreError as why:
                answer.set_exception(why)
            else:
                further.add_done_callback(partial(self._settle, answer, asked, hops - 1))

    def _redirect(self, where: Redirected, asked: _Asked) -> asyncio.Future[Any]:
        """Ask where the reply says. Raises StoreUnavailable."""
        self._outdated.set()
        self._served = {}  # what was read no longer is what is done
        slot = slot_of_tag(asked.key[self._tag])
        host = where.host
        if not host:  # "the node that you asked"
            refused = self._by_slot[slot]
            host = next((address[0] for address, member in self._members.items() if member is refused), "")
        member = self._members.get((host, where.port))
        if member is None:
            raise StoreUnavailable("the slot has moved to a node of the Redis cluster that is not connected yet")
        node = member.durable if asked.durable else member.node
        if where.ask:
            return node.run_asking(*asked.arguments)
        self._by_slot[slot] = member
        return node.run(asked.key, *asked.arguments)

    async def _stay_current(self) -> None:
        while True:
            self._outdated.clear()
            with suppress(StoreError):
                await self._refresh()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_seconds):
                    await self._outdated.wait()
                # Many operations may say so at once, and the cluster needs a moment to agree.
                await asyncio.sleep(self._refresh_seconds / 10)

    async def _refresh(self) -> None:
        """Read the map and take it over. Raises StoreUnavailable where nobody has it."""
        asked_at = self._monotonic()
        self._take_over(await self._ask_anyone())
        self._map_lease.until = asked_at + self._staleness_seconds

    async def _ask_anyone(self) -> dict[Address, list[range]]:
        for address, member in tuple(self._members.items()):
            if member.is_connected:
                with suppress(StoreError):
                    return read_slots(await member.node.run(b"", b"CLUSTER", b"SLOTS"), address)
        reasons = []
        for seed in (*self._seeds, *self._members):
            try:
                link = await self._asker.connect(seed, lambda _: None)
            except StoreError as error:
                reasons.append(str(error))
                continue
            try:
                return read_slots(await link.call(b"CLUSTER", b"SLOTS"), seed)
            except StoreError as error:
                reasons.append(str(error))
            finally:
                link.abort(StoreUnavailable("the map has been read"))
        raise StoreUnavailable("no node of the Redis cluster tells its slots: " + "; ".join(dict.fromkeys(reasons)))

    def _take_over(self, served: dict[Address, list[range]]) -> None:
        if served == self._served:
            return
        self._served = served
        by_slot: list[Member | None] = [None] * SLOTS
        for address, ranges in served.items():
            member = self._members.get(address)
            is_new = member is None
            if member is None:
                member = self._members[address] = self._make_member(address)
            slots = [slot for some in ranges for slot in some]
            member.slots = frozenset(slots)
            for slot in slots:
                by_slot[slot] = member
            if is_new:
                member.start()
        self._by_slot = by_slot
        for address in set(self._members) - set(served):
            leaving = asyncio.create_task(self._members.pop(address).close())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)


class DurableCluster:
    """The same cluster, asked over the connections that wait for replicas."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def run(self, key: bytes, *arguments: bytes | str | int) -> asyncio.Future[Any]:
        return self._cluster.run_durably(key, *arguments)


class ClusterBirths:
    """The births of all nodes: a :class:`~app.storage.redis.birth.Births`."""

    def __init__(self, cluster: Cluster, names: list[bytes]) -> None:
        self._cluster = cluster
        self._names = names

    def is_older(self, issued_at: int, name: bytes) -> bool:
        return self._cluster.member_of(name).birth.is_older(issued_at, name)

    def names(self) -> list[bytes]:
        return self._names
