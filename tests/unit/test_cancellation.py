"""Ending tasks, also those that lose a cancellation."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from app import cancellation
from app.cancellation import end_tasks

pytestmark = pytest.mark.anyio
BOUND_SECONDS = 5.0


@pytest.fixture(autouse=True)
def soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "AGAIN_SECONDS", 0.01)


def running(step: Callable[[], Awaitable[object]]) -> asyncio.Task[None]:
    async def forever() -> None:
        while True:
            await step()

    return asyncio.create_task(forever())


async def ended_in_time(*tasks: asyncio.Task[None]) -> bool:
    ending = asyncio.create_task(end_tasks(tasks))
    await asyncio.wait([ending], timeout=BOUND_SECONDS)
    return ending.done() and all(task.cancelled() for task in tasks)


async def test_all_tasks_have_ended_afterwards() -> None:
    tasks = [running(asyncio.Event().wait) for _ in range(3)]
    await asyncio.sleep(0)
    assert await ended_in_time(*tasks)


async def test_nothing_to_end_is_no_error() -> None:
    await end_tasks([])


async def test_a_task_that_loses_a_cancellation_is_cancelled_again() -> None:
    lost: list[bool] = []

    async def step() -> None:
        with suppress(asyncio.CancelledError):
            if lost:
                await asyncio.Event().wait()
            await asyncio.sleep(BOUND_SECONDS)
        if len(lost) == 2:
            raise asyncio.CancelledError
        lost.append(True)

    task = running(step)
    await asyncio.sleep(0)
    assert await ended_in_time(task)
    assert len(lost) == 2


async def test_a_task_whose_waiting_ends_in_the_tick_of_its_cancellation_ends() -> None:
    """What redis-py does with each command; on Python 3.11 one cancellation is not enough."""
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def step() -> None:
        await asyncio.wait_for(answer, BOUND_SECONDS)
        await asyncio.Event().wait()

    task = running(step)
    await asyncio.sleep(0)
    answer.set_result(None)
    assert await ended_in_time(task)


async def test_what_a_task_cleans_up_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "AGAIN_SECONDS", BOUND_SECONDS)
    cleaned: list[bool] = []

    async def step() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            cleaned.append(True)

    task = running(step)
    await asyncio.sleep(0)
    assert await ended_in_time(task)
    assert cleaned == [True]
