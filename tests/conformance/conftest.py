"""What the conformance suite runs against: every backend of :class:`~app.storage.interface.TokenStore`."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from app.storage.interface import TokenStore
from app.storage.memory import MemoryStore
from tests.conformance.backend import Backend, SteppingClock


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["memory"])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    clock = SteppingClock()
    opened: dict[str, TokenStore] = {}
    async with AsyncExitStack() as stack:

        async def open_memory(prefix: str) -> TokenStore:
            # Memory has one replica: every further store of an installation is the same one.
            if prefix not in opened:
                opened[prefix] = MemoryStore(10_000, clock)
                await opened[prefix].open()
                stack.push_async_callback(opened[prefix].close)
            return opened[prefix]

        yield Backend(clock, open_memory, f"test-{secrets.token_hex(4)}:")


@pytest.fixture
async def store(backend: Backend) -> TokenStore:
    return await backend.open_store()
