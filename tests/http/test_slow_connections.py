"""Connections that are slow, silent or many: bounded in time and number, while others are answered all along.

Each test waits for the service to act; the settings make its patience short.
"""

import contextlib
import resource
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.web.connections import SLOW_SECONDS
from tests.programs.raw_http import read_answer
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ServiceProcess, open_sockets, wait_until

CallsOf = Callable[[ServiceProcess], ServiceCalls]
HEAD_SECONDS = 0.5
HALF_A_HEAD = b"POST /oauth/token HTTP/1.1\r\nhost: x\r\nx-slow: "
HALF_A_BODY = (
    b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    b"content-length: 40\r\n\r\ngrant_type="
)
MANY = 10_000


@pytest.fixture(scope="module")
def impatient(start_module_service: StartService) -> Iterator[ServiceCalls]:
    process = start_module_service(REQUEST_TIMEOUT_SECONDS=str(HEAD_SECONDS), KEEP_ALIVE_SECONDS="1")
    calls = ServiceCalls(process)
    yield calls
    calls.close()


@pytest.fixture(scope="module")
def crowded(start_module_service: StartService) -> Iterator[ServiceCalls]:
    calls = ServiceCalls(start_module_service(MAX_CONNECTIONS="20"))
    yield calls
    calls.close()


ALIVE = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"


def connect(service: ServiceCalls) -> socket.socket:
    return socket.create_connection(service.process.address, timeout=15)


def test_a_silent_connection_is_closed(impatient: ServiceCalls) -> None:
    with connect(impatient) as silent:
        assert silent.recv(1) == b""


@pytest.mark.parametrize("sent", [b"\r\n", b"\r\n\r\n"], ids=["a line", "two lines"])
def test_empty_lines_keep_no_connection_open(impatient: ServiceCalls, sent: bytes) -> None:
    with connect(impatient) as trickling, contextlib.suppress(ConnectionError):
        give_up_at = time.monotonic() + 10
        trickling.settimeout(0.2)
        while time.monotonic() < give_up_at:
            trickling.sendall(sent)
            with contextlib.suppress(TimeoutError):
                assert trickling.recv(1) == b""
                return
        pytest.fail("the connection is still open")


@pytest.mark.parametrize("half", [HALF_A_HEAD, HALF_A_BODY, b"G"], ids=["head", "body", "one byte"])
def test_half_a_request_is_answered_408_and_closed(impatient: ServiceCalls, half: bytes) -> None:
    with connect(impatient) as slow:
        slow.sendall(half)
        answer = read_answer(slow)
        assert answer.status == 408
        assert answer.header("connection") == "close"
        assert slow.recv(1) == b""


def test_a_byte_now_and_then_buys_no_time(impatient: ServiceCalls) -> None:
    """Slow-loris: each connection sends a little, just often enough to look alive."""
    slow = [connect(impatient) for _ in range(50)]
    try:
        for connection in slow:
            connection.sendall(HALF_A_HEAD)
        ended_at = time.monotonic() + 20 * HEAD_SECONDS
        left = set(slow)
        while left and time.monotonic() < ended_at:
            for connection in list(left):
                try:
                    connection.sendall(b"a")
                    connection.settimeout(0.001)
                    if connection.recv(4096):
                        left.discard(connection)
                except TimeoutError:
                    pass
                except OSError:
                    left.discard(connection)
            impatient.access_token(BASIC)
        assert not left
    finally:
        for connection in slow:
            connection.close()


def test_a_slow_body_that_is_in_time_is_answered(impatient: ServiceCalls) -> None:
    with connect(impatient) as slow:
        slow.sendall(HALF_A_BODY)
        time.sleep(1.5 * HEAD_SECONDS)  # longer than a head may take, and within what a body may
        slow.sendall(b"client_credentials&scope=read1")
        assert read_answer(slow).status == 401


def test_who_does_not_read_its_answers_is_cut_off(impatient: ServiceCalls) -> None:
    request = b"GET /jwks.json HTTP/1.1\r\nhost: x\r\n\r\n" * 1000
    with connect(impatient) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.suppress(OSError):
            deaf.settimeout(0.5)
            for _ in range(200):
                deaf.sendall(request)
        before = open_sockets(impatient.process.pid)
        assert before >= 1
        wait_until(lambda: open_sockets(impatient.process.pid) < before, "the end of the connection", 15)


