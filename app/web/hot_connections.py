"""Hot routes inside the parser's callback: between a request's last byte and its answer no task, no scope, no message.

:class:`HotConnection` is a :class:`~app.web.connections.Connection` that answers a hot route by itself when it can, and
hands every other request to the ASGI application, which answers the same routes the same way.

Rules:
- A request is answered here only if its turn has come when its head is complete, and the client reads what it is sent.
  Whatever comes while another is waiting for its answer takes its place in the ordinary queue, so order is kept.
- Bytes that came at once get so many answers at once as may wait otherwise, then other connections have their turn.
- An answer that waits for the store waits in a task of the server's: SIGTERM waits for it, the client's leaving does
  not end it (a write is never left half way), and nothing is sent to who has left.
- Nothing that follows the end of a connection is looked at (RFC 9112 section 9.6).
"""

import math
from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.endpoints.exchange import Request, Response
from app.protocol.errors import ProtocolError
from app.protocol.form import BODY_LIMIT_BYTES, too_large
from app.web.connections import WAITING, Connection
from app.web.edge import Edge
from app.web.request_heads import read_fields
from app.web.routes import Route

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BODILESS = frozenset({204, 304})


class HotTable(msgspec.Struct, frozen=True):
    """What a listener answers in front of its application."""

    edge: Edge
    routes: Mapping[bytes, Route]
    """By the request target: the path alone, as it is sent."""


class _Nobody:
    """Stands where others wait for a request's next event."""

    def set(self) -> None: ...


class _Exchange:
    """A hot request and how far it is: what a connection asks of any request that it holds."""

    __slots__ = (
        "body",
        "disconnected",
        "keep_alive",
        "more_body",
        "request",
        "response_complete",
        "response_started",
        "route",
    )
    message_event = _Nobody()

    def __init__(self, route: Route, request: Request, *, keep_alive: bool) -> None:
        self.route = route
        self.request = request
        self.keep_alive = keep_alive
        self.body: bytes | bytearray = b""
        self.more_body = True
        self.disconnected = False
        self.response_started = self.response_complete = False


class HotConnection(Connection):
    """A connection of a listener with hot routes."""

    def __init__(self, *arguments: Any, hot: HotTable, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._edge = hot.edge
        self._routes = hot.routes
        self._exchange: _Exchange | None = None  # the request that is read, if it is answered here
        self._at_once = 0  # how many were answered since the loop's turn began

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._at_once = 0
        super().data_received(data)

    def _parse_rest(self) -> None:
        self._at_once = 0
        super()._parse_rest()

    def _begin(self, version: str) -> None:
        route = self._routes.get(self.url)
        if (
            route is None
            or self._at_once >= WAITING
            or not self._may_answer_now()
            or self.flow.write_paused
            or self.transport.is_closing()
        ):
            self._exchange = None
            super()._begin(version)
            return
        self._at_once += 1
        request = Request(self.parser.get_method().decode("ascii"), peer=self.client[0] if self.client else None)
        announced = read_fields(self._edge, request, self.headers)
        exchange = _Exchange(route, request, keep_alive=self._keeps_alive(version))
        self.cycle = self._running = self._exchange = exchange  # type: ignore[assignment]
        if announced > BODY_LIMIT_BYTES:
            self._refuse_body(exchange, too_large())
        elif self.expect_100_continue:
            self.transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            super().on_body(body)
            return
        self._counting = False
        if exchange.response_complete:
            return
        if not exchange.body:
            exchange.body = body
        else:
            if isinstance(exchange.body, bytes):
                exchange.body = bytearray(exchange.body)  # which grows in place
            exchange.body += body
        if len(exchange.body) > BODY_LIMIT_BYTES:
            self._refuse_body(exchange, too_large())

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if exchange is None:
            super().on_message_complete()
            return
        self._counting = False
        self._begun_at = math.inf
        exchange.more_body = False
        if exchange.response_complete or self.parser.should_upgrade():
            return
        exchange.request.body = bytes(exchange.body)
        response = self._edge.answer(exchange.route, exchange.request)
        if isinstance(response, Response):
            self._send(exchange, response)
            self.server_state.total_requests += 1
            self._await_next()
        else:
            task = self.loop.create_task(self._send_later(exchange, response))
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)

    async def _send_later(self, exchange: _Exchange, answer: Awaitable[Response]) -> None:
        """Send an answer that must be waited for, then go on with what came meanwhile."""
        try:
            response = await answer
            if self.flow.write_paused:
                await self.flow.drain()
        except BaseException:
            self.transport.close()  # told to stop: the client sees that there is no answer
            raise
        if not exchange.disconnected and not self.transport.is_closing():
            self._send(exchange, response)
        exchange.response_complete = True
        self.on_response_complete()

    def _refuse_body(self, exchange: _Exchange, refusal: ProtocolError) -> None:
        """Refuse a body without reading it, which ends the connection: its end is not known."""
        exchange.keep_alive = False
        self._send(exchange, self._edge.refuse(exchange.route, exchange.request, refusal))
        self.server_state.total_requests += 1

    def _send(self, exchange: _Exchange, response: Response) -> None:
        """Send a finished response in one piece."""
        status, body = response.status, response.body
        lines = [b"%s: %s" % header for header in (*self.server_state.default_headers, *response.headers)]
        if status not in _BODILESS:
            lines.append(b"content-length: %d" % len(body))
        keep_alive = exchange.keep_alive and (b"connection", b"close") not in response.headers
        if not keep_alive and (b"connection", b"close") not in response.headers:
            lines.append(b"connection: close")
        sends_body = status not in _BODILESS and exchange.request.method != "HEAD"
        exchange.response_started = exchange.response_complete = True
        self.transport.write(
            b"".join((STATUS_LINE[status], b"\r\n".join(lines), b"\r\n\r\n", body if sends_body else b""))
        )
        if not keep_alive:
            self.transport.close()
