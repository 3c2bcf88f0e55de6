"""One Redis server: a few connections, and the batches that the operations of a loop tick become.

Rules:
- What is asked within one tick of the event loop leaves together: reads as MGETs, the rest as one pipeline.
- Nobody waits for a connection: while there is none, and while the queue is full, operations fail at once.
- What is asked returns a plain future, so that it may be awaited outside of any task; connections are made, watched
  and made again by background tasks.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from app.cancellation import end_tasks
from app.randomness import RandomBytes
from app.storage.interface import StoreError, StoreUnavailable
from app.storage.observer import StoreObserver
from app.storage.redis.connecting import Connector, Resolver
from app.storage.redis.errors import again
from app.storage.redis.link import RedisLink, Waiting, pack
from app.storage.redis_options import Address

FIRST_RETRY_SECONDS = 0.05
LAST_RETRY_SECONDS = 1.0

IDLE_LOOKS = 2
"""A node that nothing waits for at so many looks in a row may be closed."""


class Limits(msgspec.Struct, frozen=True):
    """How much may be under way at once. The defaults stand for one server process."""

    connections: int = 2
    """A pipeline keeps one connection busy for well under a millisecond; the second takes the next tick's."""
    max_batch: int = 256
    """Keys in one MGET: Redis serves nobody else meanwhile. 256 take it about 0.1 ms."""
    max_queue: int = 10_000
    """Operations that wait for a reply; beyond, they fail at once."""
    batching: bool = True
    """False sends each operation by itself, at once."""


