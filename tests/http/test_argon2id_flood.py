"""200 wrong chosen secrets a second: introspection hardly feels them, and the real client gets in.

The hashes are those of ``auth-service clients hash``: 64 MiB, three passes, four lanes.
"""

import base64
import itertools
import os
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from statistics import median

import pytest
from argon2 import PasswordHasher

from benchmarks.load import Load, Script, run_wrk
from tests.conftest import RequireProgram
from tests.programs.paced_requests import PacedRequests
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC, CANARY, RegisteredClient, with_secret
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ServiceProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CallsOf = Callable[[ServiceProcess], ServiceCalls]
GUESSES_PER_SECOND = 200
ROUNDS = 4
SECONDS = 3
LONGEST_SECONDS = 60.0
"""That a real client waits for one try: the threads that verify have what the machine has left over."""
PAUSE_MS = 20
"""Of 16 connections: 800 introspections a second."""
MOST_MS = 10.0
FORM = b"grant_type=client_credentials"


def person(name: str) -> RegisteredClient:
    client = with_secret(name, secret=f"{CANARY}-a person chose this for {name}", rate_limit_per_minute="unlimited")
    client.entry["secrets"] = [{"hash": PasswordHasher().hash(client.secret)}]
    return client


AT_WORK = person("at-work")
STRANGERS = [person(f"stranger-{number}") for number in range(ROUNDS)]
OTHERS = [person(f"other-{number}") for number in range(ROUNDS)]
GUESSED = (AT_WORK, *STRANGERS)
CALLER = BASIC._replace(entry={**BASIC.entry, "rate_limit_per_minute": "unlimited"})


def basic(client: RegisteredClient, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client.id}:{secret}".encode()).decode()


def guess_from(address: str, number: int) -> bytes:
    lines = (
        b"POST /oauth/token HTTP/1.1",
        b"host: x",
        b"authorization: " + basic(GUESSED[number % len(GUESSED)], f"guess {number}").encode(),
        b"x-forwarded-for: " + address.encode(),
        b"content-type: application/x-www-form-urlencoded",
        b"content-length: %d" % len(FORM),
    )
    return b"\r\n".join(lines) + b"\r\n\r\n" + FORM


FRESH = itertools.count(int(ip_address("10.0.0.1")))
"""Addresses that were never seen, in no round."""

ATTACKERS: dict[str, Callable[[int], bytes]] = {
    "one address": lambda number: guess_from("203.0.113.66", number),
    "twenty addresses": lambda number: guess_from(f"203.0.113.{number % 20}", number),
    # A multiple of the clients that are guessed at: each address guesses at one of them, again and again.
    "forty addresses": lambda number: guess_from(f"192.168.0.{number % 40}", number),
    "an address each": lambda number: guess_from(str(ip_address(next(FRESH))), number),
}


@pytest.mark.parametrize("attacker", ATTACKERS)
def test_introspection_hardly_feels_it_and_the_real_client_gets_in(
    start_service_once: StartService,
    calls_of: CallsOf,
    require_program: RequireProgram,
    tmp_path: Path,
    attacker: str,
) -> None:
    require_program("wrk")
    process = start_service_once(
        clients=(CALLER, *GUESSED, *OTHERS),
        TRUSTED_PROXIES="127.0.0.0/8",
        RATE_LIMIT_FAILURES_PER_MINUTE="300",
        LOG_LEVEL="error",
    )
    service = calls_of(process)
    (tmp_path / "tokens").write_text(service.access_token(CALLER) + "\n")
    script = Script("wide.lua", (basic(CALLER, CALLER.secret), str(tmp_path / "tokens"), str(PAUSE_MS)))

    def introspections(seconds: int) -> Load:
        url, cores = f"{process.base_url}/oauth/introspect", sorted(os.sched_getaffinity(0))
        load = run_wrk(url, script, seconds=seconds, connections=16, cores=cores)
        assert (load.refused, load.failed) == (0, 0)
        return load

    def tries_until_in(client: RegisteredClient, address: str) -> int:
        """How often the real client must ask, when it comes again as it is told."""
        for tried in range(1, 21):
            form, headers = {"grant_type": "client_credentials"}, {"x-forwarded-for": address}
            answer = service.http.post(
                "/oauth/token", auth=client.basic, data=form, headers=headers, timeout=LONGEST_SECONDS
            )
            if answer.status_code == 200:
                return tried
            assert answer.status_code == 429
            time.sleep(int(answer.headers["retry-after"]))
        pytest.fail(f"{client.id} did not get in from {address}")

    assert tries_until_in(AT_WORK, "198.51.100.1") == 1  # the client at work, before anybody guesses
    introspections(1)
    idle_ms, busy_ms, tried = [], [], []
    for number in range(ROUNDS):
        idle = introspections(SECONDS)
        with PacedRequests(process.address, ATTACKERS[attacker], GUESSES_PER_SECOND) as flood:
            busy = introspections(SECONDS)
            # At work: always. Never seen before, from elsewhere: its turn comes; of another client: at once.
            assert [tries_until_in(AT_WORK, "198.51.100.1") for _ in range(20)] == [1] * 20
            tried.append(
                (tries_until_in(STRANGERS[number], "198.51.100.2"), tries_until_in(OTHERS[number], "192.0.2.1"))
            )
        idle_ms.append(idle.p99_ms)
        busy_ms.append(busy.p99_ms)
        print(
            f"{attacker}: p99 {idle.p99_ms:.2f} ms idle, {busy.p99_ms:.2f} ms beside {flood.sent} guesses "
            f"{dict(flood.statuses)}, p50 {idle.p50_ms:.2f} and {busy.p50_ms:.2f}; tries of the real ones {tried[-1]}"
        )
        assert set(flood.statuses) <= {401, 429}
        assert flood.sent >= 0.9 * GUESSES_PER_SECOND * SECONDS
    # An ordinary round beside the flood against the calmest without it: what else runs can only raise the difference.
    assert median(busy_ms) - min(idle_ms) <= MOST_MS, (idle_ms, busy_ms)
    assert {others for _, others in tried} == {1}
