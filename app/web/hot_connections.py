"""Hot routes inside the parser's callback: between a request's last byte and its answer no task, no scope, no message.

:class:`HotConnection` is a :class:`~app.web.connections.Connection` that answers a hot route by itself when it can, and
hands every other request to the ASGI application, which answers the same routes the same way.

Rules:
- A request is answered here only if its turn has come when its head is complete, and the client reads what it is sent.
  Whatever comes while another is waiting for its answer takes its place in the ordinary queue, so order is kept.
- Bytes that came at once get so many answers at once as may wait otherwise, fewer where there are many connections, and
  then others have their turn: turns of the loop are short, and probes are answered in time.
- An answer that waits for the store waits in a task of the server's: SIGTERM waits for it, the client's leaving does
  not end it (a write is never left half way), and nothing is sent to who has left.
- Nothing that follows the end of a connection is looked at (RFC 9112 section 9.6).
- Of a request that is answered nothing is kept but its head, to know the next one like it, until the client is silent.
"""

import math
from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.endpoints.exchange import FinishedHeaders, FixedHeaders, Request, Response, header_lines
from app.protocol.errors import ProtocolError
from app.protocol.form import BODY_LIMIT_BYTES, too_large
from app.web.connections import WAITING, Connection
from app.web.edge import Edge
from app.web.known_heads import KnownHead, copy_request, known_head
from app.web.request_heads import read_fields
from app.web.routes import Route

_AT_ONCE_OF_ALL = 1024
"""Requests, beyond one of each connection, that the connections together get answered in one turn of the loop."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BODILESS = frozenset({204, 304})
_NO_REQUEST = Request("")
"""Stands for one that is answered: what it was may have been secret."""


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

    def __init__(self, route: Route, request: Request, *, keep_alive: bool, has_own_id: bool) -> None:
        self.route = route
        self.request = request
        self.keep_alive = keep_alive
        self.has_own_id = has_own_id
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
        self._known: KnownHead | None = None  # the head that came last, while the parser is between it and the next
        self._begun = False  # whether the head of the request that is read may come to be known

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless it is known what that comes to."""
        known, exchange = self._known, self._exchange
        if (
            known is not None
            and len(data) == known.length
            and data.startswith(known.head)
            and exchange is not None
            and exchange.response_complete
            and not self.flow.write_paused
            and not self.transport.is_closing()
        ):
            now, edge = self.loop.time(), self._edge
            request = copy_request(known.request)
            if now < self._leaves_at and (known.varying is None or known.varying.read(data, request)):
                request.body = data[known.body_at :]
                if not known.has_own_id:
                    request.request_id = edge.new_request_id()
                exchange.request = request
                response = edge.answer(exchange.route, request)
                if isinstance(response, Response):
                    self._send(exchange, response)
                    exchange.request = _NO_REQUEST
                    self.server_state.total_requests += 1
                    self._idle_since = now
                    return
                exchange.response_started = exchange.response_complete = False
                self._idle_since = math.inf
                self._send_when_there(exchange, response)
                return
        self._known = None
        self._begun = False
        self._at_once = 0
        between = self._begun_at == math.inf  # two messages, as the parser is when a known head is looked at
        super().data_received(data)
        if between and self._begun:
            self._remember(data)
        self._forget_answered()

    def _forget_answered(self) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.response_complete:
            exchange.request = _NO_REQUEST

    def _forget(self) -> None:
        self._known = None
        super()._forget()

    def _remember(self, data: bytes) -> None:
        """Keep the head of the one request that ``data`` was, from its first byte to its last."""
        exchange = self._exchange
        if exchange is not None and not exchange.more_body and self._at_once == 1:
            self._known = known_head(data, exchange.request, self.headers, has_own_id=exchange.has_own_id)

    def _parse_rest(self) -> None:
        self._at_once = 0
        super()._parse_rest()
        self._forget_answered()

    def _begin(self, version: str) -> None:
        route = self._routes.get(self.url)
        if (
            route is None
            or (self._at_once and self._at_once >= self._share())
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
        exchange = _Exchange(route, request, keep_alive=self._keeps_alive(version), has_own_id=has_own_id)
        self.cycle = self._running = self._exchange = exchange  # type: ignore[assignment]
        if announced > BODY_LIMIT_BYTES:
            self._refuse_body(exchange, too_large())
        elif self.expect_100_continue:
            self.transport.write(_CONTINUE)
        elif exchange.keep_alive:
            self._begun = True

    def _share(self) -> int:
        """How many requests of this connection may be answered in one turn of the loop."""
        return max(1, min(WAITING, _AT_ONCE_OF_ALL // max(1, len(self.connections))))

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
        if isinstance(response, Response):
            self._send(exchange, response)
            self.server_state.total_requests += 1
            self._await_next()
        else:
            self._send_when_there(exchange, response)

    def _send_when_there(self, exchange: _Exchange, answer: Awaitable[Response]) -> None:
        task = self.loop.create_task(self._send_later(exchange, answer))
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
        exchange.request = _NO_REQUEST
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
        if _starts_of[0] is not self.server_state.default_headers:
            _begin_anew(self.server_state.default_headers)
        start = _starts.get(status) or _start(status)
        closes = response.closes or not exchange.keep_alive
        ends = _END if exchange.keep_alive or response.closes else _CLOSE_AND_END
        exchange.response_started = exchange.response_complete = True
        own, added = (headers.own, headers.added) if isinstance(headers, FinishedHeaders) else (headers, ())
        if status == 200 and type(own) is FixedHeaders and type(added) is FixedHeaders:  # nearly every one
            length = _LENGTHS[len(body)] if len(body) < len(_LENGTHS) else _length(body)
            request_id = exchange.request.request_id.encode()
            lines = (start, own.lines, b"x-request-id: ", request_id, _END, added.lines, length, ends)
            self.transport.write(b"".join(lines) + (b"" if exchange.request.method == "HEAD" else body))
        else:
            fields = headers.lines() if isinstance(headers, FinishedHeaders) else header_lines(headers)
            length = b"" if status in _BODILESS else _length(body)
            sent = b"" if status in _BODILESS or exchange.request.method == "HEAD" else body
            self.transport.write(b"".join((start, fields, length, ends, sent)))
        if closes:
            self.transport.close()


_END = b"\r\n"
_CLOSE_AND_END = b"connection: close\r\n\r\n"
_LENGTHS = tuple(b"content-length: %d\r\n" % length for length in range(1024))
_starts: dict[int, bytes] = {}
_starts_of: list[list[tuple[bytes, bytes]]] = [[]]


def _length(body: bytes) -> bytes:
    return b"content-length: %d\r\n" % len(body)


def _begin_anew(default_headers: list[tuple[bytes, bytes]]) -> None:
    """uvicorn makes the default headers (the date) anew every second, for all connections."""
    _starts_of[0] = default_headers
    _starts.clear()


def _start(status: int) -> bytes:
    """How a response of this status begins."""
    start = _starts[status] = STATUS_LINE[status] + header_lines(tuple(_starts_of[0]))
    return start
