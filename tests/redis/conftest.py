"""Stores on a real Redis that a test may break, and a cable between them that it may cut."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from app.clock import stopwatch, unix_now
from app.randomness import random_bytes
from app.storage.interface import StoreUnavailable
from app.storage.redis.node import Limits
from app.storage.redis.opening import redis_store
from app.storage.redis.store import RedisStore
from app.storage.redis_options import parse_redis_url
from tests.programs.plain import is_plain
from tests.redis.cable import Cable

PREFIX = "faults"
DEADLINE_SECONDS = 0.3

MakeStore = Callable[..., RedisStore]
OpenStore = Callable[..., Awaitable[RedisStore]]
LayCable = Callable[[int], Awaitable[Cable]]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return ("asyncio", {"use_uvloop": True})  # as the service runs


@pytest.fixture
def make_store() -> MakeStore:
    """``make_store(url, limits=…, now=…)``: a store with short deadlines, not open."""

    def make(url: str, *, prefix: str = PREFIX, **options: Any) -> RedisStore:
        defaults: dict[str, Any] = {
            "now": unix_now,
            "stopwatch": stopwatch,
            "random_bytes": random_bytes,
            "deadline_seconds": DEADLINE_SECONDS,
            "connect_seconds": DEADLINE_SECONDS,
            **({"limits": Limits(batching=False)} if is_plain() else {}),
        }
        return redis_store(parse_redis_url(url), prefix, **{**defaults, **options})

    return make


@pytest.fixture
async def open_store(make_store: MakeStore) -> AsyncIterator[OpenStore]:
    """``open_store(url, …)``: a store that is open, and closed when the test ends."""
    async with AsyncExitStack() as stack:

        async def open_one(url: str, **options: object) -> RedisStore:
            store = make_store(url, **options)
            stack.push_async_callback(store.close)
            for left in range(9, -1, -1):
                try:
                    await store.open()
                    break
                except StoreUnavailable:  # just started, on a busy machine, it may not answer in time
                    if not left:
                        raise
            return store

        yield open_one


@pytest.fixture
async def lay_cable() -> AsyncIterator[LayCable]:
    """``lay_cable(port)``: a cable to that port of 127.0.0.1."""
    async with AsyncExitStack() as stack:

        async def lay(port: int) -> Cable:
            return await stack.enter_async_context(Cable(port))

        yield lay
