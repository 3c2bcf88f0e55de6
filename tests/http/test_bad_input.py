"""Bad input gets the RFC's error and status: never a 5xx, nothing written, nothing secret logged."""

import json
import re
import socket

import pytest

from tests.http.bad_input import ALL, AUTHENTIC, BAD_INPUT, FORM, GOOD_FORM, KIB_64, TOKEN, Row
from tests.programs.raw_http import exchange, read_answer, request_bytes
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC, CANARY
from tests.programs.service_fixtures import assert_nothing_secret

EVERY_ROW = pytest.mark.parametrize("row", BAD_INPUT, ids=[row.name for row in BAD_INPUT])
# RFC 6749 section 5.2: the characters that a description may have.
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+")


@EVERY_ROW
def test_bad_input_gets_the_error_of_the_rfc(service: ServiceCalls, row: Row) -> None:
    answer = exchange(service.process.address, row.request)
    assert (answer.status, json.loads(answer.body)["error"]) == (row.status, row.error)
    assert answer.header("content-type") == "application/json"
    assert answer.header("cache-control") == "no-store"
    assert DESCRIPTION.fullmatch(json.loads(answer.body)["error_description"])
    assert CANARY.encode() not in answer.body
    assert (answer.header("www-authenticate") is not None) is (answer.status == 401)


def test_bad_input_writes_nothing_and_logs_no_secret(service: ServiceCalls) -> None:
    def written() -> tuple[float, float]:
        return service.metric("tokens_issued_total"), service.metric("refresh_token_reuse_total")

    before, live = written(), service.live_tokens()
    logged = len(service.process.logs)
    statuses = {exchange(service.process.address, row.request).status for row in BAD_INPUT}
    assert max(statuses) < 500
    assert written() == before
    assert service.live_tokens() <= live  # those of other tests end meanwhile
    log = service.process.logs[logged:]
    assert len(log.splitlines()) >= len(BAD_INPUT)
    assert_nothing_secret(log)
    assert {json.loads(line)["level"] for line in log.splitlines()} <= {"debug", "info"}


@pytest.mark.parametrize("path", ALL)
def test_a_body_of_the_largest_size_is_read(service: ServiceCalls, path: str) -> None:
    start = GOOD_FORM[path].encode() + b"&padding="
    body = start + b"x" * (KIB_64 - len(start))
    assert len(body) == KIB_64
    for chunked in (False, True):
        request = request_bytes("POST", path, ((b"content-type", FORM), AUTHENTIC), body, chunked=chunked)
        assert exchange(service.process.address, request).status == 200


def test_what_is_announced_too_large_is_refused_unread(service: ServiceCalls) -> None:
    head = request_bytes("POST", TOKEN, ((b"content-type", FORM), AUTHENTIC), b"x" * (KIB_64 + 1)).partition(b"x" * 9)[
        0
    ]
    with socket.create_connection(service.process.address, timeout=5) as connection:
        connection.sendall(head.replace(b"connection: close\r\n", b""))
        answer = read_answer(connection)
    assert answer.status == 413
    assert answer.header("connection") == "close"


def test_a_request_that_waits_for_100_is_told_to_go_on_or_refused(service: ServiceCalls) -> None:
    headers = ((b"content-type", FORM), AUTHENTIC, (b"expect", b"100-continue"))
    for body, expected in ((b"grant_type=client_credentials", 200), (b"x" * (KIB_64 + 1), 413)):
        request = request_bytes("POST", TOKEN, headers, body)
        head = request[: -len(body)]
        with socket.create_connection(service.process.address, timeout=5) as connection:
            connection.sendall(head)
            if expected == 200:
                assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
                connection.sendall(body)
            assert read_answer(connection).status == expected


# RFC 9112 section 6.3: two readers that disagree on where a request ends are an attack.
AMBIGUOUS = {
    "two lengths": b"content-length: 5\r\ncontent-length: 6\r\n\r\na=1&b=2",
    "a length and chunks": b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": b"content-length: -1\r\n\r\n",
    "a length that is no number": b"content-length: five\r\n\r\n",
    "an endless length": b"content-length: " + b"9" * 40 + b"\r\n\r\n",
    "a length of endless zeros": b"content-length: " + b"0" * 5000 + b"1\r\n\r\nx",
    "chunks of no size": b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    "an unknown coding": b"transfer-encoding: chunked, nonsense\r\n\r\n0\r\n\r\n",
    "a folded header": b"x-a: b\r\n c: d\r\ncontent-length: 0\r\n\r\n",
    "a space before the colon": b"content-length : 0\r\n\r\n",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_request_that_can_be_read_in_two_ways_is_refused(service: ServiceCalls, name: str) -> None:
    head = b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    answer = exchange(service.process.address, head + AMBIGUOUS[name])
    assert answer.status == 400
    assert answer.header("connection") == "close"


@pytest.mark.parametrize("path", ALL)
@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"nonsense"])
def test_an_offer_to_change_the_protocol_is_ignored(service: ServiceCalls, path: str, protocol: bytes) -> None:
    upgrade = ((b"connection", b"upgrade"), (b"upgrade", protocol))
    request = request_bytes("POST", path, ((b"content-type", FORM), AUTHENTIC, *upgrade), GOOD_FORM[path].encode())
    answer = exchange(service.process.address, request.replace(b"connection: close\r\n", b"", 1), timeout=5)
    assert answer.status == 200


def test_many_headers_do_no_harm(service: ServiceCalls) -> None:
    headers = [(b"content-type", FORM), AUTHENTIC, *((b"x-%d" % number, b"y" * 100) for number in range(500))]
    request = request_bytes("POST", TOKEN, headers, b"grant_type=client_credentials")
    assert exchange(service.process.address, request).status in (200, 400, 431)


def test_a_client_that_goes_away_in_the_middle_does_no_harm(service: ServiceCalls) -> None:
    request = request_bytes("POST", TOKEN, ((b"content-type", FORM), AUTHENTIC), b"grant_type=client_credentials")
    errors = service.metric("token_operation_duration_seconds_count", outcome="error")
    for length in (1, 20, len(request) - 10, len(request) - 1):
        with socket.create_connection(service.process.address, timeout=5) as connection:
            connection.sendall(request[:length])
    assert service.token(BASIC)
    assert service.metric("token_operation_duration_seconds_count", outcome="error") == errors
