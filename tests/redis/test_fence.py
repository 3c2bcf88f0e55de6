"""``auth-service store fence``: everything issued earlier is refused by every replica, whatever the deployment."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from app.storage.interface import IssuedFacts, Rotation
from app.storage.redis.store import RedisStore
from tests.conformance.issued import Grant, look_up, new_grant, new_ref
from tests.conftest import StartRedis
from tests.programs.ports import free_port
from tests.redis.cluster_processes import ClusterProcesses
from tests.redis.conftest import PREFIX, OpenStore
from tests.redis.sentinels import Sentinels

pytestmark = pytest.mark.anyio

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(params=["single", "sentinel", "cluster"])
def deployment(request: pytest.FixtureRequest, redis_process: StartRedis, tmp_path: Path) -> Iterator[str]:
    if request.param == "single":
        yield redis_process().url
    elif request.param == "cluster":
        yield ClusterProcesses(redis_process).url
    else:
        with Sentinels(redis_process, tmp_path, replicas=1) as watching:
            watching.wait_until_watching()
            yield watching.url


class Done(NamedTuple):
    """What the command came to."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def fence(*arguments: str, **environ: str | None) -> Done:
    """The command as operators run it: a process of its own, whose connections end with it."""
    unset = ("CLIENT_CREDENTIALS", "CLIENTS_FILE", *(name for name, value in environ.items() if value is None))
    inherited = {name: value for name, value in os.environ.items() if name not in unset}
    given = {name: value for name, value in environ.items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-m", "app", "store", "fence", *arguments],
        cwd=REPOSITORY,
        env={**inherited, "REDIS_KEY_PREFIX": PREFIX, **given},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Done(done.returncode, done.stdout, done.stderr)


async def until_refused(replica: RedisStore, grant: Grant) -> None:
    for _ in range(500):
        if await look_up(replica, grant.access) is None:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the fence did not arrive")


async def test_what_was_issued_earlier_is_refused_by_every_replica_at_once(
    deployment: str, open_store: OpenStore
) -> None:
    replicas = [await open_store(deployment, monotonic=time.monotonic, staleness_seconds=1.0) for _ in range(2)]
    now = int(time.time())
    old, young = new_grant(now - 10), new_grant(now)
    jwt = new_ref()
    await replicas[0].save(old.issuance)
    await replicas[0].save(young.issuance)
    for replica in replicas:  # everything is cached
        assert await look_up(replica, old.access) is not None
        assert not await replica.is_jwt_revoked(jwt, None, IssuedFacts("billing", "user-1", now))
    done = await asyncio.to_thread(fence, "--before", str(now), "--json", REDIS_URL=deployment)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["before"] == now
    for replica in replicas:
        await until_refused(replica, old)
        assert await replica.find_refresh_token(old.refresh) is None
        assert await replica.rotate(old.refresh, old.used(now), new_grant(now).issuance) is Rotation.GONE
        assert await replica.is_jwt_revoked(jwt, None, IssuedFacts("billing", "user-1", now - 1))
        assert not await replica.is_jwt_revoked(jwt, None, IssuedFacts("another", "user-2", now))
        assert await look_up(replica, young.access) is not None
        assert await replica.find_refresh_token(young.refresh) is not None


async def test_a_fence_reads_times_as_people_write_them_and_does_not_move_back(
    redis_process: StartRedis, open_store: OpenStore
) -> None:
    url = redis_process().url
    store = await open_store(url)
    grant = new_grant(1_777_896_000)
    await store.save(grant.issuance)
    done = await asyncio.to_thread(fence, "--before", "2026-05-04T14:00:00.5+02:00", REDIS_URL=url)
    assert done.exit_code == 0, done.output
    assert "every token issued before 2026-05-04 12:00:01Z (1777896001) is refused" in done.stdout
    assert (await asyncio.to_thread(fence, "--before", "0", REDIS_URL=url)).exit_code == 0
    assert await store.is_jwt_revoked(new_ref(), None, IssuedFacts("c", "s", 1_777_896_000))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "Missing option '--before'"),
        (("--before", "yesterday"), "'yesterday' is neither an RFC 3339"),
        (("--before", "2026-05-04T12:00:00"), "is neither an RFC 3339"),
        (("--before", str(int(time.time()) + 86_400)), "lies in the future"),
    ],
)
def test_a_time_that_cannot_be_meant_is_a_mistake_of_usage(arguments: tuple[str, ...], complaint: str) -> None:
    refused = fence(*arguments, REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    assert refused.exit_code == 2
    assert complaint in refused.stderr


def test_without_redis_there_is_nothing_to_fence() -> None:
    refused = fence("--before", "0", REDIS_URL=None)
    assert refused.exit_code == 2
    assert "REDIS_URL is not set" in refused.stderr


def test_a_redis_that_is_away_is_worth_another_try() -> None:
    refused = fence("--before", "0", REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    assert refused.exit_code == 3
    assert "Redis cannot be reached" in refused.stderr


def test_a_redis_that_refuses_us_is_a_failure(redis_process: StartRedis) -> None:
    port = redis_process("--requirepass", "right").port
    refused = fence("--before", "0", REDIS_URL=f"redis://:wrong-canary@127.0.0.1:{port}")
    assert refused.exit_code == 1
    assert "refused the user name or password" in refused.stderr
    assert "canary" not in refused.output
