"""A TCP proxy that a test can slow down, cut in the middle of anything, or unplug."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

_ENDED = (OSError, RuntimeError)
"""What writing to a connection raises that has ended: uvloop has a RuntimeError for it."""
_PIECE = 65_536


class Cable:
    """Forwards connections to a port of 127.0.0.1, whatever a test does to it."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.delay_seconds = 0.0
        """How long every piece of a reply is held back."""
        self.cut_after_bytes: int | None = None
        """The next connection whose replies pass this many bytes is cut there, once."""
        self.lose_answer_to: bytes | None = None
        """What holds this reaches the other end once, its answer does not come back, and the cable is unplugged."""
        self.unplugged = False
        """Connections are accepted and nothing passes."""
        self.silent_subscriptions = False
        """Nothing comes back on connections that have subscribed to something."""
        self.prompt_subscriptions = False
        """What comes back on connections that have subscribed to something is not held back."""
        self.cuts = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    def cut(self) -> None:
        """End every connection now."""
        for writer in tuple(self._writers):
            writer.transport.abort()
        self.cuts += 1

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(far_writer)
        try:
            subscribed, deaf = asyncio.Event(), asyncio.Event()
            await asyncio.gather(
                self._forward(reader, far_writer, subscribed, deaf), self._return(far_reader, writer, subscribed, deaf)
            )
        finally:
            for one in (writer, far_writer):
                one.transport.abort()
                self._writers.discard(one)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        subscribed: asyncio.Event,
        deaf: asyncio.Event,
    ) -> None:
        with suppress(*_ENDED):
            while data := await reader.read(_PIECE):
                if b"SUBSCRIBE" in data:
                    subscribed.set()
                if self.lose_answer_to is not None and self.lose_answer_to in data:
                    self.lose_answer_to = None
                    deaf.set()
                    writer.write(data)
                    await writer.drain()
                    continue
                if not self.unplugged:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()

    async def _return(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        subscribed: asyncio.Event,
        deaf: asyncio.Event,
    ) -> None:
        passed = 0
        with suppress(*_ENDED):
            while data := await reader.read(_PIECE):
                if deaf.is_set():
                    self.unplugged = True
                    self.cut()
                    break
                if self.delay_seconds and not (self.prompt_subscriptions and subscribed.is_set()):
                    await asyncio.sleep(self.delay_seconds)
                limit = self.cut_after_bytes
                if limit is not None and passed + len(data) >= limit:
                    self.cut_after_bytes = None
                    self.cuts += 1
                    writer.write(data[: max(0, limit - passed)])
                    await asyncio.sleep(0)
                    break
                passed += len(data)
                if not self.unplugged and not (self.silent_subscriptions and subscribed.is_set()):
                    writer.write(data)
                    await writer.drain()
        writer.close()
