"""Nothing has to be cleaned up: after a million short-lived tokens a store is as empty as before, twice over."""

import asyncio
import os
import sys

import msgspec
import pytest

from tests.conftest import StartRedis
from tests.programs.service_process import environment_of_its_own
from tests.proving.conftest import Proof
from tests.proving.soak import Report

pytestmark = [pytest.mark.anyio, pytest.mark.prove, pytest.mark.timeout(1_200)]

GROWTH = 1.05
MEBIBYTE = 2**20


async def soak(*arguments: str) -> Report:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.proving.soak", *arguments),
        stdout=asyncio.subprocess.PIPE,
        env=environment_of_its_own({name: os.environ[name] for name in ("PROVE_SOAK_TOKENS",) if name in os.environ}),
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    return msgspec.json.decode(output, type=Report)


def told(report: Report) -> str:
    sizes = " and ".join(f"{size / MEBIBYTE:.0f} MiB" for size in report.resident_bytes)
    return f"{report.most_held:,} entries held at most, 0 left after each wave; resident {sizes} after the waves"


async def test_memory(proof: Proof) -> None:
    report = await soak("memory")
    assert report.left == {}
    first, second = report.resident_bytes
    assert second <= GROWTH * first
    proof.conclude("soak-memory", notes=told(report), requests=report.issued + report.revoked)


async def test_redis(proof: Proof, redis_process: StartRedis) -> None:
    report = await soak("redis", redis_process().url)
    assert report.left == {}
    for first, second in (report.resident_bytes, report.store_bytes):
        assert second <= GROWTH * first
    sizes = " and ".join(f"{size / MEBIBYTE:.2f} MiB" for size in report.store_bytes)
    proof.conclude("soak-redis", notes=f"{told(report)}, Redis {sizes}", requests=report.issued + report.revoked)
