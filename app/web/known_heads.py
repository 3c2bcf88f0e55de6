"""What a connection remembers of the head that came last, so that the next one like it is not parsed.

Services call over pools of connections, and send the same head each time: the same client, the same route, a token of
the same length. What the parser makes of a head depends on its bytes alone when they begin a message.

Rules:
- A head is known byte for byte, but for two values that a proxy in front gives each request: ``x-request-id`` and
  ``traceparent``. Another value stands for them only if it is as long and of a form that cannot end a line, so that the
  parser would have found the same fields.
- What the Authorization header proved is kept with the head it stands in; the proof is looked at each time.
"""

import re
from collections.abc import Callable, Sequence

import msgspec

from app.endpoints.exchange import Request
from app.web.request_ids import SANE_REQUEST_ID

KNOWN_BYTES = 2048
"""Longer requests are parsed each time: what a connection remembers is small."""

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_HEAD_END = b"\r\n\r\n"

copy_request: Callable[[Request], Request] = Request.__copy__  # type: ignore[attr-defined]  # msgspec declares it not


class Varying(msgspec.Struct, frozen=True, gc=False):
    """Where in a head the values stand that each request has of its own, and what stands between them."""

    request_id: slice | None
    traceparent: slice | None
    fixed: tuple[tuple[int, bytes], ...]
    """What follows each of the values, by the place where it begins."""

    def read(self, data: bytes, request: Request) -> bool:
        """Give the request the values in ``data``; False if it is not of this form."""
        for at, piece in self.fixed:
            if not data.startswith(piece, at):
                return False
        if self.request_id is not None:
            given = data[self.request_id]
            if SANE_REQUEST_ID.fullmatch(given) is None:
                return False
            request.request_id = given.decode("ascii")
        if self.traceparent is not None:
            parent = data[self.traceparent]
            if _TRACEPARENT.fullmatch(parent) is None:
                return False
            request.traceparent = parent
        return True


class KnownHead(msgspec.Struct, frozen=True, gc=False):
    """A head that was parsed and checked on this connection, and what it came to."""

    head: bytes
    """Up to the first value that varies, or all of it."""
    length: int
    """Of the whole request: the head and the body that it announces."""
    body_at: int
    request: Request
    """As the edge was given it, and what its header proved; without its body."""
    has_own_id: bool
    """Whether the request id is the client's."""
    varying: Varying | None = None


def known_head(
    data: bytes, request: Request, fields: Sequence[tuple[bytes, bytes]], *, has_own_id: bool
) -> KnownHead | None:
    """The head of the one request that ``data`` was, whose parsed ``fields`` have their names in lower case.

    None where it is not worth knowing, or did not begin with the first byte.
    """
    body_at = data.find(_HEAD_END) + len(_HEAD_END)
    if len(data) > KNOWN_BYTES or len(data) - body_at != len(request.body) or not data[:1].isalpha():
        return None  # it began before, or more came with it, or it was sent in chunks
    template = copy_request(request)
    template.body = b""
    # Found out about the one request, not its head's:
    template.client_id = template.operation = template.span = None
    template.named = ""
    head = data[:body_at]
    request_id = _place(head, fields, b"x-request-id") if has_own_id else None
    traceparent = _place(head, fields, b"traceparent", _TRACEPARENT)
    places = sorted((place for place in (request_id, traceparent) if place is not None), key=lambda place: place.start)
    if not places:
        return KnownHead(head, len(data), body_at, template, has_own_id)
    ends = [*(place.start for place in places[1:]), body_at]
    fixed = tuple((place.stop, head[place.stop : end]) for place, end in zip(places, ends, strict=True))
    varying = Varying(request_id, traceparent, fixed)
    return KnownHead(head[: places[0].start], len(data), body_at, template, has_own_id, varying)


def _place(
    head: bytes, fields: Sequence[tuple[bytes, bytes]], name: bytes, form: re.Pattern[bytes] = SANE_REQUEST_ID
) -> slice | None:
    """Where a field's value stands that is there once and of this form; None if that cannot be told."""
    values = [value for field, value in fields if field == name]
    line = b"\r\n" + name + b":"
    at = head.lower().find(line) + len(line)
    if len(values) != 1 or at < len(line) or form.fullmatch(values[0]) is None:
        return None
    start = at + len(head[at:]) - len(head[at:].lstrip(b" \t"))
    stop = start + len(values[0])
    return slice(start, stop) if head[start : stop + 2] == values[0] + b"\r\n" else None
