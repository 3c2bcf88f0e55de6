"""Every process hears of the keys that were ended, whatever it does and whenever it comes."""

import asyncio
import time
from collections.abc import Callable

import pytest

from app.clock import monotonic
from app.storage.epochs import Epoch, RevocationScope
from tests.conftest import StartRedis
from tests.redis.conftest import OpenStore

pytestmark = pytest.mark.anyio


class Heard:
    """The keys that a store has told of."""

    def __init__(self) -> None:
        self.kids: set[str] = set()

    def watch(self, epochs: tuple[Epoch, ...]) -> None:
        self.kids |= {epoch.value for epoch in epochs if epoch.scope is RevocationScope.KEY}


def ended(kid: str, scope: RevocationScope = RevocationScope.KEY) -> Epoch:
    return Epoch(scope, kid, int(time.time()), int(time.time()) + 60)


async def until(condition: Callable[[], bool], seconds: float) -> float:
    """How long it took."""
    began = monotonic()
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a list that a callback fills
            await asyncio.sleep(0.001)
    return monotonic() - began


@pytest.mark.parametrize(("cached", "bound"), [(True, 0.5), (False, 3.0)])
async def test_an_idle_replica_hears_of_a_key(
    cached: bool, bound: float, redis_process: StartRedis, open_store: OpenStore
) -> None:
    url = redis_process().url
    heard = Heard()
    options = {"monotonic": monotonic} if cached else {}
    (await open_store(url, **options)).watch_epochs(heard.watch)
    writer = await open_store(url)
    await asyncio.sleep(0)
    await writer.revoke_before(ended("billing", RevocationScope.CLIENT))
    await writer.revoke_before(ended("kid-1"))
    await until(lambda: "kid-1" in heard.kids, bound)
    assert heard.kids == {"kid-1"}


async def test_who_comes_later_hears_of_it_while_opening(redis_process: StartRedis, open_store: OpenStore) -> None:
    url = redis_process().url
    await (await open_store(url)).revoke_before(ended("kid-1"))
    heard = Heard()
    (await open_store(url, monotonic=monotonic)).watch_epochs(heard.watch)
    assert heard.kids == {"kid-1"}


async def test_what_was_said_while_the_server_hung_is_heard_afterwards(
    redis_process: StartRedis, open_store: OpenStore
) -> None:
    process = redis_process()
    heard = Heard()
    (await open_store(process.url, monotonic=monotonic)).watch_epochs(heard.watch)
    process.pause()
    await asyncio.sleep(1)  # longer than any deadline: the replica has lost its connections
    process.resume()
    writer = await open_store(process.url)
    await writer.revoke_before(ended("kid-1"))
    await until(lambda: "kid-1" in heard.kids, 5)
