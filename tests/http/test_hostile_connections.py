"""What no client of good will sends costs the service little, gets the answer of the RFCs, and fools no route."""

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.programs.raw_http import Answer, exchange, read_answer, request_bytes
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC
from tests.programs.service_process import ServiceProcess, wait_until

Address = tuple[str, int]
LISTENERS = ("public", "metrics", "admin")
CREDENTIALS = b"Basic " + base64.b64encode(":".join(BASIC.basic).encode())
FORM = b"application/x-www-form-urlencoded"
GRANT = b"grant_type=client_credentials"
MEGABYTE = 1_000_000
PIPELINED_BYTES = 8 * MEGABYTE
GROWTH_BYTES = 4 * MEGABYTE
"""What a connection may hold at most, with room for what the allocator keeps; unbounded it was a hundred times that."""


def address_of(service: ServiceCalls, listener: str) -> Address:
    process = service.process
    url = {"public": process.base_url, "metrics": process.metrics_url, "admin": process.admin_url}[listener]
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def resident(process: ServiceProcess) -> int:
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096


def token_request(*headers: bytes, target: str = "/oauth/token", body: bytes = GRANT, length: bool = True) -> bytes:
    lines = [b"POST %s HTTP/1.1" % target.encode(), b"host: x", b"content-type: " + FORM, *headers]
    if length:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Pipelining(NamedTuple):
    """What came of many requests on one connection that nobody waited with."""

    sent: int
    growth: int
    received: int


