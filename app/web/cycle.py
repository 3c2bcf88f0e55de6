"""One request and its response on a connection: uvicorn's, with a short way for a response that comes whole.

uvicorn writes a response's head and body separately, each a system call (7 µs on loopback), and checks every header by
two regular expressions, whoever made it. For the eleven headers of a small answer that is as much work as everything
else that an introspection needs.

Rules:
- The head waits for what comes after it. If that is the whole body, both leave as one piece; else uvicorn goes on.
- No header may end its own line: what would split a response is refused, as uvicorn refuses it.
- What of a request's body the application did not read is let go of with the answer: it may hold secrets.
- An application that fails before its body is answered for with a 500, because nothing was sent yet.
"""

from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_BODILESS = frozenset({204, 304})
"""Statuses without a body whatever the headers say (RFC 9110 sections 15.3.5 and 15.4.5)."""
_CLOSE = (b"connection", b"close")


class Cycle(RequestResponseCycle):
    """What uvicorn's protocol makes for each request."""

    _head: HTTPResponseStartEvent | None = None
    """A head that waits for its body."""

    async def send_500_response(self) -> None:
        """Answer for an application that failed; a head of its own that is still here is not sent."""
        self._head = None
        await super().send_500_response()

    async def send(self, message: ASGISendEvent) -> None:
        """ASGI's ``send``. Raises RuntimeError for messages out of place and for a body of another length."""
        if message["type"] == "http.response.start" and not self.response_started:
            if self._head is not None:
                raise RuntimeError("a response begins once")
            self._head = message
            return
        head = self._head
        if head is not None:
            self._head = None
            if message["type"] == "http.response.body" and self._send_whole(head, message):
                return
            await super().send(head)
        await super().send(message)
        if self.response_complete:
            self.body = bytearray()

    def _send_whole(self, head: HTTPResponseStartEvent, rest: HTTPResponseBodyEvent) -> bool:
        """Send both as one piece; False where uvicorn has to: nothing was done then."""
        status, headers = head["status"], [*self.default_headers, *head.get("headers", ())]
        named = dict(headers)  # ASGI: names are in lower case
        if rest.get("more_body", False) or b"transfer-encoding" in named or self.flow.write_paused or self.disconnected:
            return False
        body = rest.get("body", b"")
        sends_body = status not in _BODILESS and self.scope["method"] != "HEAD"
        if b"content-length" not in named:
            if status not in _BODILESS:
                headers.append((b"content-length", b"%d" % len(body)))
        elif sends_body and int(named[b"content-length"]) != len(body):
            raise RuntimeError("the body is not as long as its Content-Length says")
        if b"connection" in named:
            self.keep_alive = self.keep_alive and b"close" not in named[b"connection"].lower()
        elif not self.keep_alive:
            headers.append(_CLOSE)
        lines = b"\r\n".join([b": ".join(header) for header in headers])
        ends = len(headers) - 1
        if lines.count(b"\n") != ends or lines.count(b"\r") != ends or lines.find(b"\0") >= 0:
            raise RuntimeError("a header is more than one line")
        self.response_started = self.response_complete = True
        self.body = bytearray()
        self.waiting_for_100_continue = False
        self.transport.write(b"".join((STATUS_LINE[status], lines, b"\r\n\r\n", body if sends_body else b"")))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True
