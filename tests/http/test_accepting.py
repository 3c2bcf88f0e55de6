"""How listeners take connections, on the event loop that the service runs on."""

import asyncio
import secrets
import signal
import socket
from collections import Counter

import pytest
import uvloop

from app.web import serving
from app.web.asgi import Message, Receive, Send
from app.web.connections import Connection
from app.web.serving import Draining, Listener, bind, serve

CROWD = 80
TURNS = 5


async def nothing(_scope: Message, _receive: Receive, _send: Send) -> None:
    """An application that nobody asks."""


def test_clients_that_come_at_once_are_taken_many_in_each_turn_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    turn, taken = 0, Counter[int]()

    class Seen(Connection):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            taken[turn] += 1
            super().connection_made(transport)

    monkeypatch.setattr(serving, "Connection", Seen)
    listening = bind("BIND_ADDR", "127.0.0.1", 0)
    address = listening.getsockname()
    clients: list[socket.socket] = []

    async def count_turns() -> None:
        nonlocal turn
        while taken.total() < CROWD and turn < 100 * CROWD:
            turn += 1
            await asyncio.sleep(0)
        signal.raise_signal(signal.SIGTERM)

    def come() -> None:
        # The loop stands still meanwhile: the kernel keeps those that have come, up to the backlog.
        clients.extend(socket.create_connection(address) for _ in range(CROWD))
        asyncio.get_running_loop().create_task(count_turns())

    uvloop.run(
        serve(
            [Listener("public", nothing, listening, keep_alive_seconds=5)],
            Draining(),
            drain_seconds=0,
            random_bytes=secrets.token_bytes,
            on_listening=come,
        )
    )
    assert taken.total() == CROWD
    assert len(taken) <= TURNS, taken
    assert max(taken.values()) <= CROWD // TURNS, f"others wait for {taken}"
    for client in clients:
        client.close()
    with pytest.raises(ConnectionRefusedError):  # no descriptor of it was left open
        socket.create_connection(address)