@contextlib.contextmanager
def pipelining(service: ServiceCalls, request: bytes, *, read: bool) -> Iterator[Pipelining]:
    """Send ``request`` over and over, until all is sent or the service takes no more for a second."""
    before = resident(service.process)
    received = 0
    with socket.create_connection(service.process.address, timeout=1) as connection:

        def read_all() -> None:
            nonlocal received
            with contextlib.suppress(OSError):
                while piece := connection.recv(1 << 20):
                    received += len(piece)

        reader = threading.Thread(target=read_all, daemon=True)
        if read:
            connection.settimeout(30)
            reader.start()
        sent, most = 0, before
        piece = request * (100_000 // len(request))
        with contextlib.suppress(TimeoutError):
            while sent < PIPELINED_BYTES:
                connection.sendall(piece)
                sent += len(piece)
                most = max(most, resident(service.process))
        yield Pipelining(sent, max(most, resident(service.process)) - before, received)
        connection.shutdown(socket.SHUT_RDWR)
        if read:
            reader.join(5)


GET_LIVE = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize("request_sent", [GET_LIVE, token_request(b"authorization: " + CREDENTIALS)])
def test_pipelined_requests_do_not_pile_up(service: ServiceCalls, request_sent: bytes) -> None:
    exchange(service.process.address, request_bytes("GET", "/health/live"))
    for _ in range(2):  # the first time buffers and caches come to their size
        with pipelining(service, GET_LIVE, read=False) as result:
            pass
    with pipelining(service, request_sent, read=False) as result:
        assert result.growth < GROWTH_BYTES
        assert result.sent < PIPELINED_BYTES  # who reads no answers is read no further
        assert exchange(service.process.address, request_bytes("GET", "/health/live")).status == 200


def test_pipelined_requests_do_not_pile_up_while_answers_are_read(service: ServiceCalls) -> None:
    request = b"GET /health/live HTTP/1.1\r\nhost: x\r\nx-padding: %s\r\n\r\n" % (b"x" * 500)
    with pipelining(service, request, read=True) as result:
        assert result.sent >= PIPELINED_BYTES
        assert result.growth < GROWTH_BYTES


def test_a_connection_that_goes_leaves_nothing_behind(service: ServiceCalls) -> None:
    def in_flight() -> int:
        before = service.stats()["process"]["resident_bytes"]
        assert isinstance(before, int)
        return before

    first = in_flight()
    for _ in range(10):
        with socket.create_connection(service.process.address, timeout=5) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # leave with a reset
            connection.sendall(GET_LIVE * 3000)
    wait_until(lambda: in_flight() - first < GROWTH_BYTES, "what connections held to be let go")


@pytest.mark.parametrize("count", [2, 16, 17, 100, 1000])
def test_pipelined_requests_are_all_answered_in_order(service: ServiceCalls, count: int) -> None:
    requests = b"".join(
        b"GET /health/live HTTP/1.1\r\nhost: x\r\nx-request-id: n%d\r\n\r\n" % number for number in range(count)
    )
    answers = answers_to(service.process.address, requests, count)
    assert [answer.header("x-request-id") for answer in answers] == [f"n{number}" for number in range(count)]
    assert {answer.status for answer in answers} == {200}


@pytest.mark.parametrize("size", [10, 5_000, 20_000, 60_000])
def test_pipelined_bodies_are_kept_apart(service: ServiceCalls, size: int) -> None:
    """Bodies that look like the ends of heads, and span what is read at once."""
    body = GRANT + b"&padding=" + b"\r\n\r\n" * (size // 4)
    request = token_request(b"authorization: " + CREDENTIALS, body=body)
    answers = answers_to(service.process.address, request * 40, 40)
    assert {answer.status for answer in answers} == {200}


def answers_to(address: Address, requests: bytes, count: int) -> list[Answer]:
    """The answers to ``count`` requests on one connection, read while they are sent."""
    with socket.create_connection(address, timeout=10) as connection:
        sender = threading.Thread(target=connection.sendall, args=(requests,))
        sender.start()
        with connection.makefile("rb") as stream:
            answers = [_read_from(stream) for _ in range(count)]
        sender.join()
        return answers


def _read_from(stream: object) -> Answer:
    class Shared:
        """HTTPResponse asks a socket for a file, and closes it."""

        def makefile(self, _mode: str) -> object:
            return Unclosed()

    class Unclosed:
        def __getattr__(self, name: str) -> object:
            return (lambda: None) if name == "close" else getattr(stream, name)

    return read_answer(Shared())  # type: ignore[arg-type]


def drip(address: Address, start: bytes, piece: bytes) -> Answer:
    """Begin a request and never finish a part of it; the answer that ends that."""
    with socket.create_connection(address, timeout=5) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(start)
            for _ in range(2 * MEGABYTE // len(piece)):
                connection.sendall(piece)
        return read_answer(connection)


CHUNKED = b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
ENDLESS = {
    "fields": (b"GET / HTTP/1.1\r\nhost: x\r\n", b"a: b\r\n" * 2000, 431),
    "a value": (b"GET / HTTP/1.1\r\nhost: x\r\na: ", b"a" * 60_000, 431),
    "a name": (b"GET / HTTP/1.1\r\nhost: x\r\n", b"a" * 60_000, 431),
    "white space": (b"GET / HTTP/1.1\r\nhost: x\r\na:", b" " * 60_000, 431),
    "a target": (b"GET /", b"a" * 60_000, 414),  # RFC 9112 section 3
    "trailers": (CHUNKED + b"0\r\n", b"a: b\r\n" * 2000, 431),
    "a trailer": (CHUNKED + b"0\r\na: ", b"a" * 60_000, 431),
    "a chunk extension": (CHUNKED + b"1;", b"a" * 60_000, 431),
    "a chunk extension after data": (CHUNKED + b"1\r\na\r\n1;", b"a" * 60_000, 431),
}


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_is_refused(service: ServiceCalls, listener: str, name: str) -> None:
    start, piece, status = ENDLESS[name]
    before = resident(service.process)
    answer = drip(address_of(service, listener), start, piece)
    if listener != "public" and start.startswith(CHUNKED):
        assert answer.status in (status, 401, 403, 404)  # the route may answer first, and the connection just ends
    else:
        assert_refused(answer, status)
    assert resident(service.process) - before < GROWTH_BYTES


def assert_refused(answer: Answer, status: int) -> None:
    assert answer.status == status
    assert answer.header("connection") == "close"
    assert answer.header("content-type") == "application/json"
    assert answer.header("x-content-type-options") == "nosniff"
    assert json.loads(answer.body)["error"] == "invalid_request"


# RFC 6585 section 5: too large as a whole, or in one field.
@pytest.mark.parametrize(
    ("fields", "size", "status"),
    [(10, 100, 200), (98, 100, 200), (99, 1, 431), (500, 1, 431), (1, 31_000, 200), (1, 33_000, 431), (3, 11_000, 431)],
)
@pytest.mark.parametrize("together", [True, False])
def test_a_head_has_a_size(service: ServiceCalls, fields: int, size: int, status: int, together: bool) -> None:
    head = b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    head += b"".join(b"x-%d: %s\r\n" % (number, b"y" * size) for number in range(fields)) + b"\r\n"
    with socket.create_connection(service.process.address, timeout=5) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if together:
                connection.sendall(head)
            for start in range(0, 0 if together else len(head), 1400):
                connection.sendall(head[start : start + 1400])
                time.sleep(0.0002)
        answer = read_answer(connection)
    assert answer.status == status
    if status != 200:
        assert_refused(answer, status)


TRAILERS = {
    "credentials": (b"authorization: " + CREDENTIALS, (b"content-type: " + FORM,), 401),
    "a content type": (b"content-type: " + FORM, (b"authorization: " + CREDENTIALS,), 415),
    "a request id": (b"x-request-id: trailing", (b"authorization: " + CREDENTIALS, b"content-type: " + FORM), 200),
}


@pytest.mark.parametrize("name", TRAILERS)
def test_trailers_are_no_headers(service: ServiceCalls, name: str) -> None:
    """RFC 9110 section 6.5.1: they are not to be merged into the header section."""
    trailer, headers, status = TRAILERS[name]
    head = b"\r\n".join([b"POST /oauth/token HTTP/1.1", b"host: x", b"connection: close", *headers])
    chunks = b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(GRANT), GRANT, trailer)
    for pieces in ([head, chunks], [head, chunks[:40], chunks[40:45], chunks[45:]]):
        pieces[0] = head + b"\r\ntransfer-encoding: chunked\r\n\r\n"
        with socket.create_connection(service.process.address, timeout=5) as connection:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.02)  # so that it comes by itself
            answer = read_answer(connection)
        assert answer.status == status
        assert answer.header("x-request-id") != "trailing"


# One spelling a route: what a proxy in front forbids by path must not be reachable by another.
@pytest.mark.parametrize(
    "target",
    [
        "/oauth%2ftoken",
        "/oauth%2Ftoken",
        "/%6fauth/token",
        "/oauth/toke%6e",
        "//oauth/token",
        "/oauth//token",
        "/oauth/token/",
        "/oauth/./token",
        "/x/../oauth/token",
    ],
)
@pytest.mark.parametrize("method", [b"POST", b"GET", b"OPTIONS", b"PROPFIND"])
def test_a_route_has_one_spelling(service: ServiceCalls, target: str, method: bytes) -> None:
    request = token_request(b"authorization: " + CREDENTIALS, b"connection: close", target=target)
    answer = exchange(service.process.address, request.replace(b"POST", method, 1))
    assert (answer.status, json.loads(answer.body)["error"]) == (404, "not_found")


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("slashes", ["/-/", "//-/", "/-//", "///-///", "/%2d/", "//%2d/", "/%2F-/"])
@pytest.mark.parametrize("page", ["", "openapi", "openapi/", "openapi/openapi.json", "openapi/openapi.yaml"])
def test_the_frameworks_own_pages_are_not_there(service: ServiceCalls, listener: str, slashes: str, page: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = exchange(address_of(service, listener), request_bytes(method, slashes + page))
        assert answer.status in ((404,) if listener != "admin" else (401, 403, 404))


STATUS_OF = {
    "no host": (b"GET /health/live HTTP/1.1\r\n\r\n", 400),  # RFC 9112 section 3.2
    "two hosts": (b"GET /health/live HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
    "the same host twice": (b"GET /health/live HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400),
    "two hosts, HTTP/1.0": (b"GET /health/live HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n", 400),
    "a host that is none": (b"GET /health/live HTTP/1.1\r\nhost: a b\r\n\r\n", 400),
    "a host with a path": (b"GET /health/live HTTP/1.1\r\nhost: a/b\r\n\r\n", 400),
    "a host with a user": (b"GET /health/live HTTP/1.1\r\nhost: a@b\r\n\r\n", 400),
    "HTTP/2.0": (b"GET /health/live HTTP/2.0\r\nhost: a\r\n\r\n", 505),
    "HTTP/0.9": (b"GET /health/live HTTP/0.9\r\nhost: a\r\n\r\n", 505),
    "HTTP/1.2": (b"GET /health/live HTTP/1.2\r\nhost: a\r\n\r\n", 400),
    "RTSP/1.0": (b"GET /health/live RTSP/1.0\r\nhost: a\r\n\r\n", 400),  # which llhttp parses
    "RTSP/1.1": (b"GET /health/live  RTSP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 400),
    "RTSP's own method": (b"DESCRIBE /health/live RTSP/1.0\r\nhost: a\r\n\r\n", 400),
    "RTSP/1.1 with an offer": (
        b"GET /health/live RTSP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        400,
    ),
    "ICE/1.0": (b"SOURCE /health/live ICE/1.0\r\nhost: a\r\n\r\n", 400),
    "ICE/1.1": (b"SOURCE /health/live ICE/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 400),
    "gzip, chunked": (CHUNKED.replace(b": chunked", b": gzip, chunked") + b"0\r\n\r\n", 501),  # RFC 9112 section 6.1
    "gzip": (CHUNKED.replace(b": chunked", b": gzip"), 400),  # RFC 9112 section 6.3
    "chunked, gzip": (CHUNKED.replace(b": chunked", b": chunked, gzip"), 400),
    "chunked twice": (CHUNKED.replace(b": chunked", b": chunked, chunked") + b"0\r\n\r\n", 400),
    "chunked, HTTP/1.0": (CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n", 400),
}
FINE = {
    "HTTP/1.0 without a host": b"GET /health/live HTTP/1.0\r\n\r\n",
    "an empty host": b"GET /health/live HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n",
    "an IPv6 address": b"GET /health/live HTTP/1.1\r\nhost: [::1]:8080\r\nconnection: close\r\n\r\n",
    "a name and a port": b"GET /health/live HTTP/1.1\r\nhost: auth_1.example.com:8080\r\nconnection: close\r\n\r\n",
    "a field that names another protocol": b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    b"user-agent: RTSP/1.0 ICE/1.0 tool\r\n\r\n",
    "an absolute target": b"GET http://x/health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "chunked in capitals": b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    b"transfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("name", STATUS_OF)
def test_what_http_forbids_is_refused(service: ServiceCalls, listener: str, name: str) -> None:
    request, status = STATUS_OF[name]
    assert_refused(exchange(address_of(service, listener), request, timeout=5), status)


@pytest.mark.parametrize("listener", ["public", "metrics"])
@pytest.mark.parametrize("name", FINE)
def test_what_http_allows_is_answered(service: ServiceCalls, listener: str, name: str) -> None:
    assert exchange(address_of(service, listener), FINE[name], timeout=5).status == 200


GARBAGE = {
    "no HTTP": (b"\0\1garbage\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "another protocol": (b"POST /oauth/token RTSP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", 400),
    "too many fields": (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 200, 431),
    "a body in no chunks": (CHUNKED + b"zz\r\n", 400),
}


@pytest.mark.parametrize("count", [1, 2, 40])
@pytest.mark.parametrize("name", GARBAGE)
def test_what_came_before_garbage_is_answered(service: ServiceCalls, name: str, count: int) -> None:
    garbage, status = GARBAGE[name]
    request = token_request(b"authorization: " + CREDENTIALS)
    *good, bad = answers_to(service.process.address, request * count + garbage, count + 1)
    assert [answer.status for answer in good] == [200] * count
    assert_refused(bad, status)


def test_a_request_is_not_answered_twice(service: ServiceCalls) -> None:
    """A refusal of the rest of a request that has its answer would be taken for the answer to the next one."""
    with socket.create_connection(address_of(service, "metrics"), timeout=5) as connection:
        connection.sendall(CHUNKED)
        assert read_answer(connection).status == 404
        connection.sendall(b"zz\r\n")
        assert connection.recv(100) == b""


def test_after_a_refusal_the_connection_ends(service: ServiceCalls) -> None:
    with socket.create_connection(service.process.address, timeout=5) as connection:
        connection.sendall(GET_LIVE + b"\0\1" + GET_LIVE * 5)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(1 << 16):
                received += piece
    assert received.count(b"HTTP/1.1 ") == 2


def test_a_body_that_breaks_off_in_garbage_gets_one_answer(service: ServiceCalls) -> None:
    head = token_request(b"authorization: " + CREDENTIALS, b"transfer-encoding: chunked", body=b"", length=False)
    with socket.create_connection(service.process.address, timeout=5) as connection:
        connection.sendall(head)
        time.sleep(0.05)  # the request is being answered, and waits for its body
        connection.sendall(b"5\r\ngrant\r\nzz\r\n")
        assert_refused(read_answer(connection), 400)
        assert connection.recv(100) == b""
