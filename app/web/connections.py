"""One connection of the HTTP server: uvicorn's protocol on httptools, with what it lacks.

- What breaks HTTP's rules gets an answer like any other, after the answers to what came before it, and ends the
  connection (:mod:`app.web.heads` has the rules).
- What a client may make the service hold is bounded: heads and trailers by size and number of fields, and the requests
  that wait for an earlier one's answer (:data:`WAITING`). Past that the connection is not read, so that TCP holds the
  client back; and as no request is begun while answers pile up unread, nor are those held without bound.
- Trailers are dropped: they are no headers (RFC 9110 section 6.5.1).
- An offer to change the protocol is ignored (RFC 9110 section 7.8 lets a server do that). Java's HTTP client makes one
  (``h2c``) with every request; the parser stops behind the headers of such a request, and stock uvicorn then loses
  its body.
- A response leaves in one piece (:mod:`app.web.cycle`).
- Nothing is kept of a body once its request is answered, and nothing of the head once the client has been silent for
  ``request_seconds``: both may hold secrets.
- Nobody may be slow for ever: a head must be whole within ``request_seconds``, a body within :data:`BODY_FACTOR` times
  that, an answer must be taken within the same; a silent connection is kept for ``timeout_keep_alive``. One timer a
  connection looks after all of it, so a deadline may be kept ``request_seconds`` late and costs a request nothing.
- There are at most ``max_connections`` at a listener: one more takes the place of one that never asked anything for
  :data:`SLOW_SECONDS`, then of one that has been slow with a request for as long, then of an idle one, or is turned
  away where none of those looked at is any of these.
- A connection has an age at which the next answer ends it, so that clients' pools reach processes that came later. It
  is ended with an answer (RFC 9112 section 9.6), never while it is idle: that would race with the next request.
"""

import asyncio
import math
from collections import deque
from collections.abc import Sized
from itertools import islice
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application, HTTPScope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.endpoints.exchange import Headers
from app.randomness import RandomBytes
from app.web.cycle import Cycle
from app.web.heads import (
    FIELD_LIMIT,
    HEAD_BYTES,
    OTHER_PROTOCOL_BYTES,
    Refusal,
    check_head,
    find_other_protocol,
    not_understood,
    size_of,
    too_large,
)

WAITING = 16
"""How many requests may wait for an earlier one's answer; or what :data:`_SHORT` bytes hold."""

BODY_FACTOR = 3
"""How many times as long as a head a body may take, and the reading of an answer."""
REQUEST_SECONDS = 10.0

_LOOKED_AT = 256
"""Connections among which an idle one is looked for when there are too many: a look at all would stop the service."""

SLOW_SECONDS = 0.1
"""After so long a request that is not whole may cost its connection, where there is no room for another: to take all
places from connections that work, as many as there are must be opened within it."""

_UNREAD_SECONDS = 0.01
"""For so long a connection may be idle because nobody has looked yet what came on it: many are taken in one turn."""

AGE_JITTER = 0.2
"""The part of its greatest age that chance may take off a connection, so that a pool does not come back at once."""

_SHORT = 1024
"""What is so short is parsed without a look at how many requests it may hold: nearly every request is."""
_PIECE = HEAD_BYTES // 2
"""What is longer is parsed piece by piece, so that a head too large spans at least one whole piece and is noticed."""
_HEAD_END = b"\r\n\r\n"
_ABOUT_THE_OFFER = frozenset({b"connection", b"upgrade", b"http2-settings"})


class _Ended(Exception):
    """The connection is closed: what else came on it is not looked at."""


