"""Listening: one uvicorn server a listener, all on one event loop, stopped together.

What SIGTERM does: the process is draining; it stays open for a while, so that balancers can turn away, and tells every
client to close its connection; then it stops listening and lets the requests in flight finish. SIGINT (Ctrl-C), or a
second SIGTERM, ends the draining; one more signal, and it waits for no request either.
"""

import asyncio
import contextlib
import errno
import functools
import logging
import math
import signal
import socket
import ssl
from collections.abc import Callable, Generator, Sequence
from typing import Any

import msgspec
import uvicorn

from app.endpoints.exchange import Headers
from app.randomness import RandomBytes
from app.web.asgi import App
from app.web.connections import REQUEST_SECONDS, Connection
from app.web.handshakes import ACCEPTED_AT_ONCE, MAX_WAITING, Handshakes
from app.web.hot_connections import HotConnection, HotTable

logger = logging.getLogger("app.serving")

BACKLOG = 2048
FINISH_SECONDS = 30
"""How long requests in flight may take to finish once the listeners are closed."""

_STARTING_SECONDS = 0.005
"""uvicorn tells that it listens by a flag only."""


class CannotListen(Exception):
    """An address cannot be bound; the message says which, and why."""


class Listener(msgspec.Struct, frozen=True):
    """An application and the socket that it is served on."""

    name: str
    application: App
    socket: socket.socket
    keep_alive_seconds: int
    max_age_seconds: float = math.inf
    """How old a connection may get before an answer ends it."""
    request_seconds: float = REQUEST_SECONDS
    """How long a client may take to send the head of a request; a body may take three times as long."""
    max_connections: float = math.inf
    """How many there may be at once; math.inf for no limit."""
    transport_headers: Headers = ()
    """What the issuer's scheme adds to every response."""
    hot: HotTable | None = None
    """What is answered in front of the application, inside the parser's callback."""
    tls: ssl.SSLContext | None = None
    """For TLS and nothing else; None for plain HTTP."""
    max_handshakes: int = MAX_WAITING
    """Of TLS, at once."""


class Draining:
    """Whether the process is on its way out."""

    def __init__(self) -> None:
        self.active = False

    def __call__(self) -> bool:
        return self.active


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: the signals are for the whole process."""

    def __init__(self, config: uvicorn.Config, listener: Listener) -> None:
        super().__init__(config)
        self._listener = listener

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; with TLS handshakes are bounded, in number and in time."""
        tls, max_waiting = self._listener.tls, self._listener.max_handshakes
        if tls is None or sockets is None:
            await super().startup(sockets)
            return
        await self.lifespan.startup()
        made: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        connection = functools.partial(
            made,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self.servers = [
            Handshakes(each, connection, tls, backlog=self.config.backlog, max_waiting=max_waiting)  # type: ignore[misc]
            for each in sockets
        ]
        self.started = True

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def bind(name: str, host: str, port: int) -> socket.socket:
    """A bound TCP socket. Raises CannotListen."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(address)
    except OSError as error:
        reason = "another process listens there" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise CannotListen(f"{name}: cannot listen on {host}:{port}: {reason}") from None
    return bound


async def serve(
    listeners: Sequence[Listener],
    draining: Draining,
    drain_seconds: float,
    *,
    random_bytes: RandomBytes,
    on_listening: Callable[[], None] = lambda: None,
) -> None:
    """Serve until a signal ends it, then drain and return. ``on_listening`` is called once all listeners are open.

    The last listener in the sequence stays open longest: give the one that probes use last.
    """
    signals = _Signals()  # before any request is answered: who sees the service ready may end it
    servers = [_server(listener, random_bytes) for listener in listeners]
    running = [
        asyncio.ensure_future(server.serve(sockets=_descriptors(listener)))
        for server, listener in zip(servers, listeners, strict=True)
    ]
    try:
        while not all(s.started or task.done() for s, task in zip(servers, running, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(_STARTING_SECONDS)
        on_listening()
        await _drain(signals, draining, drain_seconds)
    finally:
        await _close(servers, running, signals)
    for task in running:
        task.result()


def _descriptors(listener: Listener) -> list[socket.socket]:
    """The listening socket, once for each connection that is taken in one turn: libuv takes one for each descriptor."""
    if listener.tls is not None:
        return [listener.socket]  # Handshakes take as many from one
    return [listener.socket, *(listener.socket.dup() for _ in range(ACCEPTED_AT_ONCE - 1))]


class _Signals:
    """What SIGTERM and SIGINT told the process so far: nothing, to drain, to close, to wait for no request."""

    def __init__(self) -> None:
        self.drain, self.close, self.hurry = asyncio.Event(), asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._advance)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)

    def _advance(self) -> None:
        for event in (self.drain, self.close, self.hurry):
            if not event.is_set():
                event.set()
                return

    def _interrupt(self) -> None:
        if not self.drain.is_set():
            self.drain.set()
        self._advance()


async def _drain(signals: _Signals, draining: Draining, seconds: float) -> None:
    """Wait for a signal, then drain until the time is over or another signal comes."""
    await signals.drain.wait()
    draining.active = True
    logger.info("draining for up to %g seconds", 0 if signals.close.is_set() else seconds)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(signals.close.wait(), seconds)
    signals.close.set()


async def _close(servers: Sequence[_Server], running: Sequence[asyncio.Future[None]], signals: _Signals) -> None:
    """Close the listeners, each once its requests are finished, and the last one after the others."""
    hurry: asyncio.Future[Any] = asyncio.ensure_future(signals.hurry.wait())

    async def close(server: _Server, task: asyncio.Future[None]) -> None:
        server.should_exit = True
        await asyncio.wait([task, hurry], timeout=FINISH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for connection in list(server.server_state.connections):
            # For the endpoint it is as if the client had gone away: no request is cancelled in the middle of a write.
            connection.transport.abort()
        await asyncio.wait([task])

    await asyncio.gather(*map(close, servers[:-1], running[:-1]))
    await close(servers[-1], running[-1])
    hurry.cancel()


def _server(listener: Listener, random_bytes: RandomBytes) -> _Server:
    connection: Callable[..., Connection] = functools.partial(
        Connection if listener.hot is None else functools.partial(HotConnection, hot=listener.hot),
        random_bytes=random_bytes,
        max_age_seconds=listener.max_age_seconds,
        request_seconds=listener.request_seconds,
        max_connections=listener.max_connections,
        transport_headers=listener.transport_headers,
    )
    return _Server(
        uvicorn.Config(
            listener.application,
            http=connection,  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the address of a request is the peer's, whatever its headers say
            backlog=BACKLOG,
            timeout_keep_alive=listener.keep_alive_seconds,
            timeout_graceful_shutdown=2 * FINISH_SECONDS,  # never reached: _close() is faster
        ),
        listener,
    )
