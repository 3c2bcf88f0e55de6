"""What the conformance suite runs against: every backend of :class:`~app.storage.interface.TokenStore`."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from app.clock import monotonic, stopwatch
from app.randomness import random_bytes
from app.storage.fallback import FallbackStore
from app.storage.interface import TokenStore
from app.storage.memory import MemoryStore
from app.storage.redis.node import Limits
from app.storage.redis.opening import redis_store
from app.storage.redis_options import parse_redis_url
from tests.conformance.backend import Backend, SteppingClock
from tests.conftest import RequireProgram
from tests.programs.plain import is_plain
from tests.programs.redis_process import RedisProcess
from tests.redis.cluster_processes import ClusterProcesses


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return ("asyncio", {"use_uvloop": True})  # as the service runs


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory, require_program: RequireProgram) -> Iterator[str]:
    """The URL of one real cluster of three masters for the whole run. It is shared, as ``redis_url`` is."""
    started: list[RedisProcess] = []

    def start(*arguments: str) -> RedisProcess:
        program = require_program("redis-server")
        started.append(RedisProcess(program, tmp_path_factory.mktemp("cluster"), arguments))
        return started[-1]

    try:
        yield ClusterProcesses(start).url
    finally:
        for process in started:
            process.kill()


@pytest.fixture(params=["memory", "redis", "redis-unbatched", "redis-cached", "redis-cluster", "fallback"])
async def backend(request: pytest.FixtureRequest, redis_key_prefix: str) -> AsyncIterator[Backend]:
    clock = SteppingClock()
    installations: dict[str, TokenStore] = {}
    complaints: list[str | None] = []
    url_fixture = "cluster_url" if request.param == "redis-cluster" else "redis_url"
    async with AsyncExitStack() as stack:

        async def open_memory(prefix: str) -> TokenStore:
            # Memory has one replica: every further store of an installation is the same one.
            if prefix not in installations:
                installations[prefix] = MemoryStore(10_000, clock, alone=True)
                await installations[prefix].open()
                stack.push_async_callback(installations[prefix].close)
            return installations[prefix]

        async def open_redis(prefix: str) -> TokenStore:
            replica = redis_store(
                parse_redis_url(request.getfixturevalue(url_fixture)),
                prefix,
                now=clock,
                stopwatch=stopwatch,
                random_bytes=random_bytes,
                limits=Limits(batching=request.param != "redis-unbatched" and not is_plain()),
                monotonic=monotonic if request.param in {"redis-cached", "redis-cluster", "fallback"} else None,
            )
            if request.param == "fallback":
                fallback = FallbackStore(
                    replica,
                    max_tokens=10_000,
                    now=clock,
                    longest_token_seconds=86_400,
                    longest_once_seconds=3_600,
                    on_degraded=complaints.append,
                )
                await fallback.open()
                stack.push_async_callback(fallback.close)
                return fallback
            await replica.open()
            stack.push_async_callback(replica.close)
            return replica

        yield Backend(clock, open_memory if request.param == "memory" else open_redis, redis_key_prefix)
        assert complaints == []


@pytest.fixture
async def store(backend: Backend) -> TokenStore:
    return await backend.open_store()
