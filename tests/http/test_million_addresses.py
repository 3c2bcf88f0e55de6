"""A million addresses that each guess once, against the real service: it stays as large as it was."""

import base64
import os
from pathlib import Path

import pytest

from benchmarks.load import Script, run_wrk
from tests.conftest import RequireProgram
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC
from tests.programs.service_fixtures import StartService

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ADDRESSES = 1_000_000
STEP_SECONDS = 4
MOST_STEPS = 60
FULL_AFTER = 200_000
"""Addresses, after which every table has been full."""
LOST_BYTES = 3_000_000


def test_a_million_addresses_leave_the_service_as_large_as_it_was(
    start_service_once: StartService, require_program: RequireProgram
) -> None:
    require_program("wrk")
    process = start_service_once(
        clients=(BASIC,),
        TRUSTED_PROXIES="127.0.0.0/8",
        RATE_LIMIT_FAILURES_PER_MINUTE="300",
        LOG_LEVEL="error",
        AUDIT_LOG="off",
    )
    wrong = "Basic " + base64.b64encode(f"{BASIC.id}:wrong".encode()).decode()

    def resident() -> int:
        return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096

    guessed, sizes = 0, [(0, resident())]
    for _ in range(MOST_STEPS):
        script = Script("addresses.lua", (wrong, "grant_type=client_credentials", str(guessed)))
        load = run_wrk(
            f"{process.base_url}/oauth/token",
            script,
            seconds=STEP_SECONDS,
            connections=32,
            cores=sorted(os.sched_getaffinity(0)),
        )
        assert load.failed == 0
        assert load.refused == load.requests  # nobody got in
        guessed += load.requests
        sizes.append((guessed, resident()))
        if guessed >= ADDRESSES:
            break
    print([f"{number:,}: {size / 1e6:.1f} MB" for number, size in sizes])
    assert guessed >= ADDRESSES
    full = next(size for number, size in sizes if number >= FULL_AFTER)
    assert sizes[-1][1] - full < LOST_BYTES, sizes
    calls = ServiceCalls(process)
    assert calls.access_token(BASIC)  # who is right gets in, from an address like any other
    calls.close()
