"""A request and a response, free of any server's or framework's types."""

from collections.abc import Iterable, Iterator
from typing import Self

import msgspec

from app.model.clients import Client
from app.observability.tracing import RequestSpan
from app.protocol.errors import ProtocolError
from app.protocol.form import parse_body
from app.protocol.opaque_token import has_form_of_token

Header = tuple[bytes, bytes]
Headers = tuple[Header, ...]
"""Names in lower case."""


def header_lines(headers: Iterable[Header]) -> bytes:
    """The headers as they stand in a message, each with the end of its line.

    Raises ValueError for one that would end its own line: it would split the response (RFC 9110 section 5.5).
    """
    if isinstance(headers, FixedHeaders):
        return headers.lines
    each = [b"%b: %b\r\n" % header for header in headers]
    lines = b"".join(each)
    if lines.count(b"\r") != len(each) or lines.count(b"\n") != len(each) or b"\0" in lines:
        raise ValueError("a header is more than one line")
    return lines


class FixedHeaders(Headers):
    """Headers that many responses have: how they stand in a message is made once."""

    lines: bytes

    def __new__(cls, headers: Iterable[Header]) -> Self:
        """Raises ValueError like :func:`header_lines`."""
        made = super().__new__(cls, headers)
        made.lines = header_lines(tuple(headers))
        return made


class FinishedHeaders(msgspec.Struct, frozen=True, gc=False):
    """The headers of one response, in parts of which most are fixed: what is the same is not put together again."""

    own: "Headers | FinishedHeaders"
    added: Headers
    request_id: str

    def __iter__(self) -> Iterator[Header]:
        yield from self.own
        yield b"x-request-id", self.request_id.encode()
        yield from self.added

    def __len__(self) -> int:
        return len(self.own) + 1 + len(self.added)

    def lines(self) -> bytes:
        """As :func:`header_lines`. The request id was found harmless, or made, by the edge."""
        own, added = self.own, self.added
        return b"%bx-request-id: %b\r\n%b" % (
            own.lines if type(own) is FixedHeaders else header_lines(own),
            self.request_id.encode(),
            added.lines if type(added) is FixedHeaders else header_lines(added),
        )


class Proof(msgspec.Struct, frozen=True, gc=False):
    """That an Authorization header proved a generated secret of a client's."""

    client: Client
    """As it was loaded then: one that was loaded anew must be proved anew."""
    until: float
    """Unix seconds at which the secret ends; perhaps infinity."""
    everywhere: bool
    """Whether it counts from whatever address; else the secret might be guessed, and it counts where it was proved."""


class Request(msgspec.Struct, gc=False):
    """What the hot endpoints read of a request."""

    method: str
    body: bytes = b""
    peer: str | None = None
    """The client's address; None if it is unknown. Adapters give the peer's, the edge finds the one that counts."""
    x_forwarded_for: bytes | None = None
    forwarded: bytes | None = None
    """What proxies say, several lines joined by commas; only the edge reads them (:mod:`app.endpoints.addresses`)."""
    has_query: bool = False
    authorization: bytes | None = None
    content_type: bytes | None = None
    accept: bytes | None = None
    if_none_match: bytes | None = None
    origin: bytes | None = None
    traceparent: bytes | None = None
    """Read only where traces are made, and when a line is logged (:mod:`app.protocol.trace_context`)."""
    tracestate: bytes | None = None
    request_id: str = ""
    """Always set by the edge before an endpoint sees the request."""
    client_id: str | None = None
    """The client that the request names, once it is known that there is one of that name: for the audit."""
    named: str = ""
    """What a refused authentication gave as its client's id, whether there is such a client or not: for the limit."""
    operation: str | None = None
    """What the request counts as; the token endpoint changes it once it knows the grant."""
    proof: Proof | None = None
    """What the ``authorization`` has proved before. Client authentication alone reads it, and gives it to one whose
    header proved something; it belongs to the header: who keeps the one may keep the other."""
    span: RequestSpan | None = None
    """Its record, if it is one of those that are traced."""

    def presented_token(self) -> str | None:
        """The token that it is about, to be used, ended or looked at, if it has the form of one: for the audit.

        Read from the body anew: whoever is answered needs it no more, and those who are refused are few.
        """
        if self.operation is None:
            return None
        name = "refresh_token" if self.operation in ("issue", "refresh") else "token"
        try:
            text = parse_body(self.content_type, self.body, allow_json=True).get(name)
        except ProtocolError:
            return None
        return text if text is not None and has_form_of_token(text) else None


class Response(msgspec.Struct, gc=False):
    """A finished response. ``content-length`` is the adapter's part, the request id the edge's."""

    status: int
    body: bytes
    headers: Headers | FinishedHeaders
    """What an endpoint says; from the edge on, what all of them say."""
    closes: bool = False
    """Whether the connection is to end with it, as the edge has said in the headers."""
    outcome: str = "ok"
    """What came of the token operation, for its metrics; an endpoint that finishes one says it."""