class _Flow(FlowControl):
    """Keeps a connection unread for as long as requests wait, whoever asks for more."""

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        # No request that runs can need more then: those that wait came after the end of its body.
        if not self._waiting:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """A connection of a public, metrics or admin listener."""

    pipeline: deque[tuple[RequestResponseCycle, ASGI3Application]]

    def __init__(
        self,
        *arguments: Any,
        random_bytes: RandomBytes,
        max_age_seconds: float = math.inf,
        request_seconds: float = REQUEST_SECONDS,
        max_connections: float = math.inf,
        transport_headers: Headers = (),
        **named: Any,
    ) -> None:
        """``transport_headers`` are on refusals too, which no endpoint sees."""
        super().__init__(*arguments, **named)
        self._request_seconds = request_seconds
        self._max_connections = max_connections
        self._transport_headers = transport_headers
        self._begun_at = math.inf  # by the loop's clock: since when a request is read that is not whole
        self._stuck_since = math.inf  # since when the client does not take what it is sent
        self._random_bytes = random_bytes
        self._max_age_seconds = max_age_seconds
        self._leaves_at = math.inf  # by the loop's clock: requests that begin later are answered with a farewell
        self._running: RequestResponseCycle | None = None  # the request whose turn it is; ``cycle`` is the newest
        self._rest, self._rest_start = b"", 0  # what came and is not parsed, because too many requests wait
        self._refusal: Refusal | None = None  # what ends the connection once all before it is answered
        self._host: bytes | None = None
        self._idle_since = math.inf  # by the loop's clock: since when no request is read or answered
        self._half_closed = False
        self._piece = 0  # length of what is being parsed
        self._counting = False  # whether the parser is in a head, in trailers or before a chunk
        self._counted = 0  # and for how many whole pieces' bytes it has been
        self._tail = b""  # the last bytes of a piece that ended there: what they begin may be a protocol's name

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        if len(self.connections) > self._max_connections and not self._displace():
            self._refuse(Refusal(503, "Service Unavailable", "there are too many connections, try again"))
            return
        self._idle_since = self.loop.time()
        self._look_later(self._idle_since)
        if self._max_age_seconds != math.inf:
            chance = int.from_bytes(self._random_bytes(2)) / 0xFFFF
            self._leaves_at = self.loop.time() + self._max_age_seconds * (1 - AGE_JITTER * chance)

    def connection_lost(self, exc: Exception | None) -> None:
        self.pipeline.clear()
        self._rest = b""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._abandon(self._running)  # uvicorn tells the newest request only
        # A request knows its connection: who is let go of here is freed now, and not by some collection to come.
        self.cycle = self._running = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Parse what came, as far as it is to be parsed now."""
        if self._refusal is not None or self.transport.is_closing():
            return
        if self._rest:
            self._rest, self._rest_start = self._rest[self._rest_start :] + data, 0
        elif len(data) > _SHORT and (len(data) > _PIECE or data.count(_HEAD_END) > WAITING):
            self._rest = data
            self._parse_rest()
        else:
            self._parse(data)

    def _parse_rest(self) -> None:
        """Parse piece by piece until nothing is left or enough requests wait."""
        rest, start = self._rest, self._rest_start
        while start < len(rest) and len(self.pipeline) < WAITING and self._refusal is None:
            end, limit = start, start + _PIECE
            for _ in range(WAITING - len(self.pipeline)):
                found = rest.find(_HEAD_END, end, limit)
                end = found + len(_HEAD_END) if found >= 0 else limit
                if found < 0:
                    break
            self._parse(rest[start:end])
            start = end
        done = start >= len(rest) or self._refusal is not None
        self._rest, self._rest_start = (b"", 0) if done else (rest, start)

    def _parse(self, data: bytes) -> None:
        """Parse ``data``, as far as it is HTTP."""
        if self._counting or b"RTSP/" in data or b"ICE/" in data:
            tail = self._tail
            at = find_other_protocol(tail + data)
            if at >= 0:
                self._feed(data[: max(0, at - len(tail))])
                if self._refusal is None and not self.transport.is_closing():
                    self._refuse(not_understood())
                return
        self._feed(data)
        if self._counting:
            self._tail = (self._tail + data)[1 - OTHER_PROTOCOL_BYTES :]

    def _feed(self, data: bytes) -> None:
        """Give the parser ``data``. Requests that offer another protocol are parsed again without the offer."""
        while data:
            self._piece = len(data)
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self.parser.get_method() == b"CONNECT":
                    self._refuse(not_understood())
                    return
                data = self._head_without_offer() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
                continue
            except httptools.HttpParserError as error:
                cause = error.__context__  # what a callback raised
                if cause is not None:
                    cause.__traceback__ = None  # the parser keeps it, and with it this call and all that came
                if self.transport.is_closing():
                    return
                self._refuse(cause if isinstance(cause, Refusal) else not_understood())
                return
            if self._counting:
                self._counted += self._piece
                if self._counted > HEAD_BYTES or len(self.headers) > FIELD_LIMIT:
                    self._refuse(too_large(self.url))
            return

    def on_message_begin(self) -> None:
        """As uvicorn's, but the scope is made once it is known that an ASGI application answers.

        Raises _Ended, which stops the parser.
        """
        if self.transport.is_closing():
            raise _Ended
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._idle_since = math.inf
        self._begun_at = self.loop.time()
        self._counting = True
        self._counted = -self._piece

    def on_headers_complete(self) -> None:
        """As uvicorn's, without what is not used here (a limit of connections, upgrades), and with the checks."""
        fields, parser = self.headers, self.parser
        if self._counted > 0 or len(fields) > FIELD_LIMIT:
            self._check_size(self.url)
        self._counted = -self._piece  # counting goes on: a chunk may come
        if parser.should_upgrade():
            return
        version = parser.get_http_version()
        self._host = check_head(version, fields, self._host)
        if version == "1.0":
            self.expect_100_continue = False  # RFC 9110 section 10.1.1
        self._begin(version)

    def _begin(self, version: str) -> None:
        """Begin a request whose head is complete and checked: an ASGI application answers it, in its turn."""
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope: HTTPScope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "method": self.parser.get_method().decode("ascii"),
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "headers": self.headers,
            "state": self.app_state.copy(),
        }
        self.cycle = cycle = Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=self._keeps_alive(version),
            on_response=self.on_response_complete,
        )
        if self._may_answer_now():
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_chunk_header(self) -> None:
        self.headers = []  # the request keeps its own; what comes now are trailers
        self._count()

    def on_body(self, body: bytes) -> None:
        """As uvicorn's, without its question for an upgrade."""
        self._counting = False
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_chunk_complete(self) -> None:
        if self._counting:
            self._check_size(b"")
        self._count()

    def on_message_complete(self) -> None:
        """As uvicorn's, but the end of a body that nobody waits for counts as well."""
        self._counting = False
        self._begun_at = math.inf
        if not self.parser.should_upgrade():
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Go on with what waits: requests, then what is not parsed, then the refusal. Else as uvicorn's."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            if self._rest and not self.pipeline:
                self._parse_rest()
            return
        self.flow.resume_reading()
        if self._rest:
            self._parse_rest()
        elif self._refusal is not None:
            self._end(self._refusal)
        else:
            self._await_next()

    def _await_next(self) -> None:
        """Nothing waits for an answer: the connection is kept for a while."""
        if self._half_closed:
            self.transport.close()
            return
        self._idle_since = self.loop.time()

    def _look_later(self, now: float) -> None:
        """Set the timer for the next look: at the latest when a head that begins now is late."""
        left = min(self._idle_since + self.timeout_keep_alive - now, self._request_seconds, self.timeout_keep_alive)
        self.timeout_keep_alive_task = self.loop.call_later(max(left, 0.01), self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Look whether the client is late with anything.

        One timer goes on through all requests of a connection: to set and cancel one for each costs more than to parse
        it does.
        """
        self.timeout_keep_alive_task = None
        now = self.loop.time()
        if self.flow.write_paused or self.transport.is_closing():
            if now - self._stuck_since >= self._request_seconds * BODY_FACTOR:
                self.transport.abort()
                return
            self._stuck_since = min(self._stuck_since, now)
        else:
            self._stuck_since = math.inf
            if now - self._idle_since >= self._request_seconds:
                self._forget()
            if now - self._idle_since >= self.timeout_keep_alive:
                self.transport.close()
            elif self._is_late(now) and self._refusal is None:
                self._refuse(Refusal(408, "Request Timeout", "the request did not come in time"))
        self._look_later(now)

    def _forget(self) -> None:
        """Keep nothing of the requests before: all are answered."""
        self.url, self.headers, self._tail = b"", [], b""
        if isinstance(self._running, RequestResponseCycle):
            self._running.scope = {}  # type: ignore[typeddict-item]  # nobody looks at it any more

    def _is_late(self, now: float) -> bool:
        """Whether a request that is being read takes too long; one that waits for the requests before it does not."""
        factor = BODY_FACTOR if self._reads_running() else 1
        return now - self.reading_since >= self._request_seconds * factor

    def _reads_running(self) -> bool:
        """Whether it is the body of the request whose turn it is that is not whole."""
        return self._running is not None and self._running is self.cycle and self.cycle.more_body

    def _displace(self) -> bool:
        """Close the connection of some that is least missed, of its kind the one that has been so for longest."""
        others = [c for c in islice(self.connections, _LOOKED_AT) if isinstance(c, Connection) and c is not self]
        now = self.loop.time()
        long_ago = now - SLOW_SECONDS
        idle = [c for c in others if c.is_idle and c.idle_since <= now - _UNREAD_SECONDS]
        slow = [c for c in others if c.reading_since <= long_ago and not c.transport.is_closing()]
        silent = [c for c in idle if not c.has_asked and c.idle_since <= long_ago]
        least_missed = silent or slow or idle
        if least_missed:
            # Who is idle reads nothing, and who reads is not idle: the other instant is infinity.
            min(least_missed, key=lambda c: min(c.idle_since, c.reading_since)).transport.close()
        return bool(least_missed)

    @property
    def has_asked(self) -> bool:
        """Whether a request of it was answered, or is."""
        return self._running is not None

    @property
    def reading_since(self) -> float:
        """By the loop's clock: since when a request is read whose turn it is; infinity where none is."""
        return self._begun_at if self._may_answer_now() or self._reads_running() else math.inf

    @property
    def is_idle(self) -> bool:
        """Whether no request is read or answered."""
        return self._idle_since != math.inf and not self.transport.is_closing()

    @property
    def idle_since(self) -> float:
        """By the loop's clock; infinity while a request is read or answered."""
        return self._idle_since

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's has nothing to say
        """The client sends no more. Who asked, and then closed its side, still gets its answers.

        RFC 9112 section 9.6 has clients that do this; TLS (RFC 8446 section 6.1) has it too, but not asyncio.
        """
        self._half_closed = True
        return self.scheme == "http" and not self._is_idle() and not self.cycle.more_body

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _keeps_alive(self, version: str) -> bool:
        """Whether the connection goes on after the request that begins now."""
        return version != "1.0" and self.parser.should_keep_alive() and not self._is_old()

    def _may_answer_now(self) -> bool:
        """Whether all requests before the one that begins now are answered."""
        return self._running is None or (self._running.response_complete and not self.pipeline)

    def _is_old(self) -> bool:
        """Whether the request that begins now is to be the connection's last."""
        return self.loop.time() >= self._leaves_at

    def _is_idle(self) -> bool:
        return self._running is None or self._running.response_complete

    def _count(self) -> None:
        """Begin to count a head, trailers or the line before a chunk, from the next piece on."""
        self._counting = True
        self._counted = -self._piece

    def _check_size(self, url: bytes) -> None:
        """Check a head or trailers that are complete. Raises Refusal."""
        # Only what spans a whole piece can be too large.
        if len(self.headers) > FIELD_LIMIT or (self._counted > 0 and size_of(url, self.headers) > HEAD_BYTES):
            raise too_large(url)

    def _head_without_offer(self) -> bytes:
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] not in _ABOUT_THE_OFFER]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            lines.append(b"connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _refuse(self, refusal: Refusal) -> None:
        """Read no further; answer what came whole before, then refuse, then end the connection."""
        self.logger.info("a connection is refused: %s", refusal)
        self._refusal = refusal
        if self._running is not None and self.cycle.more_body:  # the newest request will never be whole
            if self.cycle is not self._running:
                self.pipeline.popleft()
            elif self.cycle.response_started:
                self.transport.close()  # a second answer would be taken for the next request's
                return
            else:
                self._abandon(self.cycle)
                self._end(refusal)
                return
        if self._is_idle():
            self._end(refusal)

    def _abandon(self, cycle: RequestResponseCycle | None) -> None:
        """For the application it is as if the client had gone away."""
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()

    def _end(self, refusal: Refusal) -> None:
        headers = (
            *self.server_state.default_headers,
            *refusal.headers,
            *self._transport_headers,
            (b"x-request-id", self._random_bytes(16).hex().encode()),
            (b"content-length", b"%d" % len(refusal.body)),
            (b"connection", b"close"),
        )
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(refusal.status_line + head + b"\r\n" + refusal.body)
        self.transport.close()
