"""One connection to Redis, shared by any number of operations at a time.

Rules:
- Replies are matched to operations by their order alone. Whatever makes that order doubtful (an unexpected reply, a
  broken frame, a lost connection, silence) ends the connection and fails everything that waits on it; a connection
  that is lost is never written to again. No operation is ever answered with another's reply.
- An operation that is given up on keeps its place in the order until its reply has come.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, cast

import hiredis

from app.storage.interface import StoreError, StoreUnavailable
from app.storage.redis.errors import ENDS_THE_CONNECTION, again, error_code, translate

_INCOMPLETE = object()

Waiting = asyncio.Future[Any] | list[asyncio.Future[Any]]
"""Who waits for a reply: one operation, or all the reads that went out as one MGET."""


def pack(*arguments: bytes | str | int) -> bytes:
    """A command as Redis reads it."""
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]
    return packed


class RedisLink(asyncio.Protocol):
    """A connection, usable once asyncio has made it.

    ``on_lost`` is called once, after ``lost`` has the reason and everything that waited has failed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deadline_seconds: float,
        on_lost: Callable[["RedisLink"], None],
        on_message: Callable[[bytes, bytes], None] | None = None,
    ) -> None:
        """``on_message`` is called with channel and message if the connection subscribes to any."""
        self._loop = loop
        self._on_message = on_message
        self._deadline_seconds = deadline_seconds
        self._on_lost = on_lost
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Waiting] = deque()
        self._sent_at: deque[tuple[float, int]] = deque()
        """When a batch left, and the number of its last reply."""
        self._sent = 0
        self._answered = 0
        self._last_progress = 0.0
        self.operations = 0
        """How many operations wait for a reply."""
        self.lost: StoreError | None = None
        """Why the connection ended; None while it stands."""

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        if self.lost is not None:  # given up on while it was being made
            self._transport.abort()
        self._last_progress = self._loop.time()

    def data_received(self, data: bytes) -> None:
        self._last_progress = self._loop.time()
        reader = self._reader
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _INCOMPLETE:
                self._answer(reply)
                if self.lost is not None:
                    return
        except hiredis.ProtocolError:
            self.abort(StoreUnavailable("Redis sent bytes that are no reply"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.abort(StoreUnavailable("the connection to Redis was lost"))

    # What the node calls.

    def send(self, packed: bytes, waiting: Sequence[Waiting], operations: int) -> None:
        """Write commands; each element of ``waiting`` gets one reply, in order. Only while ``lost`` is None."""
        now = self._loop.time()
        if not self._waiting:
            self._last_progress = now
        self._waiting.extend(waiting)
        self._sent += len(waiting)
        self.operations += operations
        self._sent_at.append((now, self._sent))
        if self._transport is not None:
            self._transport.write(packed)

    def call(self, *arguments: bytes | str | int) -> asyncio.Future[Any]:
        """One command by itself, for what does not pass through batches."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self.lost is not None:
            future.set_exception(again(self.lost))
        else:
            self.send(pack(*arguments), (future,), 1)
        return future

    def excuse(self, seconds: float) -> None:
        """Do not count these last seconds, in which this process itself did not run, as Redis's silence."""
        now = self._loop.time()
        self._last_progress = min(now, self._last_progress + seconds)
        self._sent_at = deque((min(now, at + seconds), last) for at, last in self._sent_at)

    def check_deadlines(self) -> bool:
        """Fail what has waited too long. Whether the connection has been silent for as long, and was ended for it."""
        now = self._loop.time()
        while self._sent_at and self._sent_at[0][1] <= self._answered:
            self._sent_at.popleft()
        if self._waiting and now - self._last_progress >= self._deadline_seconds:
            self.abort_silent()
            return True
        overdue = self._answered
        while self._sent_at and now - self._sent_at[0][0] >= self._deadline_seconds:
            overdue = self._sent_at.popleft()[1]
        for waiting in islice(self._waiting, overdue - self._answered):
            _fail(waiting, StoreUnavailable(f"Redis did not answer within {self._deadline_seconds} s"))
        return False

    def abort_silent(self) -> None:
        """End the connection if nothing was heard on it for as long as an operation may take."""
        if self._loop.time() - self._last_progress >= self._deadline_seconds:
            self.abort(StoreUnavailable(f"Redis has been silent for {self._deadline_seconds} s"))

    def abort(self, reason: StoreError) -> None:
        """End the connection now and fail everything that waits on it."""
        if self.lost is not None:
            return
        self.lost = reason
        if self._transport is not None:
            self._transport.abort()
        waiting, self._waiting = self._waiting, deque()
        self.operations = 0
        for entry in waiting:
            _fail(entry, reason)
        self._on_lost(self)

    def _answer(self, reply: Any) -> None:
        if self._on_message is not None and isinstance(reply, list) and reply and reply[0] == b"message":
            self._on_message(reply[1], reply[2])
            return
        if not self._waiting:
            self.abort(StoreUnavailable("Redis sent a reply that nothing waits for"))
            return
        waiting = self._waiting.popleft()
        self._answered += 1
        if isinstance(waiting, list):
            self._answer_reads(waiting, reply)
            return
        self.operations -= 1
        if isinstance(reply, Exception):
            self._answer_error([waiting], reply)
        elif not waiting.done():
            waiting.set_result(reply)

    def _answer_reads(self, waiting: list[asyncio.Future[Any]], reply: Any) -> None:
        self.operations -= len(waiting)
        if isinstance(reply, Exception):
            self._answer_error(waiting, reply)
        elif not isinstance(reply, list) or len(reply) != len(waiting):
            reason = StoreUnavailable("Redis answered reads with something else")
            _fail(waiting, reason)
            self.abort(reason)
        else:
            for future, value in zip(waiting, reply, strict=True):
                if not future.done():
                    future.set_result(value)

    def _answer_error(self, waiting: list[asyncio.Future[Any]], reply: Exception) -> None:
        reason = translate(reply)
        _fail(waiting, reason)
        if error_code(reply) in ENDS_THE_CONNECTION:
            self.abort(reason)


def _fail(waiting: Waiting, reason: StoreError) -> None:
    for future in waiting if isinstance(waiting, list) else (waiting,):
        if not future.done():
            future.set_exception(again(reason))
