"""What introspection feels of 100,000 tokens that are revoked by list: its p99 stays within twice its idle value."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from benchmarks import clients, rows
from benchmarks.load import Load, Script, run_wrk
from benchmarks.machine import split_cores
from benchmarks.redis_process import KEY_PREFIX, fill
from benchmarks.servers import free_port, service
from tests.conftest import RequireProgram

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LISTED = 100_000
PAUSE_MS = 20
ROUNDS = 3
OPERATOR_TOKEN = "canary-operators-token"


def test_introspection_hardly_feels_a_hundred_thousand_revocations(
    redis_url: str, tmp_path: Path, require_program: RequireProgram
) -> None:
    require_program("wrk")
    server_cores, load_cores = split_cores()
    kept = tmp_path / "kept"
    listed = [tmp_path / f"listed-{number}" for number in range(ROUNDS)]
    asyncio.run(fill(redis_url, kept, 20_000))
    for file in listed:
        asyncio.run(fill(redis_url, file, LISTED))
    (tmp_path / "admin-token").write_text(OPERATOR_TOKEN)
    admin_port = free_port()
    settings = rows.settings(tmp_path) | {
        "REDIS_URL": redis_url,
        "REDIS_KEY_PREFIX": KEY_PREFIX,
        "ADMIN_TOKEN_FILE": str(tmp_path / "admin-token"),
        "ADMIN_ADDR": f"127.0.0.1:{admin_port}",
    }
    script = Script("wide.lua", (clients.authorization(clients.OPAQUE), str(kept), str(PAUSE_MS)))
    with service(server_cores, settings) as server, ThreadPoolExecutor(1) as beside:

        def probe(seconds: float) -> Load:
            return run_wrk(server.url("/oauth/introspect"), script, seconds=seconds, connections=16, cores=load_cores)

        def revoke(file: Path) -> float:
            started = time.monotonic()
            answer = httpx.post(
                f"http://127.0.0.1:{admin_port}/admin/revocations/tokens",
                json={"tokens": file.read_text().split()},
                headers={"authorization": f"Bearer {OPERATOR_TOKEN}"},
                timeout=300,
            )
            assert answer.json()["access_tokens"] == LISTED
            return time.monotonic() - started

        probe(2)
        ratios = []
        for file in listed:
            idle = probe(5)
            revoking = beside.submit(revoke, file)
            busy = probe(5)
            assert (idle.refused, idle.failed, busy.refused, busy.failed) == (0, 0, 0, 0)
            seconds = revoking.result()
            ratios.append(busy.p99_ms / idle.p99_ms)
            print(f"p99 {idle.p99_ms:.2f} ms idle, {busy.p99_ms:.2f} ms beside; {LISTED} revoked in {seconds:.1f} s")
        # The least disturbed round: what else runs on the machine can only make it worse.
        assert min(ratios) <= 2, ratios
        token = rows.last_line(listed[0])
        answer = server.ask(
            "POST", "/oauth/introspect", authorization=clients.authorization(clients.OPAQUE), form=f"token={token}"
        )
        assert answer == (200, b'{"active":false}')
