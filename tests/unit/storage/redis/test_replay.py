"""Recent revocations are said again after a connection, for a minute, and no more than can be held."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

from app.storage.interface import StoreUnavailable
from app.storage.redis import scripts
from app.storage.redis.replay import MAX_REPLAYED, REPLAY_SECONDS, RecentRevocations, Revocation


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def test_what_was_revoked_is_said_again_after_each_connection() -> None:
    said: list[int] = []

    def saying(number: int) -> Callable[[], Awaitable[None]]:
        async def say() -> None:
            said.append(number)
            if number == 1:
                raise StoreUnavailable("the connection was lost again")

        return say

    async def connect_twice() -> None:
        recent = RecentRevocations(Clock())
        recent.on_connected()
        for number in range(3):
            recent.note(saying(number))
        recent.on_connected()
        await asyncio.sleep(0)
        recent.on_connected()  # while the first is under way
        await settle()
        await recent.stop()

    asyncio.run(connect_twice())
    assert said == [0, 1, 2, 0, 1, 2]


def test_what_was_revoked_longer_ago_is_forgotten() -> None:
    clock = Clock()
    recent = RecentRevocations(clock)

    async def never() -> None:
        raise AssertionError("said too late")

    recent.note(never)
    clock.now += REPLAY_SECONDS + 1
    recent.on_connected()  # nothing to say: it needs no loop
    assert len(recent) == 0


def test_the_oldest_are_let_go_beyond_the_bound() -> None:
    recent = RecentRevocations(Clock())

    async def say() -> None: ...

    for _ in range(MAX_REPLAYED + 10):
        recent.note(say)
    assert len(recent) == MAX_REPLAYED


def test_a_revocation_is_said_again_as_it_was_said() -> None:
    said: list[object] = []

    async def call(*what: object) -> None:
        said.append(what)

    async def connect() -> None:
        recent = RecentRevocations(Clock())
        recent.note(Revocation(call, scripts.MARK, (b"key",), (60, b"channel")))
        recent.on_connected()
        await settle()

    asyncio.run(connect())
    assert said == [(scripts.MARK, (b"key",), (60, b"channel"))]


def test_revocations_that_are_kept_cost_the_garbage_collector_nothing() -> None:
    async def call(*what: object) -> None: ...

    recent = RecentRevocations(Clock())
    gc.collect()
    before = len(gc.get_objects())
    for number in range(5_000):
        recent.note(Revocation(call, scripts.MARK, (b"%d" % number,), (number, b"channel")))
    gc.collect()
    assert len(gc.get_objects()) - before < 100
    assert len(recent) == 5_000
