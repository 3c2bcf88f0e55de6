"""One connection of the HTTP server: uvicorn's protocol on httptools, with this service's answer to what is no HTTP."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.endpoints.answers import error_answer
from app.protocol.errors import invalid_request
from app.randomness import RandomBytes

_STATUS = b"HTTP/1.1 400 Bad Request\r\n"
_REFUSED = error_answer(invalid_request("this is no HTTP request that the service understands"))


class Connection(HttpToolsProtocol):
    """A connection of a public, metrics or admin listener."""

    def __init__(self, *arguments: Any, random_bytes: RandomBytes, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._random_bytes = random_bytes

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that cannot be parsed: an answer like any other, and the end of the connection."""
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
