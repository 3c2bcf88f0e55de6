"""HTTP as bytes: requests that no client library would send."""

import contextlib
import socket
from collections.abc import Iterable
from http.client import HTTPResponse
from typing import NamedTuple

Headers = Iterable[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """A response as it came."""

    status: int
    headers: list[tuple[str, str]]
    """In the order sent, names in lower case."""
    body: bytes

    def header(self, name: str) -> str | None:
        """The one value of a header, None if it is absent. Raises AssertionError if it came more than once."""
        values = [value for given, value in self.headers if given == name]
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None


def request_bytes(
    method: str, target: str, headers: Headers = (), body: bytes = b"", *, chunked: bool = False
) -> bytes:
    """A request for a connection that is not used again; its length is announced, or it comes in chunks."""
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"host: 127.0.0.1", b"connection: close"]
    lines += [name + b": " + value for name, value in headers]
    if chunked:
        lines.append(b"transfer-encoding: chunked")
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in _parts(body)) + b"0\r\n\r\n"
    elif body or method == "POST":
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def exchange(address: tuple[str, int], request: bytes, *, method: str = "GET", timeout: float = 10.0) -> Answer:
    """Send ``request`` as it is and read one response; ``method`` says whether that has a body."""
    with socket.create_connection(address, timeout=timeout) as connection:
        # Refused before all of it was read: the answer is there already.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        return read_answer(connection, method)


def read_answer(connection: socket.socket, method: str = "GET") -> Answer:
    """Read one response from a connection."""
    response = HTTPResponse(connection, method=method)
    try:
        response.begin()
        headers = [(name.lower(), value) for name, value in response.getheaders()]
        return Answer(response.status, headers, response.read())
    finally:
        response.close()


def _parts(body: bytes, size: int = 4096) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]
