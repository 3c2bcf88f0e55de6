"""A request and a response, free of any server's or framework's types."""

import msgspec

Headers = tuple[tuple[bytes, bytes], ...]
"""Names in lower case."""


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
    request_id: str = ""
    """Always set by the edge before an endpoint sees the request."""
    client_id: str | None = None
    """The client that the request names, once it is known that there is one of that name: for the audit."""
    operation: str | None = None
    """What the request counts as; the token endpoint changes it once it knows the grant."""


class Response(msgspec.Struct, gc=False):
    """A finished response. ``content-length`` and the request id are the edge's part."""

    status: int
    body: bytes
    headers: Headers
