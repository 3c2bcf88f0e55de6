"""Requests at a pace that does not wait for answers, as attackers send them, from a thread with a loop of its own.

A request that is due goes out on a connection that is free, or on a new one: slow answers make connections more, not
requests fewer.
"""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Self

_MAX_CONNECTIONS = 2000


class PacedRequests:
    """Sends ``make(number)`` so many times a second from the start of a ``with`` block to its end."""

    def __init__(self, address: tuple[str, int], make: Callable[[int], bytes], per_second: float) -> None:
        self.statuses: Counter[int] = Counter()
        """Of the answers so far; 0 for what broke."""
        self.sent = 0
        self._address = address
        self._make = make
        self._interval = 1 / per_second
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._stopping.set()
        self._thread.join(30)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due, under_way = loop.time(), set[asyncio.Task[None]]()
        while not self._stopping.is_set():
            while due <= loop.time() and len(under_way) < _MAX_CONNECTIONS:
                task = loop.create_task(self._send(self._make(self.sent)))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                self.sent += 1
                due += self._interval
            await asyncio.sleep(max(0.0, min(due - loop.time(), 0.01)))
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        for _, writer in self._free:
            writer.close()

    async def _send(self, request: bytes) -> None:
        status = 0
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
            reader, writer = self._free.pop() if self._free else await asyncio.open_connection(*self._address)
            with _closing_unless_done(writer) as done:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(_content_length(head))
                status = int(head[9:12])
                if b"\r\nconnection: close\r\n" not in head:
                    self._free.append((reader, writer))
                    done.append(True)
        self.statuses[status] += 1


@contextlib.contextmanager
def _closing_unless_done(writer: asyncio.StreamWriter) -> Iterator[list[bool]]:
    done: list[bool] = []
    try:
        yield done
    finally:
        if not done:
            writer.close()


def _content_length(head: bytes) -> int:
    return int(head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
