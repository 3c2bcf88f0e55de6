"""Looking up names: one that hangs holds its own place, and nothing and nobody else."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.outgoing.names import PLACES, LookUpFailed, SystemNames

pytestmark = pytest.mark.anyio
BOUND_SECONDS = 10.0


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return ("asyncio", {"use_uvloop": request.param})


class Resolver:
    """Answers for ``known``, and hangs for every other name until it is let go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *, type: int) -> list[Any]:  # noqa: A002 - getaddrinfo's
        self.asked.append(host)
        if host != "known":
            assert self.go_on.wait(BOUND_SECONDS)
        return socket.getaddrinfo("127.0.0.1", port, type=type)


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    resolver = Resolver()
    yield resolver
    resolver.go_on.set()


async def hanging(names: SystemNames, resolver: Resolver, count: int) -> list["asyncio.Task[list[str]]"]:
    """So many look-ups that hang."""
    tasks = [asyncio.ensure_future(names(f"hanging-{number}", 443)) for number in range(count)]
    async with asyncio.timeout(BOUND_SECONDS):
        while len(resolver.asked) < count:  # noqa: ASYNC110 - a thread has no event for this
            await asyncio.sleep(0.001)
    return tasks


async def until_looked_up(names: SystemNames, host: str) -> list[str]:
    """What is found as soon as there is a place."""
    async with asyncio.timeout(BOUND_SECONDS):
        while True:
            try:
                return await names(host, 443)
            except LookUpFailed:
                await asyncio.sleep(0.001)


async def test_a_name_has_its_addresses_once_each() -> None:
    assert await SystemNames()("127.0.0.1", 443) == ["127.0.0.1"]


async def test_look_ups_that_hang_hold_up_nothing_else(resolver: Resolver) -> None:
    """Other threads and other look-ups: the loop's own serve the files of keys and clients, and Redis's name."""
    tasks = await hanging(SystemNames(resolver), resolver, PLACES)
    async with asyncio.timeout(BOUND_SECONDS / 2):
        assert await asyncio.to_thread(lambda: "read") == "read"
        assert await asyncio.get_running_loop().getaddrinfo("localhost", 443)
    resolver.go_on.set()
    assert await asyncio.gather(*tasks) == [["127.0.0.1"]] * PLACES


async def test_where_all_places_are_taken_nothing_is_looked_up(resolver: Resolver) -> None:
    names = SystemNames(resolver, places=2)
    tasks = await hanging(names, resolver, 2)
    with pytest.raises(LookUpFailed, match="all 2 places"):
        await names("known", 443)
    assert "known" not in resolver.asked
    resolver.go_on.set()
    await asyncio.gather(*tasks)
    assert await until_looked_up(names, "known") == ["127.0.0.1"]


async def test_a_place_is_held_for_as_long_as_its_thread_hangs(resolver: Resolver) -> None:
    names = SystemNames(resolver, places=1, seconds=0.01)
    with pytest.raises(LookUpFailed, match=r"within 0\.01 s"):
        await names("hanging", 443)
    given_up = asyncio.ensure_future(names("another", 443))
    with pytest.raises(LookUpFailed, match="places"):
        await given_up
    resolver.go_on.set()
    assert await until_looked_up(names, "known") == ["127.0.0.1"]


async def test_who_gives_up_is_told_nothing_later(resolver: Resolver) -> None:
    names = SystemNames(resolver, places=1)
    [task] = await hanging(names, resolver, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    resolver.go_on.set()
    assert await until_looked_up(names, "known") == ["127.0.0.1"]


async def test_a_name_without_addresses_gives_its_place_back() -> None:
    def unknown(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    names = SystemNames(unknown, places=1)
    for _ in range(3):
        with pytest.raises(socket.gaierror):
            await names("unknown", 443)


async def test_a_host_that_is_no_name_is_told_as_such() -> None:
    with pytest.raises((UnicodeError, OSError)):
        await SystemNames()("a" * 300 + ".example", 443)


ENDS = """
import asyncio, threading
from app.outgoing.names import LookUpFailed, SystemNames
async def main():
    try:
        await SystemNames(lambda *_, **__: threading.Event().wait(), seconds=0.01)("hanging", 443)
    except LookUpFailed as failure:
        print(failure)
asyncio.run(main())
"""


def test_a_process_ends_while_a_look_up_hangs() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ENDS], check=False, capture_output=True, text=True, timeout=BOUND_SECONDS * 3
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "the name was not looked up within 0.01 s\n", "")
