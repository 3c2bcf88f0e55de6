"""A backup that is older than revocations: what it revives, and that the fence ends it."""

import asyncio
import shutil
import subprocess
import sys
import time

import pytest
import redis

from tests.conftest import StartRedis
from tests.programs.redis_process import RedisProcess
from tests.programs.service_process import environment_of_its_own
from tests.proving.conftest import BOUND_SECONDS, Proof, StartTwo

pytestmark = [pytest.mark.anyio, pytest.mark.prove, pytest.mark.timeout(300)]


def back_up(server: RedisProcess) -> None:
    with redis.Redis(port=server.port) as operator:
        operator.save()
    shutil.copy(server.folder / "dump.rdb", server.folder / "backup.rdb")


def fence(url: str, prefix: str, before: int) -> None:
    """As an operator does it."""
    command = [sys.executable, "-m", "app", "store", "fence", "--before", str(before)]
    settings = {"REDIS_URL": url, "REDIS_KEY_PREFIX": prefix, "CLIENT_CREDENTIALS": "operator:not-a-secret-at-all"}
    environment = environment_of_its_own(settings)
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_old_backup(proof: Proof, redis_process: StartRedis, start_two: StartTwo, redis_key_prefix: str) -> None:
    server = redis_process()
    replicas = await start_two(REDIS_URL=server.url)
    model = proof.model
    async with proof.traffic(*replicas) as traffic:
        await traffic.until_well()
        await asyncio.sleep(3)
        await asyncio.to_thread(back_up, server)
        doomed = [token for token in model.alive() if token.kind != "family"]
        for token in doomed[::2]:
            await traffic.revoke(token)
        await asyncio.sleep(2)
        revoked = model.dead()
        await traffic.check()
    # The processes that revoked would say it again for a minute: they are gone, as in a disaster.
    for replica in replicas:
        assert replica.stop() == 0
    server.kill()
    shutil.copy(server.folder / "backup.rdb", server.folder / "dump.rdb")
    await asyncio.sleep(1.1)
    await asyncio.to_thread(server.restart)
    replicas = await start_two(REDIS_URL=server.url)
    restored = proof.traffic(*replicas)
    revived = 0
    for token in revoked:
        answer = await restored.ask_about(token)
        revived += b'"active":true' in answer.body
    # Not judged by the model: this is what the fence is for.
    assert revived > 50
    fenced_at = int(time.time())
    asked_from = time.monotonic()
    await asyncio.to_thread(fence, server.url, redis_key_prefix, fenced_at)
    await asyncio.sleep(BOUND_SECONDS)
    model.gone = lambda token: token.issued < asked_from
    for _ in range(2):
        outcomes = await restored.ask_all(list(model.tokens))
        assert set(outcomes) == {"inactive"}
    for family in [family for family in model.families if family.refresh_token][:50]:
        used = await restored.present(family.refresh_token)
        assert used is not None
        assert used.status == 400
    async with restored:
        await asyncio.sleep(2)
    await restored.check()
    fenced = sum(model.gone(token) for token in model.tokens)
    notes = (
        f"{revived} of {len(revoked)} revoked tokens lived again until the fence; then none of {fenced:,} tokens did"
    )
    proof.conclude("old-backup", notes=notes)
