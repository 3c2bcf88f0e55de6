"""What the hot endpoints are told of a request's header fields, whatever server parsed them."""

from collections.abc import Iterable

from app.endpoints.exchange import Request
from app.web.edge import Edge


def read_fields(  # noqa: C901 - a row of comparisons is the fastest for a handful of fields
    edge: Edge, request: Request, fields: Iterable[tuple[bytes, bytes]]
) -> tuple[int, bool]:
    """Fill in a request from its fields, names in lower case: its address, too.

    Returns the body's announced length in bytes (0 if none is announced), and whether the request id is the client's.
    """
    request_id: bytes | None = None
    announced = 0
    for name, value in fields:
        if name == b"authorization":
            # Two are a list by RFC 9110 section 5.3, and a list is no credentials: joined, they are refused.
            request.authorization = joined(request.authorization, value)
        elif name == b"content-type":
            request.content_type = joined(request.content_type, value)
        elif name == b"x-request-id":
            request_id = value
        elif name == b"content-length":
            announced = int(value)  # the server's parser has refused anything but digits
        elif name == b"accept":
            request.accept = value
        elif name == b"if-none-match":
            request.if_none_match = value
        elif name == b"origin":
            request.origin = value
        elif name == b"traceparent":
            # Two name no trace (W3C Trace Context section 3.2): joined, they break the format.
            request.traceparent = joined(request.traceparent, value)
        elif name == b"tracestate":
            request.tracestate = joined(request.tracestate, value)
        elif name == b"x-forwarded-for":
            request.x_forwarded_for = joined(request.x_forwarded_for, value)
        elif name == b"forwarded":
            request.forwarded = joined(request.forwarded, value)
    request.request_id = edge.request_id(request_id)
    request.peer = edge.address_of(request)
    return announced, request_id is not None and request.request_id.encode() == request_id


def joined(before: bytes | None, value: bytes) -> bytes:
    """A field of several lines as one (RFC 9110 section 5.3)."""
    return value if before is None else before + b", " + value
