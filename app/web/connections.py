"""One connection of the HTTP server: uvicorn's protocol on httptools, with what it lacks.

- Bytes that are no HTTP get an answer like any other.
- An offer to change the protocol is ignored (RFC 9110 section 7.8 lets a server do that). Java's HTTP client makes one
  (``h2c``) with every request; the parser stops behind the headers of such a request, and stock uvicorn then loses
  its body.
- A response leaves in one piece (:mod:`app.web.gathering`).
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.endpoints.answers import error_answer
from app.protocol.errors import invalid_request
from app.randomness import RandomBytes
from app.web.gathering import Gathering

_STATUS = b"HTTP/1.1 400 Bad Request\r\n"
_REFUSED = error_answer(invalid_request("this is no HTTP request that the service understands"))
_ABOUT_THE_OFFER = frozenset({b"connection", b"upgrade", b"http2-settings"})


class Connection(HttpToolsProtocol):
    """A connection of a public, metrics or admin listener."""

    def __init__(self, *arguments: Any, random_bytes: RandomBytes, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._random_bytes = random_bytes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(Gathering(transport, self.loop))

    def data_received(self, data: bytes) -> None:
        """Parse what came. Requests that offer another protocol are parsed again without the offer."""
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                if self.parser.get_method() == b"CONNECT":
                    self.send_400_response("")
                    return
                data = self._head_without_offer() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
            except httptools.HttpParserError:
                self.send_400_response("")
                return

    def on_headers_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _head_without_offer(self) -> bytes:
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] not in _ABOUT_THE_OFFER]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            lines.append(b"connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that cannot be parsed, and end the connection."""
        self.logger.info("a connection sent what is no HTTP")
        headers = (
            *self.server_state.default_headers,
            *_REFUSED.headers,
            (b"x-request-id", self._random_bytes(16).hex().encode()),
            (b"content-length", b"%d" % len(_REFUSED.body)),
            (b"connection", b"close"),
        )
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(_STATUS + head + b"\r\n" + _REFUSED.body)
        self.transport.close()
