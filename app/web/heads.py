"""What the head of a request must be before anything looks at what it asks for (RFC 9112).

The parser has checked the grammar; here is what it lets pass. A refusal ends the connection: where the head cannot be
trusted, neither can the place where the next one begins.
"""

import re
from collections.abc import Iterable, Sequence

from app.endpoints.answers import error_answer
from app.protocol.errors import invalid_request

HEAD_BYTES = 32 * 1024
"""What a head may be long, its request line included; and trailers, and the line before a chunk."""
FIELD_LIMIT = 100
"""How many fields a head may have; and trailers."""

LENGTH_DIGITS = 19
"""What a Content-Length is written with at most: zeros in front say nothing, and Python reads 4,300 digits."""

Fields = Sequence[tuple[bytes, bytes]]

# How a request line of RTSP (RFC 2326 section 6.1) or Icecast ends, which the parser takes for HTTP's: both are framed
# like it, by other rules. No body that is read here has such a line: forms have no spaces, JSON has no line end in a
# string. A header field that ends in the same way is refused as well: there is no telling which line came in pieces.
_OTHER_PROTOCOL = re.compile(rb" (?:RTSP|ICE)/[0-9]\.[0-9]\r")
OTHER_PROTOCOL_BYTES = len(b" RTSP/1.0\r")

# RFC 9110 section 7.2: uri-host [":" port] (RFC 3986 section 3.2.2), which may be empty.
_HOST = re.compile(rb"(?:\[[0-9A-Fa-fvV:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?")


class Refusal(Exception):
    """The connection's last answer. ``status`` is one of HTTP's; ``reason`` is for the log."""

    def __init__(self, status: int, phrase: str, description: str) -> None:
        super().__init__(description)
        answer = error_answer(invalid_request(description, status=status))
        self.status = status
        self.status_line = f"HTTP/1.1 {status} {phrase}\r\n".encode()
        self.headers = answer.headers
        self.body = answer.body


def not_understood() -> Refusal:
    """Bytes that are no HTTP, or none that has one meaning only."""
    return Refusal(400, "Bad Request", "this is no HTTP request that the service understands")


def too_large(url: bytes) -> Refusal:
    """A head or trailers past the limits (RFC 6585 section 5); ``url`` is what came of the target.

    RFC 9112 section 3: a target too long to be parsed MUST be answered with 414.
    """
    if len(url) > HEAD_BYTES // 2:
        return Refusal(414, "URI Too Long", "the request target is too long")
    return Refusal(431, "Request Header Fields Too Large", "the header fields are too large or too many")


def find_other_protocol(data: bytes) -> int:
    """Where a line ends by naming a protocol that is not HTTP; -1 if none does."""
    found = _OTHER_PROTOCOL.search(data)
    return -1 if found is None else found.start()


def size_of(url: bytes, fields: Iterable[tuple[bytes, bytes]]) -> int:
    """The size in bytes of a head or of trailers, without optional white space."""
    return len(url) + sum(len(name) + len(value) + 4 for name, value in fields)


def check_head(version: str, fields: Fields, known_host: bytes | None) -> bytes | None:
    """The host that a request names, None if it names none (HTTP/1.0 alone may). Raises Refusal.

    ``known_host`` has been checked before: clients name the same host in every request of a connection.
    """
    host: bytes | None = None
    for name, value in fields:
        if name == b"host":
            if host is not None:
                raise Refusal(400, "Bad Request", "a request names one host")  # RFC 9112 section 3.2
            host = value
        elif name == b"transfer-encoding":
            _check_coding(version, value)
        elif name == b"content-length" and len(value) > LENGTH_DIGITS:
            raise not_understood()
    if version != "1.1":
        if version != "1.0":
            raise Refusal(505, "HTTP Version Not Supported", "the service speaks HTTP/1.1")  # RFC 9110 section 2.5
    elif host is None:
        raise Refusal(400, "Bad Request", "a request names its host")  # RFC 9112 section 3.2
    if host is not None and host != known_host and not _HOST.fullmatch(host):
        raise Refusal(400, "Bad Request", "the Host header names no host")
    return host


def _check_coding(version: str, value: bytes) -> None:
    """Check one line of ``Transfer-Encoding``; the parser refuses a second one."""
    codings = [coding.strip() for coding in value.lower().split(b",")]
    # RFC 9112 section 6.1: HTTP/1.0 has no codings, a message that claims one was framed by somebody who errs; and
    # none is chunked twice. Section 6.3: without chunked in the last place there is no telling where it ends.
    if version != "1.1" or codings.count(b"chunked") != 1 or codings[-1] != b"chunked":
        raise not_understood()
    if len(codings) > 1:
        raise Refusal(501, "Not Implemented", "the only transfer coding is chunked")
