"""Accepting connections for TLS: a bounded number of handshakes at a time.

A connection counts at the listener once its handshake is done (:mod:`app.web.connections`). What comes before must be
bounded too: clients that open connections and never speak would take every descriptor, and with them the probes'.

Rules:
- Past ``max_waiting`` unfinished handshakes one more takes the place of the oldest of the address that has most of
  them: a client that does its part is done in milliseconds, and who holds them open crowds out itself alone. A
  handshake ends after :data:`~app.web.tls.HANDSHAKE_SECONDS`.
- Whatever goes wrong with one connection ends that one.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from app.web.tls import HANDSHAKE_SECONDS

MAX_WAITING = 512
"""As large a crowd of one address may come at once and be served: who has no place left takes one from another. Each
takes a descriptor, and about 60 kB until it is done or was collected (65 MB more under a flood of them)."""
ACCEPTED_AT_ONCE = 16
"""Connections that a listener takes in one turn of the loop. libuv takes one when it is told that there are some, and a
turn lasts as long as the requests in it: of a thousand clients that come at once, the last would wait for seconds."""
_PAUSE_SECONDS = 0.05
"""After an accept that failed, for want of descriptors mostly."""


class Handshakes:
    """A listening socket; what :class:`asyncio.Server` is to uvicorn."""

    def __init__(
        self,
        listening: socket.socket,
        connection: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
        *,
        backlog: int,
        max_waiting: int = MAX_WAITING,
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        self.sockets = (listening,)
        self._socket = listening
        self._connection = connection
        self._context = context
        self._max_waiting = max_waiting
        self._handshake_seconds = handshake_seconds
        self._waiting: dict[asyncio.Task[None], str] = {}
        """By age, with the address that each comes from."""
        listening.setblocking(False)
        listening.listen(backlog)
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    @property
    def waiting(self) -> int:
        """Handshakes that are under way."""
        return len(self._waiting)

    def close(self) -> None:
        """Accept nothing more; handshakes under way end."""
        self._accepting.cancel()
        for task in self._waiting:
            task.cancel()
        self._socket.close()

    async def wait_closed(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.wait([self._accepting, *self._waiting])

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._begin(*await loop.sock_accept(self._socket))
                for _ in range(ACCEPTED_AT_ONCE - 1):
                    self._begin(*self._socket.accept())
                await asyncio.sleep(0)  # those that were taken have a turn before more are
            except BlockingIOError:
                continue  # these were all
            except OSError:
                await asyncio.sleep(_PAUSE_SECONDS)

    def _begin(self, accepted: socket.socket, peer: object) -> None:
        accepted.setblocking(False)
        if len(self._waiting) >= self._max_waiting:
            self._make_room()
        task = asyncio.get_running_loop().create_task(self._shake_hands(accepted))
        self._waiting[task] = str(peer[0]) if isinstance(peer, tuple) else ""
        task.add_done_callback(self._forget)

    def _make_room(self) -> None:
        """End the oldest handshake of the address that has most of them."""
        crowding, _ = Counter(self._waiting.values()).most_common(1)[0]
        oldest = next(task for task, address in self._waiting.items() if address == crowding)
        del self._waiting[oldest]
        oldest.cancel()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._waiting.pop(task, None)

    async def _shake_hands(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):  # ssl.SSLError and ConnectionError are
            await loop.connect_accepted_socket(
                self._connection, accepted, ssl=self._context, ssl_handshake_timeout=self._handshake_seconds
            )
            return
        accepted.close()
