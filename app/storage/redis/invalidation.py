"""How a replica hears of what others ended, and how it knows that it hears.

Rules:
- Whatever ends something publishes the names it ended, in the same step (:mod:`app.storage.redis.scripts`). Every
  replica subscribes, and drops them from its cache. Epochs
  travel the same way.
- Some times a second a replica publishes a beat to itself, over the connections it asks its questions on, and takes
  it from the subscription. Redis keeps the order of what it publishes to one connection: when a beat arrives,
  everything published before that beat was sent has arrived too. The lease therefore runs from the moment the beat
  was *sent*, for the staleness that was promised: at any hit, whatever was ended longer ago than that is known here.
- A beat is also a write, so that a server that has become a read-only replica does not answer it.
- A new subscription begins with a flush: what was published before it is unknown.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress

from app.cancellation import end_tasks
from app.storage.interface import StoreError, StoreUnavailable
from app.storage.observer import CacheObserver
from app.storage.redis.cache import Lease, ReadCache
from app.storage.redis.connecting import Connector, Resolver
from app.storage.redis.engine import Engine
from app.storage.redis.epochs import SharedEpochs
from app.storage.redis.keyspace import Keyspace
from app.storage.redis.link import RedisLink
from app.storage.redis.scripts import BEAT

BEATS_PER_LEASE = 5
"""So many beats may be lost in a row before the lease runs out, less one."""

RETRY_SECONDS = 0.2

_LENGTH_BYTES = 2


def read_names(message: bytes) -> Iterator[bytes]:
    """The names in a message: each after its length in two bytes. Raises ValueError for anything else."""
    at = 0
    while at < len(message):
        end = at + _LENGTH_BYTES + int.from_bytes(message[at : at + _LENGTH_BYTES], "big")
        if end > len(message) or end == at + _LENGTH_BYTES:
            raise ValueError("the message is no list of names")
        yield message[at + _LENGTH_BYTES : end]
        at = end


class Invalidation:
    """One subscription, the beats that prove it, and the lease they grant."""

    def __init__(
        self,
        *,
        engine: Engine,
        connector: Connector,
        resolve: Resolver,
        keyspace: Keyspace,
        beat_channel: Callable[[], bytes],
        cache: ReadCache,
        epochs: SharedEpochs,
        lease: Lease,
        staleness_seconds: float,
        monotonic: Callable[[], float],
        observer: CacheObserver,
    ) -> None:
        """``beat_channel`` names a channel of this process alone, at each subscription; it may raise StoreError.

        ``staleness_seconds`` is what the lease promises.
        """
        self._engine = engine
        self._connector = connector
        self._resolve = resolve
        self._ended = keyspace.ended_channel()
        self._beat_channel = beat_channel
        self._beats = b""
        self._epochs_changed = keyspace.epochs_channel()
        self._cache = cache
        self._epochs = epochs
        self._lease = lease
        self._staleness_seconds = staleness_seconds
        self._pause = staleness_seconds / BEATS_PER_LEASE
        self._monotonic = monotonic
        self._observer = observer
        self._sent: OrderedDict[int, float] = OrderedDict()
        self._number = 0
        self._lost = asyncio.Event()
        self._subscription: RedisLink | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Subscribe, and stay subscribed, in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._stay_subscribed())

    async def stop(self) -> None:
        """End the subscription and the lease."""
        if self._task is not None:
            await end_tasks([self._task])
            self._task = None
        self._lease.until = float("-inf")

    async def _stay_subscribed(self) -> None:
        while True:
            with suppress(StoreError):
                await self._listen()
            self._observer.subscribed(False)
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        """From one subscription to its loss."""
        self._lost.clear()
        self._beats = self._beat_channel()
        link = await self._connector.connect(await self._resolve(), self._note_lost, on_message=self._hear)
        try:
            await self._subscribe(link)
            # What was sent before this subscription proves nothing about it.
            self._sent.clear()
            self._cache.flush()
            self._epochs.miss()
            self._observer.subscribed(True)
            heard = self._monotonic()
            while not self._lost.is_set():
                self._beat()
                try:
                    async with asyncio.timeout(self._pause):
                        await self._lost.wait()
                except TimeoutError:
                    granted = self._lease.until - self._staleness_seconds
                    heard = max(heard, granted)
                    if self._engine.is_connected and self._monotonic() - heard > 2 * self._staleness_seconds:
                        raise StoreUnavailable("the subscription is silent") from None
        finally:
            link.abort(StoreUnavailable("the subscription has ended"))

    async def _subscribe(self, link: RedisLink) -> None:
        try:
            async with asyncio.timeout(self._staleness_seconds):
                for channel in (self._ended, self._epochs_changed, self._beats):
                    await link.call("SUBSCRIBE", channel)
        except TimeoutError:
            raise StoreUnavailable("Redis did not confirm a subscription in time") from None

    def _beat(self) -> None:
        self._number += 1
        self._sent[self._number] = self._monotonic()
        while len(self._sent) > 2 * BEATS_PER_LEASE:
            self._sent.popitem(last=False)
        try:
            beat = self._engine.run(self._beats, b"EVAL", BEAT.source, 1, self._beats, self._number)
        except StoreError:
            return
        beat.add_done_callback(_look_at)

    def _hear(self, channel: bytes, message: bytes) -> None:
        if channel == self._ended:
            try:
                self._cache.drop(list(read_names(message)))
            except ValueError:
                self._cache.flush()
            return
        if channel == self._epochs_changed:
            self._epochs.hear(message)
            return
        sent_at = self._sent.pop(int(message), None) if message.isdigit() else None
        if sent_at is not None:
            self._lease.until = max(self._lease.until, sent_at + self._staleness_seconds)
            self._observer.propagation(self._monotonic() - sent_at)

    def _note_lost(self, link: RedisLink) -> None:
        self._lost.set()


def _look_at(beat: asyncio.Future[object]) -> None:
    """A beat that failed grants no lease; that is all there is to it."""
    if not beat.cancelled():
        beat.exception()
