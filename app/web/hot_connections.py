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
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.endpoints.exchange import FinishedHeaders, Request, Response, header_lines
from app.protocol.errors import ProtocolError
from app.protocol.form import BODY_LIMIT_BYTES, too_large
from app.web.connections import WAITING, Connection
from app.web.edge import Edge
from app.web.request_heads import read_fields
from app.web.routes import Route

_KNOWN_BYTES = 2048
"""Longer requests are parsed each time: what a connection remembers is small."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BODILESS = frozenset({204, 304})


class HotTable(msgspec.Struct, frozen=True):
    """What a listener answers in front of its application."""

    edge: Edge
    routes: Mapping[bytes, Route]
    """By the request target: the path alone, as it is sent."""


_copy: Callable[[Request], Request] = Request.__copy__  # type: ignore[attr-defined]  # msgspec does not declare it


class _Nobody:
    """Stands where others wait for a request's next event."""

    def set(self) -> None: ...


class _Exchange:
    """A hot request and how far it is: what a connection asks of any request that it holds."""

    __slots__ = (
        "announced",
        "body",
        "disconnected",
        "has_own_id",
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


class _KnownHead(msgspec.Struct, frozen=True, gc=False):
    """A head that was parsed and checked on this connection, byte for byte, and what it came to."""

    head: bytes
    length: int
    """Of the whole request: the head and the body that it announces."""
    request: Request
    """Without its body, as the edge is given it."""
    has_own_id: bool
    """Whether the request id is the client's."""


class HotConnection(Connection):
    """A connection of a listener with hot routes."""

    def __init__(self, *arguments: Any, hot: HotTable, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._edge = hot.edge
        self._routes = hot.routes
        self._exchange: _Exchange | None = None  # the request that is read, if it is answered here
        self._at_once = 0  # how many were answered since the loop's turn began
        self._known: _KnownHead | None = None  # the head that came last
        self._between = False  # whether the parser is between that request and the next one
        self._begun: _KnownHead | None = None  # like ``_known``, of the request that is read; its head is not cut yet

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless it is known what that comes to."""
        known, exchange = self._known, self._exchange
        if (
            known is not None
            and self._between
            and len(data) == known.length
            and exchange is not None
            and exchange.response_complete
            and data.startswith(known.head)
            and not self.flow.write_paused
            and not self.transport.is_closing()
            and self.loop.time() < self._leaves_at
        ):
            request = exchange.request = _copy(known.request)
            request.body = data[len(known.head) :]
            if not known.has_own_id:
                request.request_id = self._edge.new_request_id()
            exchange.response_started = exchange.response_complete = False
            self._idle_since = math.inf
            self._answer(exchange)
            return
        self._between = False
        self._begun = None
        self._at_once = 0
        super().data_received(data)
        self._remember(data)

    def _remember(self, data: bytes) -> None:
        """Keep the head of the one request that ``data`` was, from its first byte to its last.

        Services call over pools of connections, and send the same head each time: the same client, the same route, a
        token of the same length. What the parser makes of a head depends on its bytes alone when they begin a message.
        """
        begun, exchange = self._begun, self._exchange
        if begun is None or exchange is None or exchange.more_body or self._at_once != 1 or len(data) > _KNOWN_BYTES:
            return
        end = data.find(b"\r\n\r\n") + 4
        if len(data) - end != begun.length or not data[:1].isalpha():
            return  # it began before, or more came with it
        self._known = msgspec.structs.replace(begun, head=data[:end], length=len(data))
        self._between = True

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
        announced, has_own_id = read_fields(self._edge, request, self.headers)
        exchange = _Exchange(route, request, keep_alive=self._keeps_alive(version))
        self.cycle = self._running = self._exchange = exchange  # type: ignore[assignment]
        if announced > BODY_LIMIT_BYTES:
            self._refuse_body(exchange, too_large())
        elif self.expect_100_continue:
            self.transport.write(_CONTINUE)
        elif exchange.keep_alive:
            self._begun = _KnownHead(b"", announced, _copy(request), has_own_id)

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
        exchange.body = b""
        self._answer(exchange)

    def _answer(self, exchange: _Exchange) -> None:
        """Answer a request that is whole, now or when its answer is there."""
        response = self._edge.answer(exchange.route, exchange.request)
        if type(response) is Response:
            self._send(exchange, response)
            self.server_state.total_requests += 1
            self._await_next()
        else:
            task = self.loop.create_task(self._send_later(exchange, response))  # type: ignore[arg-type]
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
        status, body, headers = response.status, response.body, response.headers
        own = headers.lines() if isinstance(headers, FinishedHeaders) else header_lines(headers)
        start = _status_and_date(status, self.server_state.default_headers)
        keep_alive = exchange.keep_alive
        ends = _END if keep_alive or response.closes else _CLOSE_AND_END
        exchange.response_started = exchange.response_complete = True
        if status in _BODILESS:
            self.transport.write(b"%b%b%b" % (start, own, ends))
        elif exchange.request.method == "HEAD":
            self.transport.write(b"%b%bcontent-length: %d%b" % (start, own, len(body), b"\r\n" + ends))
        else:
            self.transport.write(b"%b%bcontent-length: %d\r\n%b%b" % (start, own, len(body), ends, body))
        if response.closes or not keep_alive:
            self.transport.close()


_END = b"\r\n"
_CLOSE_AND_END = b"connection: close\r\n\r\n"
_starts: dict[int, bytes] = {}
_starts_of: list[list[tuple[bytes, bytes]]] = [[]]


def _status_and_date(status: int, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """How a response begins; uvicorn makes the default headers anew every second, for all connections."""
    if _starts_of[0] is not default_headers:
        _starts_of[0] = default_headers
        _starts.clear()
    start = _starts.get(status)
    if start is None:
        start = _starts[status] = STATUS_LINE[status] + header_lines(default_headers)
    return start
