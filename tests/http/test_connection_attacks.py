"""Attacks by connections in every mode: bounded, timed out, and felt by nobody who asks as one should.

Beside each attack a client gets tokens over new connections, and a probe asks the listener for metrics; neither may
fail. The settings make the service's patience short, so that what it ends is seen to end.
"""

import base64
import contextlib
import http.client
import json
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from app.composition.allocator import LOOK_SECONDS
from app.web.connections import WAITING
from benchmarks.load import Script, run_wrk
from benchmarks.machine import split_cores
from tests.conftest import RequireProgram
from tests.programs.connection_attacks import ATTACKS
from tests.programs.liveness import Liveness, probing
from tests.programs.raw_http import exchange, request_bytes
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ROOT, open_sockets, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SECONDS = 8
LONGEST_SECONDS = 60
"""Of an attack that waits until the service has ended all of it."""
HEAD_SECONDS = 1
KEEP_ALIVE_SECONDS = 10
GIVEN_BACK_SECONDS = LOOK_SECONDS + 1
LEFT_BYTES, LEFT_BYTES_OF_CONNECTION = 12_000_000, 4096
"""What an attack may leave behind; two of half-open uploads left 57 MB before free pages were given back.

Ten thousand idle connections leave 30 MB for the next ten thousand. 27 of them are pages of Python's object allocator
in which nothing lives: it gives back whole mebibytes only, and some 450 small objects, of uvloop's and of the
interpreter's lists of free ones, lie scattered over them. That is why the second attack must add nothing."""
AGAIN_BYTES = 12_000_000
"""What the same attack may leave once more: a block for each of many heads, which the next look gives back."""
LEFT_BYTES_OF_WAITING = 3072
"""What an overload may leave for each request that may wait. A request that waits takes some 4 KB; after it pages stay
in which nearly nothing lives, more of them the more waited at once, which differs from one time to the next. Six
overloads by 2,000 connections, one after the other, left 44, 44, 42, 88, 65, 60 MB of 71 to 140 that they had taken."""
OVERLOADS, MOST_OVERLOADS = 2, 5
"""So many overloads show what one leaves. Of those that follow one must leave no more: what each kept would add up."""
CALLER = BASIC._replace(entry={**BASIC.entry, "rate_limit_per_minute": "unlimited"})
AUTHORIZATION = b"Basic " + base64.b64encode(":".join(CALLER.basic).encode())
FORM = (b"content-type", b"application/x-www-form-urlencoded")
TOKEN_REQUEST = request_bytes(
    "POST", "/oauth/token", ((b"authorization", AUTHORIZATION), FORM), b"grant_type=client_credentials"
)
OVERLOAD = 3
OVERLOAD_SECONDS = 8
CONNECTIONS_OF_OVERLOAD = (192, 2000)


@pytest.fixture(scope="module")
def attacked(start_module_service: StartService) -> Iterator[ServiceCalls]:
    calls = ServiceCalls(
        start_module_service(
            clients=(CALLER,),
            REQUEST_TIMEOUT_SECONDS=str(HEAD_SECONDS),
            KEEP_ALIVE_SECONDS=str(KEEP_ALIVE_SECONDS),
            MAX_CONNECTIONS="12000",
            LOG_LEVEL="error",
            AUDIT_LOG="off",
        )
    )
    yield calls
    calls.close()


def resident(service: ServiceCalls) -> int:
    return int(Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]) * 4096


class Beside:
    """What was seen of the service while something went on."""

    def __init__(self, live: Liveness) -> None:
        self.live = live
        self.token_seconds: list[float] = []
        self.refusals: list[object] = []
        self.most_resident = 0
        self.most_sockets = 0


@contextlib.contextmanager
def watched(service: ServiceCalls) -> Iterator[Beside]:
    """Probe the service, get tokens from it over new connections, and weigh it, until the block ends."""
    stopping = threading.Event()
    with probing(service.process.metrics_url) as live:
        seen = Beside(live)

        def watch() -> None:
            for number in count():
                if stopping.wait(0.05):
                    return
                started = time.monotonic()
                try:
                    status = exchange(service.process.address, TOKEN_REQUEST, timeout=5).status
                    if status != 200:
                        seen.refusals.append(status)
                except (OSError, http.client.HTTPException) as error:
                    seen.refusals.append(repr(error))
                seen.token_seconds.append(time.monotonic() - started)
                seen.most_resident = max(seen.most_resident, resident(service))
                if number % 10 == 0:  # ten thousand names to read take a while
                    seen.most_sockets = max(seen.most_sockets, open_sockets(service.process.pid))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield seen
        finally:
            stopping.set()
            thread.join()


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_bounded_and_felt_by_nobody_else(attacked: ServiceCalls, fast_path: str, name: str) -> None:
    attack, service = ATTACKS[name], attacked
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= attack.connections + 1000, f"the limit on open files is {hard}"
    command = [sys.executable, "-m", "tests.programs.connection_attacks", name]
    seconds = LONGEST_SECONDS if attack.again_seconds is None else SECONDS
    command += [*map(str, service.process.address), str(seconds)]
    left, before = [], 0
    service.access_token(CALLER)
    for _ in range(2):
        before = before or resident(service)
        with watched(service) as seen:
            done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        came_to = json.loads(done.stdout)
        wait_until(lambda: open_sockets(service.process.pid) < 50, "the end of the connections")
        time.sleep(GIVEN_BACK_SECONDS)
        service.access_token(CALLER)
        left.append(resident(service))
        slowest = max(seen.token_seconds) * 1e3
        print(
            f"{fast_path}, {name}: {came_to}; at most {seen.most_sockets} sockets, resident {before / 1e6:.1f}, "
            f"{seen.most_resident / 1e6:.1f}, {left[-1] / 1e6:.1f} MB; {len(seen.token_seconds)} tokens, slowest "
            f"{slowest:.0f} ms; {seen.live}"
        )
        assert seen.refusals == []
        assert seen.live.failures == []
        assert came_to["smuggled"] == 0
        assert set(came_to["answers"]) <= {"200", "400", "408", "413", "415", "431", "501", "505"}
        # Every connection that was there in the beginning was ended by the service.
        assert came_to["ended"] >= attack.connections
    assert left[0] - before < LEFT_BYTES + LEFT_BYTES_OF_CONNECTION * attack.connections, (before, left)
    assert left[1] - left[0] < AGAIN_BYTES, (before, left)


