"""What a connection held is freed when it ends, and not by some collection to come: a flood is faster than those."""

import asyncio
import gc
import signal
import socket
import weakref
from typing import Any

import pytest

from app.web import serving
from app.web.asgi import Message, Receive, Send
from app.web.connections import Connection
from app.web.heads import HEAD_BYTES
from app.web.hot_connections import HotConnection, HotTable
from app.web.serving import Listener, bind
from tests.programs.in_process import serve_until_signalled

WHOLE = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
LARGER, MUCH_LARGER = (
    b"GET / HTTP/1.1\r\nhost: x\r\nx-large: " + b"a" * size + b"\r\n\r\n" for size in (HEAD_BYTES, 2 * HEAD_BYTES)
)
edge: Any = None
NO_HOT_ROUTES = HotTable(edge, {})


async def answer(_scope: Message, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@pytest.mark.parametrize(
    ("sent", "status"),
    [(WHOLE, b"204"), (LARGER, b"431"), (MUCH_LARGER, b"431"), (b"nonsense\r\n\r\n", b"400"), (b"GET / HT", b"")],
)
def test_a_connection_that_ended_is_freed_without_a_collection(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, status: bytes
) -> None:
    made: list[weakref.ref[Connection]] = []
    answers: list[bytes] = []

    class Seen(HotConnection):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            made.append(weakref.ref(self))
            super().connection_made(transport)

    monkeypatch.setattr(serving, "HotConnection", Seen)
    listening = bind("BIND_ADDR", "127.0.0.1", 0)
    address = listening.getsockname()

    def ask() -> None:
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            answers.append(client.recv(65_536))

    async def ask_and_wait() -> None:
        await asyncio.to_thread(ask)
        for _ in range(100):
            if all(one() is None for one in made):
                break
            await asyncio.sleep(0.01)
        signal.raise_signal(signal.SIGTERM)

    tasks: list[asyncio.Task[None]] = []
    gc.collect()
    gc.disable()
    try:
        serve_until_signalled(
            Listener("public", answer, listening, keep_alive_seconds=5, hot=NO_HOT_ROUTES),
            lambda: tasks.append(asyncio.get_running_loop().create_task(ask_and_wait())),
        )
        assert [one() for one in made] == [None]
    finally:
        gc.enable()
    assert answers[0][9:12] == status
