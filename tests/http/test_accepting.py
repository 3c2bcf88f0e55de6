"""How a listener takes connections that come at once, on the event loop that the service runs on."""

import asyncio
import contextlib
import math
import signal
import socket
from collections import Counter
from collections.abc import Iterator

import pytest

from app.web import serving
from app.web.asgi import Message, Receive, Send
from app.web.connections import Connection
from app.web.serving import Listener, bind
from tests.programs.in_process import serve_until_signalled

CROWD = 80
TURNS = 5
"""Of the loop, in which all of them are taken."""
AT_ONCE = CROWD // TURNS
PLACES = 4


async def nothing(_scope: Message, _receive: Receive, _send: Send) -> None:
    """An application that nobody asks."""


class Crowd:
    """Clients that have all come before the loop takes the first of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, size: int, max_connections: float = math.inf) -> None:
        self.size = size
        self.turn = 0
        self.taken = Counter[int]()
        """How many in each turn of the loop."""
        self.heard: list[bytes] = []
        """What each was sent within a tenth of a second."""
        taken, crowd = self.taken, self

        class Seen(Connection):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                taken[crowd.turn] += 1
                super().connection_made(transport)

        monkeypatch.setattr(serving, "Connection", Seen)
        listening = bind("BIND_ADDR", "127.0.0.1", 0)
        self.address = listening.getsockname()
        self._clients: list[socket.socket] = []
        self._listener = Listener("public", nothing, listening, keep_alive_seconds=5, max_connections=max_connections)

    def run(self) -> None:
        try:
            serve_until_signalled(self._listener, self._come)
        finally:
            for client in self._clients:
                client.close()

    def _come(self) -> None:
        # The loop stands still meanwhile: the kernel keeps those that have come, up to the backlog.
        self._clients.extend(socket.create_connection(self.address) for _ in range(self.size))
        asyncio.get_running_loop().create_task(self._count_turns())

    async def _count_turns(self) -> None:
        while self.taken.total() < self.size and self.turn < 100 * self.size:
            self.turn += 1
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)  # what was written last is sent
        self.heard = list(self._hear())
        signal.raise_signal(signal.SIGTERM)

    def _hear(self) -> Iterator[bytes]:
        for client in self._clients:
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                yield client.recv(4096)


def test_clients_that_come_at_once_are_taken_many_in_each_turn_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = Crowd(monkeypatch, CROWD)
    crowd.run()
    assert crowd.taken.total() == CROWD
    assert len(crowd.taken) <= TURNS, crowd.taken
    assert max(crowd.taken.values()) <= AT_ONCE, f"others wait for {crowd.taken}"
    assert crowd.heard == []
    with pytest.raises(ConnectionRefusedError):  # no descriptor of it was left open
        socket.create_connection(crowd.address)


def test_of_those_that_come_at_once_the_first_have_the_places_and_the_others_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crowd = Crowd(monkeypatch, AT_ONCE, max_connections=PLACES)
    crowd.run()
    told = [heard for heard in crowd.heard if heard.startswith(b"HTTP/1.1 503 ")]
    assert len(told) >= AT_ONCE - 2 * PLACES  # of a turn that takes long, some count as idle before it is over