def one_introspection(service: ServiceCalls) -> bytes:
    """The request as bytes, for a connection that goes on."""
    form = f"token={service.access_token(CALLER)}".encode()
    lines = (
        b"POST /oauth/introspect HTTP/1.1",
        b"host: x",
        b"authorization: " + AUTHORIZATION,
        b": ".join(FORM),
        b"content-length: %d" % len(form),
    )
    return b"\r\n".join(lines) + b"\r\n\r\n" + form


def length_of_answer(service: ServiceCalls, request: bytes) -> int:
    with socket.create_connection(service.process.address, timeout=5) as connection:
        connection.sendall(request)
        received = b""
        while not received.endswith(b"}"):
            received += connection.recv(65_536)
    return len(received)


@pytest.mark.parametrize("connections", CONNECTIONS_OF_OVERLOAD)
def test_the_probe_is_answered_at_three_times_saturation(
    attacked: ServiceCalls,
    fast_path: str,
    connections: int,
    tmp_path: Path,
    require_program: RequireProgram,
) -> None:
    require_program("wrk")
    request = one_introspection(attacked)
    (tmp_path / "request").write_bytes(request)
    _, load_cores = split_cores()
    script = Script.same("POST", *_authorization_and_form(request))
    url = f"{attacked.process.base_url}/oauth/introspect"
    capacity = run_wrk(url, script, seconds=3, connections=64, cores=load_cores)
    assert capacity.refused == capacity.failed == 0
    command = [sys.executable, "-m", "tests.programs.overload", *map(str, attacked.process.address)]
    command += [str(connections), str(OVERLOAD * capacity.rate), str(OVERLOAD_SECONDS), str(tmp_path / "request")]
    command += [str(length_of_answer(attacked, request))]
    before = resident(attacked)
    left: list[int] = []
    while len(left) < MOST_OVERLOADS and not is_plateau(left):
        with probing(attacked.process.metrics_url) as live:
            done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        came_to = json.loads(done.stdout)
        grown = resident(attacked) - before
        wait_until(lambda: open_sockets(attacked.process.pid) < 50, "the end of the connections")
        time.sleep(GIVEN_BACK_SECONDS)
        assert attacked.access_token(CALLER)
        left.append(resident(attacked) - before)
        print(
            f"{fast_path}, {connections} connections: at most {capacity.rate:.0f} a second, then {came_to} in "
            f"{OVERLOAD_SECONDS} s; grown by {grown / 1e6:.1f} MB, {left[-1] / 1e6:.1f} in the end; {live}"
        )
        assert live.failures == []
        assert len(live.seconds) >= 5
        assert came_to["due"] >= 2.9 * capacity.rate * OVERLOAD_SECONDS
    assert max(left) < LEFT_BYTES + LEFT_BYTES_OF_WAITING * WAITING * connections, left
    assert is_plateau(left), left


def is_plateau(left: list[int]) -> bool:
    """Whether after the first overloads another one left no more than they did."""
    return len(left) > OVERLOADS and min(left[OVERLOADS:]) < max(left[:OVERLOADS]) + AGAIN_BYTES


def test_what_each_overload_keeps_is_no_plateau() -> None:
    noise = (0, 20, 5, 25, 0)
    assert is_plateau([40_000_000 + megabytes * 1_000_000 for megabytes in noise[:3]])
    assert not is_plateau([(30 * number + megabytes) * 1_000_000 for number, megabytes in enumerate(noise)])


def _authorization_and_form(request: bytes) -> tuple[str, str]:
    head, _, form = request.decode().partition("\r\n\r\n")
    (authorization,) = (line for line in head.split("\r\n") if line.startswith("authorization: "))
    return authorization.removeprefix("authorization: "), form
