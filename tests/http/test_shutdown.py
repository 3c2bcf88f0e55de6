"""SIGTERM: not ready, still answering, in-flight requests finish, exit 0; a second signal does not wait."""

import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.programs.raw_http import Answer, exchange, read_answer, request_bytes
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC, JWT
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ServiceProcess, wait_until

CallsOf = Callable[[ServiceProcess], ServiceCalls]
LONG = "60"
"""More than any test waits: what ends sooner did not drain to the end."""


def begin_draining(process: ServiceProcess) -> None:
    process.signal(signal.SIGTERM)
    wait_until(lambda: "draining" in process.logs, "draining to begin")


def test_while_draining_it_answers_and_asks_to_be_left(start_service: StartService) -> None:
    process = start_service(DRAIN_SECONDS=LONG)
    with httpx.Client(base_url=process.base_url) as http:
        assert http.get("/health/ready").headers.get("connection") != "close"
        begin_draining(process)
        ready = {"status": "draining", "checks": {"keys": "ok", "store": "ok"}}
        for url in (process.base_url, process.metrics_url):
            answer = httpx.get(f"{url}/health/ready")
            assert (answer.status_code, answer.json()) == (503, ready)
        # On the connection that was open, and on new ones, whatever is asked.
        form = {"grant_type": "client_credentials"}
        answers = [
            http.post("/oauth/token", auth=BASIC.basic, data=form),
            http.get("/jwks.json"),
            http.get("/health/live"),
            httpx.get(f"{process.base_url}/openapi.json"),
            httpx.get(f"{process.base_url}/nothing"),
            httpx.post(f"{process.base_url}/oauth/token", data={"a": "b"}),
            httpx.get(f"{process.metrics_url}/metrics"),
            httpx.get(f"{process.metrics_url}/nothing"),
            httpx.get(f"{process.admin_url}/admin/stats"),
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 404, 401, 200, 404, 401]
        assert {answer.headers["connection"] for answer in answers} == {"close"}
    assert process.stop() == 0
    assert process.log_records()[-1]["message"] == "stopped"


def test_it_drains_for_as_long_as_it_is_set_and_the_metrics_listener_closes_last(
    start_service_once: StartService,
) -> None:
    process = start_service_once(DRAIN_SECONDS="0.5")
    began = time.monotonic()
    process.signal(signal.SIGTERM)
    closed_at: dict[str, float] = {}
    while len(closed_at) < 2 and time.monotonic() < began + 15:
        # In this order: at no moment is the metrics listener closed and the public one, looked at later, still open.
        for listener in ("metrics_url", "base_url"):
            port = int(getattr(process, listener).rpartition(":")[2])
            if is_closed(("127.0.0.1", port)):
                closed_at.setdefault(listener, time.monotonic())
        assert "base_url" in closed_at or "metrics_url" not in closed_at
    assert process.wait() == 0
    # However late this test looks: nothing is seen closed before its time.
    assert min(closed_at.values()) > began + 0.45
    assert len(closed_at) == 2


@pytest.fixture
def half_a_request(start_service: StartService) -> Iterator[tuple[ServiceProcess, socket.socket, bytes]]:
    """A service that has read a request but for the end of its body, the connection, and that end."""
    process = start_service()
    credentials = httpx.BasicAuth(*BASIC.basic)
    header = next(credentials.auth_flow(httpx.Request("POST", "http://x")))
    headers = [
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"authorization", header.headers["authorization"].encode()),
    ]
    request = request_bytes("POST", "/oauth/token", headers, b"grant_type=client_credentials")
    with socket.create_connection(process.address, timeout=10) as connection:
        connection.sendall(request[:-5])
        # A second request that is answered shows that the first one was read.
        assert exchange(process.address, request_bytes("GET", "/health/live")).status == 200
        time.sleep(0.1)
        yield process, connection, request[-5:]


def test_a_request_in_flight_is_finished(half_a_request: tuple[ServiceProcess, socket.socket, bytes]) -> None:
    process, connection, rest = half_a_request
    process.signal(signal.SIGTERM)
    wait_until(lambda: is_closed(process.address), "the listener to close")
    connection.sendall(rest)
    answer: Answer = read_answer(connection)
    assert answer.status == 200
    assert json.loads(answer.body)["access_token"]
    assert process.wait() == 0


def test_a_request_that_never_ends_holds_up_the_impatient_no_longer(
    half_a_request: tuple[ServiceProcess, socket.socket, bytes],
) -> None:
    process, _, _ = half_a_request
    process.signal(signal.SIGTERM)
    wait_until(lambda: is_closed(process.address), "the listener to close")
    began = time.monotonic()
    process.signal(signal.SIGTERM)
    assert process.wait() == 0
    assert time.monotonic() - began < 5


def test_requests_under_way_are_all_answered(start_service: StartService, calls_of: CallsOf) -> None:
    process = start_service(clients=(JWT,), KEYS_ALGORITHMS="RS256", DRAIN_SECONDS="0")
    service = calls_of(process)
    service.token(JWT)
    results: list[int | str] = []

    def ask() -> None:
        with httpx.Client(base_url=process.base_url, timeout=20) as http:
            form = {"grant_type": "client_credentials"}
            for _ in range(100):
                try:
                    answer = http.post("/oauth/token", auth=JWT.basic, data=form)
                except httpx.ConnectError:
                    return  # the listener is closed: this one was never taken on
                except httpx.TransportError as error:
                    results.append(repr(error))
                    return
                results.append(answer.status_code)
                if answer.headers.get("connection") == "close":
                    return

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        wait_until(lambda: len(results) > 20, "requests to be under way")
        process.signal(signal.SIGTERM)
        for each in asking:
            each.result()
    assert process.wait() == 0
    # A request that meets the closing of its idle connection was not taken on either; what was, got its answer.
    refused = [result for result in results if result != 200]
    assert all("disconnected" in str(result) or "ReadError" in str(result) for result in refused), refused
    assert len(refused) <= 4


SIGNALS = [
    (signal.SIGTERM, signal.SIGTERM),
    (signal.SIGTERM, signal.SIGINT),
    (signal.SIGINT, None),
]


@pytest.mark.parametrize(("first", "second"), SIGNALS)
def test_a_second_signal_or_an_interrupt_ends_the_draining(
    start_service_once: StartService, first: signal.Signals, second: signal.Signals | None
) -> None:
    process = start_service_once(clients=(BASIC,), DRAIN_SECONDS=LONG)
    began = time.monotonic()
    process.signal(first)
    if second is not None:
        wait_until(lambda: "draining" in process.logs, "draining to begin")
        process.signal(second)
    assert process.wait() == 0
    assert time.monotonic() - began < 10


def is_closed(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) != 0