class RedisNode:
    """The connections to whichever server ``resolve`` names, and what is asked of it."""

    def __init__(
        self,
        *,
        connector: Connector,
        resolve: Resolver,
        limits: Limits,
        deadline_seconds: float,
        random_bytes: RandomBytes,
        observer: StoreObserver,
        on_connected: Callable[[], None] | None = None,
        wait_replicas: int = 0,
        coalesce_reads: bool = True,
        confirms: bool = False,
    ) -> None:
        """``on_connected`` is called whenever a connection stands.

        With ``wait_replicas`` every batch is followed by one WAIT, and a command counts as done when so many replicas
        have what it wrote; where they have not in time it fails, though the master has it. Such a node is for
        commands alone, not for reads, and has one connection: WAIT holds up whatever is behind it.
        Without ``coalesce_reads`` each read is a GET of its own in the batch.
        With ``confirms`` a connection counts only if ``resolve`` still names its server when it stands.
        """
        self._connector = connector
        self._resolve = resolve
        self._limits = limits
        self._check_seconds = deadline_seconds / 4
        self._check_due = 0.0
        self._wait_replicas = wait_replicas
        self._coalesce_reads = coalesce_reads
        self._confirms = confirms
        self._wait = pack(b"WAIT", wait_replicas, int(deadline_seconds * 1000 / 2))
        self._random_bytes = random_bytes
        self._observer = observer
        self._on_connected = on_connected
        self._loop: asyncio.AbstractEventLoop | None = None
        self._links: list[RedisLink] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._lost: dict[RedisLink, asyncio.Event] = {}
        self._addresses: dict[RedisLink, Address] = {}
        self._connected = asyncio.Event()
        self._failed = asyncio.Event()
        self._why_not: StoreError = StoreUnavailable("Redis is not connected yet")
        self._keys: list[bytes] = []
        self._readers: list[asyncio.Future[Any]] = []
        self._commands: list[bytes] = []
        self._callers: list[asyncio.Future[Any]] = []
        self._under_way = 0
        self._flush_due = False
        self._checking = False

    @property
    def is_connected(self) -> bool:
        """Whether at least one connection stands."""
        return bool(self._links)

    async def open(self) -> None:
        """Start connecting; return with the first connection.

        Raises StoreUnavailable (why) after the first failed attempt; attempts go on until :meth:`close`.
        """
        self._failed.clear()
        if not self._keepers:
            self._loop = asyncio.get_running_loop()
            self._keepers = [asyncio.create_task(self._keep_connected()) for _ in range(self._limits.connections)]
        events = [asyncio.ensure_future(event.wait()) for event in (self._connected, self._failed)]
        try:
            await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for event in events:
                event.cancel()
        if not self._links:
            raise again(self._why_not)

    async def close(self) -> None:
        """Send what is queued, wait for what is under way, then close."""
        self._flush()
        for keeper in self._keepers:
            keeper.cancel()
        # Bounded: the deadline check ends whatever waits too long. Who has just been answered may ask once more.
        idle = 0
        while idle < IDLE_LOOKS:
            idle = 0 if self._keys or self._commands or any(link.operations for link in self._links) else idle + 1
            await asyncio.sleep(0.005)
        for link in tuple(self._links):
            link.abort(StoreUnavailable("the store is closed"))
        await end_tasks(self._keepers)
        self._keepers = []

    def leave_all_but(self, address: Address) -> None:
        """End the connections to any other server than this one, which is the one to talk to now."""
        for link, its_address in tuple(self._addresses.items()):
            if its_address != address:
                link.abort(StoreUnavailable("another server is the master now"))

    def read(self, key: bytes) -> asyncio.Future[Any]:
        """GET, together with the other reads of this tick. Raises StoreUnavailable at once where it cannot be sent."""
        if not self._coalesce_reads:
            return self.run(key, b"GET", key)
        future = self._admit()
        if self._limits.batching:
            self._keys.append(key)
            self._readers.append(future)
        else:
            self._send(pack(b"GET", key), (future,), 1)
        return future

    def run(self, key: bytes, *arguments: bytes | str | int) -> asyncio.Future[Any]:
        """Any command that concerns ``key``. Raises StoreUnavailable at once where it cannot be sent."""
        future = self._admit()
        if self._limits.batching:
            self._commands.append(pack(*arguments))
            self._callers.append(future)
        else:
            self._send(pack(*arguments), (future,), 1)
        return future

    def everywhere(self, *arguments: bytes | str | int) -> list[asyncio.Future[Any]]:
        """A command about the server itself, where it is connected."""
        return [self.run(b"", *arguments)] if self._links else []

    def run_asking(self, *arguments: bytes | str | int) -> asyncio.Future[Any]:
        """A command for a slot that the server is just taking over from another (ASK). Raises StoreUnavailable."""
        asking, future = self._admit(), self._admit()
        packed = pack(b"ASKING") + pack(*arguments)
        if self._limits.batching:
            self._commands.append(packed)
            self._callers += (asking, future)
        else:
            self._send(packed, (asking, future), 2)
        return future

    def _admit(self) -> asyncio.Future[Any]:
        if not self._links or self._loop is None:
            raise again(self._why_not)
        queued = len(self._keys) + len(self._commands)
        if queued + self._under_way >= self._limits.max_queue:
            self._under_way = sum(link.operations for link in self._links)
            if queued + self._under_way >= self._limits.max_queue:
                raise StoreUnavailable(f"more than {self._limits.max_queue} operations wait for Redis")
        if not self._flush_due and self._limits.batching:
            self._flush_due = True
            self._loop.call_soon(self._flush)
        return self._loop.create_future()

    def _flush(self) -> None:
        """Send what this tick has asked."""
        self._flush_due = False
        keys, readers, self._keys, self._readers = self._keys, self._readers, [], []
        packed, callers, self._commands, self._callers = self._commands, self._callers, [], []
        operations = len(readers) + len(callers)
        if not operations:
            return
        waiting: list[Waiting] = list(callers)
        for start in range(0, len(keys), self._limits.max_batch):
            some = keys[start : start + self._limits.max_batch]
            packed.append(pack(b"MGET", *some))
            waiting.append(readers[start : start + self._limits.max_batch])
        self._send(b"".join(packed), waiting, operations)
        self._observer.batch(operations)

    def _send(self, packed: bytes, waiting: Sequence[Waiting], operations: int) -> None:
        links = self._links
        if not links:
            for entry in waiting:
                for future in entry if isinstance(entry, list) else (entry,):
                    if not future.done():
                        future.set_exception(again(self._why_not))
            return
        link = links[0] if len(links) == 1 else min(links, key=_operations)
        if self._wait_replicas and self._loop is not None:
            replies = [self._loop.create_future() for _ in waiting]
            confirmed = self._loop.create_future()
            confirmed.add_done_callback(partial(_confirm, self._wait_replicas, replies, waiting))
            packed, waiting, operations = packed + self._wait, [*replies, confirmed], operations + 1
        link.send(packed, waiting, operations)
        self._under_way = sum(map(_operations, links))
        if not self._checking and self._loop is not None:
            self._checking = True
            self._check_later(self._loop)

    def _check_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._check_due = loop.time() + self._check_seconds
        loop.call_later(self._check_seconds, self._check_deadlines)

    def _check_deadlines(self) -> None:
        if self._loop is None:
            return
        # A process that was not run (a busy node, a paused machine) comes here before it has read what Redis answered.
        late = self._loop.time() - self._check_due
        if late >= self._check_seconds:
            for link in self._links:
                link.excuse(late)
        silent = [link for link in tuple(self._links) if link.check_deadlines()]
        if silent:
            # The others go to the same server: whoever is sent there next would wait as long, so idle ones end too.
            for link in tuple(self._links):
                link.abort_silent()
        self._checking = any(link.operations for link in self._links)
        if self._checking:
            self._check_later(self._loop)

    async def _keep_connected(self) -> None:
        """Keep one connection standing, for as long as the node is open."""
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            gone = asyncio.Event()
            try:
                address = await self._resolve()
                link = await self._connector.connect(address, self._link_lost)
                await self._confirm_master(link, address)
            except StoreError as reason:
                self._note_failure(reason)
                pause = self._longer(pause)
                continue
            if link.lost is not None:
                pause = self._longer(pause)
                continue
            self._lost[link] = gone
            self._addresses[link] = address
            self._links.append(link)
            self._note_connections()
            pause = 0.0
            self._connected.set()
            if self._on_connected is not None:
                self._on_connected()
            await gone.wait()
            pause = FIRST_RETRY_SECONDS * self._random_bytes(1)[0] / 255

    async def _confirm_master(self, link: RedisLink, address: Address) -> None:
        """Ask once more who the server is, where that may change; end the connection if it is another.

        A master that hung while it was connected to, and was failed over meanwhile, greets as a master when it wakes
        up: what it is asked then it answers from before. Raises StoreError.
        """
        if not self._confirms:
            return
        try:
            if await self._resolve() == address:
                return
            reason: StoreError = StoreUnavailable("another server has become the master")
        except StoreError as error:
            reason = error
        link.abort(reason)
        raise again(reason)

    def _link_lost(self, link: RedisLink) -> None:
        gone = self._lost.pop(link, None)
        if gone is None:
            return
        self._links.remove(link)
        del self._addresses[link]
        if link.lost is not None:
            self._why_not = link.lost
            self._observer.error("redis", "connection_lost")
        if not self._links:
            self._connected.clear()
        self._note_connections()
        gone.set()

    def _note_failure(self, reason: StoreError) -> None:
        self._why_not = reason
        self._observer.error("redis", "connect")
        self._failed.set()

    def _note_connections(self) -> None:
        self._observer.connections("redis", "connected", len(self._links))
        self._observer.connections("redis", "connecting", self._limits.connections - len(self._links))

    def _longer(self, pause: float) -> float:
        """The next pause between attempts: twice the last one, within bounds, with up to a quarter added by chance."""
        doubled = min(max(2 * pause, FIRST_RETRY_SECONDS), LAST_RETRY_SECONDS)
        return doubled * (1 + self._random_bytes(1)[0] / 1020)


def _operations(link: RedisLink) -> int:
    return link.operations


def _confirm(
    needed: int, replies: list[asyncio.Future[Any]], callers: Sequence[Waiting], confirmed: asyncio.Future[Any]
) -> None:
    """Answer callers with their replies if enough replicas have confirmed the batch. The replies came before."""
    unconfirmed = confirmed.exception()
    if unconfirmed is None and confirmed.result() < needed:
        unconfirmed = StoreUnavailable(f"fewer than {needed} replicas of Redis have confirmed")
    for reply, caller in zip(replies, callers, strict=True):
        error = reply.exception() or unconfirmed
        if isinstance(caller, list) or caller.done():
            continue
        if error is not None:
            caller.set_exception(again(error) if isinstance(error, StoreError) else error)
        else:
            caller.set_result(reply.result())