def test_one_more_than_the_most_takes_the_place_of_an_idle_one(crowded: ServiceCalls) -> None:
    service = crowded
    idle = [connect(service) for _ in range(60)]
    time.sleep(2 * SLOW_SECONDS)  # until they were taken, on a busy machine too, and count as idle
    try:
        assert service.access_token(BASIC)  # over a new connection
        assert open_sockets(service.process.pid) < 60
        assert httpx.get(f"{service.process.metrics_url}/health/live").status_code == 200
    finally:
        for connection in idle:
            connection.close()


@pytest.mark.parametrize("half", [HALF_A_HEAD, HALF_A_BODY], ids=["head", "body"])
def test_half_a_request_on_every_connection_keeps_nobody_out_and_ends_no_connection_that_works(
    crowded: ServiceCalls, half: bytes
) -> None:
    service = crowded
    service.access_token(BASIC)
    with contextlib.ExitStack() as open_ones:
        working = [open_ones.enter_context(connect(service)) for _ in range(5)]
        for connection in working:
            connection.sendall(ALIVE)
            assert read_answer(connection).status == 200
        for _ in range(6):
            for _ in range(10):
                open_ones.enter_context(connect(service)).sendall(half)
            time.sleep(2 * SLOW_SECONDS)
            with connect(service) as more:
                more.sendall(ALIVE)
                assert read_answer(more).status == 200
        for connection in working:
            connection.sendall(ALIVE)
            assert read_answer(connection).status == 200


def test_who_is_slow_is_not_ended_for_those_who_never_ask(crowded: ServiceCalls) -> None:
    with contextlib.ExitStack() as open_ones:
        for _ in range(15):
            open_ones.enter_context(connect(crowded))
        slow = open_ones.enter_context(connect(crowded))
        slow.sendall(HALF_A_BODY)
        time.sleep(2 * SLOW_SECONDS)
        for _ in range(10):
            more = open_ones.enter_context(connect(crowded))
            more.sendall(ALIVE)
            assert read_answer(more).status == 200
        slow.sendall(b"client_credentials&scope=read1")
        assert read_answer(slow).status == 401


def test_where_none_is_idle_or_slow_one_more_is_turned_away_and_probes_are_answered(crowded: ServiceCalls) -> None:
    answers = []
    for _ in range(10):  # on a busy machine the first may be slow by the time that the last is there
        with contextlib.ExitStack() as open_ones:
            for _ in range(20):
                open_ones.enter_context(connect(crowded)).sendall(HALF_A_HEAD)
            time.sleep(SLOW_SECONDS / 5)  # until they are read: before, they are as idle as any
            more = open_ones.enter_context(connect(crowded))
            more.settimeout(2 * SLOW_SECONDS)
            with contextlib.suppress(TimeoutError):
                answer = read_answer(more)
                answers.append((answer.status, answer.header("connection")))
                assert httpx.get(f"{crowded.process.metrics_url}/health/live").status_code == 200
                break
    assert answers == [(503, "close")]


@pytest.mark.slow
def test_ten_thousand_idle_connections_cost_little_and_give_it_back(
    start_service_once: StartService, calls_of: CallsOf
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(MANY, hard - 1000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 500), hard))
    service = calls_of(start_service_once(KEEP_ALIVE_SECONDS="300"))
    service.access_token(BASIC)

    def resident() -> int:
        return int(Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]) * 4096

    before, idle = resident(), list[socket.socket]()
    try:
        for number in range(wanted):
            connection = socket.socket()
            connection.bind((f"127.0.{1 + number // 5000}.1", 0))
            connection.connect(service.process.address)
            idle.append(connection)
        wait_until(lambda: open_sockets(service.process.pid) >= wanted, "all connections", 30)
        assert service.access_token(BASIC)
        assert httpx.get(f"{service.process.metrics_url}/health/live").status_code == 200
        assert (resident() - before) / wanted < 16_000
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_until(lambda: open_sockets(service.process.pid) < 50, "the end of all connections", 30)
    first = resident()
    for _ in range(3):  # a second time costs nothing that the first has not
        service.access_token(BASIC)
    assert resident() <= first + 1_000_000
