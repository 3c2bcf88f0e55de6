"""Driving coroutines without a task: at once as far as they go, and no different from awaiting them."""

import asyncio
import contextvars
import gc
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.endpoints.stepping import start

pytestmark = pytest.mark.anyio

STEPS = ("return", "raise", "sleep", "future", "done future", "nested", "task", "thread", "catch")


class Failure(Exception):
    pass


async def walk(steps: tuple[str, ...], trail: list[str]) -> str:
    """Do the steps, waiting in every way that an endpoint may wait."""
    loop = asyncio.get_running_loop()
    for step in steps:
        trail.append(step)
        match step:
            case "return":
                return "early"
            case "raise":
                raise Failure
            case "sleep":
                await asyncio.sleep(0)
            case "future":
                future: asyncio.Future[str] = loop.create_future()
                loop.call_soon(future.set_result, "resolved")
                trail.append(await future)
            case "done future":
                done: asyncio.Future[str] = loop.create_future()
                done.set_result("done")
                trail.append(await done)
            case "nested":
                trail.append(await walk(("sleep", "return"), []))
            case "task":
                trail.append(await asyncio.create_task(walk(("return",), [])))
            case "thread":
                trail.append(await loop.run_in_executor(None, str, "threaded"))
            case "catch":
                trail.append(await caught(loop.create_future()))
    return "end"


async def caught(broken: asyncio.Future[str]) -> str:
    asyncio.get_running_loop().call_soon(broken.set_exception, Failure("caught"))
    try:
        return await broken
    except Failure as failure:
        return str(failure)
    finally:
        await asyncio.sleep(0)


async def outcome(make: Callable[[], Awaitable[str]]) -> str:
    try:
        return await make()
    except Failure:
        return "raised"


async def stepped(coroutine: Coroutine[Any, Any, str]) -> str:
    result = start(coroutine)
    return result if isinstance(result, str) else await result


@given(st.lists(st.sampled_from(STEPS), max_size=5).map(tuple))
def test_stepping_gives_what_awaiting_gives(steps: tuple[str, ...]) -> None:
    async def both() -> None:
        awaited: list[str] = []
        trail: list[str] = []
        expected = await outcome(lambda: walk(steps, awaited))
        assert await outcome(lambda: stepped(walk(steps, trail))) == expected
        assert trail == awaited

    asyncio.run(both())


def test_what_never_waits_is_done_at_once_and_needs_no_loop() -> None:
    async def inner() -> int:
        return 20

    async def work() -> int:
        return await inner() + await inner() + 2

    assert start(work()) == 42


def test_what_it_raises_before_the_first_wait_is_raised_at_once() -> None:
    async def work() -> None:
        raise Failure

    with pytest.raises(Failure):
        start(work())


@pytest.mark.parametrize("result", [None, 0, "", (), StopIteration])
def test_any_result_is_handed_over_as_it_is(result: object) -> None:
    async def work() -> object:
        return result

    assert start(work()) is result


async def test_what_waits_is_handed_over_with_its_rest() -> None:
    gate = asyncio.Event()
    trail = []

    async def work() -> str:
        trail.append("begun")
        await gate.wait()
        trail.append("resumed")
        await asyncio.sleep(0)
        return "done"

    rest = start(work())
    assert trail == ["begun"]
    assert not isinstance(rest, str)
    gate.set()
    assert await rest == "done"
    assert trail == ["begun", "resumed"]


def test_it_can_begin_in_a_callback_and_end_in_a_task() -> None:
    """As a server's parser does: the first half runs outside any task."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[asyncio.Task[str]] = loop.create_future()
        future: asyncio.Future[str] = loop.create_future()

        async def work() -> str:
            assert asyncio.current_task() is None
            first = await future
            assert asyncio.current_task() is not None
            return first + await walk(("future", "thread"), [])

        def callback() -> None:
            rest = start(work())
            assert not isinstance(rest, str)

            async def finish() -> str:
                return await rest

            answer.set_result(asyncio.ensure_future(finish()))
            future.set_result("first ")

        loop.call_soon(callback)
        return await (await answer)

    assert asyncio.run(main()) == "first end"


async def test_a_future_that_is_done_before_the_rest_is_awaited_loses_nothing() -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> str:
        return await future

    rest = start(work())
    future.set_result("early")
    await asyncio.sleep(0)
    assert not isinstance(rest, str)
    assert await rest == "early"


async def test_cancellation_reaches_the_coroutine_and_its_cleanup() -> None:
    trail = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            trail.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0)
            trail.append("cleaned up")

    rest = start(work())
    assert rest is not None
    task = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert trail == ["cancelled", "cleaned up"]
    assert task.cancelled()


async def test_a_coroutine_may_survive_its_cancellation() -> None:
    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "survived"

    rest = start(work())
    assert not isinstance(rest, str)
    task = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "survived"


async def test_a_timeout_around_the_rest_ends_it() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    rest = start(work())
    assert rest is not None
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(rest, 0.001)
    assert ended.is_set()


async def test_a_failure_of_what_it_waits_for_is_raised_inside() -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> str:
        try:
            return await future
        except Failure:
            return "handled"

    rest = start(work())
    future.set_exception(Failure())
    assert not isinstance(rest, str)
    assert await rest == "handled"


async def test_a_rest_that_nobody_awaits_is_closed_with_its_coroutine() -> None:
    trail = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            trail.append("closed")

    rest = start(work())
    assert rest is not None
    del rest
    gc.collect()
    assert trail == ["closed"]


async def test_a_rest_that_is_dropped_half_way_is_closed_with_its_coroutine() -> None:
    trail = []

    async def work() -> None:
        try:
            await asyncio.sleep(0)
            await asyncio.Event().wait()
        finally:
            trail.append("closed")

    rest = start(work())
    assert rest is not None
    generator = rest.__await__()
    next(generator)
    next(generator)
    generator.close()
    assert trail == ["closed"]


async def test_a_context_variable_set_in_the_task_is_seen_after_the_first_wait() -> None:
    variable = contextvars.ContextVar("variable", default="outside")
    gate = asyncio.Event()

    async def work() -> tuple[str, str]:
        before = variable.get()
        await gate.wait()
        return before, variable.get()

    rest = start(work())
    assert not isinstance(rest, tuple)

    async def finish() -> tuple[str, str]:
        variable.set("inside")
        gate.set()
        return await rest

    assert await asyncio.create_task(finish()) == ("outside", "inside")
