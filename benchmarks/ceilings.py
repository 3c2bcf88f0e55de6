"""What Python's servers can do at most: constants answered with ever less around them, beside the service.

    python -m uvicorn --no-access-log --loop uvloop --http benchmarks.ceilings:Parsed benchmarks.bare_server:app

The differences say where the time of a request goes: a read and a write through the event loop (:class:`Unparsed`), the
parser and its callbacks (:class:`Parsed`), a task and the messages of ASGI (the bare server), the work itself (the
service).
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from benchmarks.bare_server import BODY, HEADERS

ANSWER = b"HTTP/1.1 200 OK\r\n" + b"".join(b"%b: %b\r\n" % header for header in HEADERS) + b"\r\n" + BODY


class Unparsed(HttpToolsProtocol):
    """Answers whatever it reads: right for a client that sends each request in one piece, as the load does."""

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER)


class Parsed(HttpToolsProtocol):
    """Answers inside the parser's callback, when a request is whole; its headers are collected as uvicorn does it."""

    def on_message_begin(self) -> None:
        self.url, self.headers = b"", []

    def on_headers_complete(self) -> None: ...

    def on_body(self, body: bytes) -> None: ...

    def on_message_complete(self) -> None:
        self.transport.write(ANSWER)
