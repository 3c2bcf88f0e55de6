"""The current request is that whose coroutine is being worked on, and its parts are recorded on it alone."""

import asyncio
from collections.abc import Awaitable
from itertools import count

import pytest

from app.endpoints.exchange import Response
from app.endpoints.stepping import start
from app.observability.tracing import NOTHING_TRACED, Attributes, RequestSpan, TracedStore, Traces
from app.storage.observer import Unobserved


class Recorded:
    """A span that remembers."""

    def __init__(self, name: str = "one") -> None:
        self.trace_id = name
        self.traceparent = name
        self.parts: list[tuple[str, int, int, str]] = []

    def part(
        self, name: str, started: int, ended: int, attributes: Attributes, *, of_others: bool = False, error: str = ""
    ) -> None:
        self.parts.append((name, started, ended, error))

    def failed(self, reason: str) -> None: ...

    def end(self, status: int, attributes: Attributes) -> None: ...


def traces() -> Traces:
    return Traces(None, NOTHING_TRACED.open_span, count(100).__next__)


def test_two_requests_that_wait_for_each_other_s_time_are_not_confused() -> None:
    one, other, of = Recorded("one"), Recorded("other"), traces()
    seen: list[RequestSpan | None] = []

    async def work(first: asyncio.Event, second: asyncio.Event) -> Response:
        seen.append(of.current)
        first.set()
        await second.wait()
        seen.append(of.current)
        return Response(200, b"", ())

    async def main() -> None:
        events = asyncio.Event(), asyncio.Event()
        begun = [start(of.around(one, work(*events))), start(of.around(other, work(*reversed(events))))]
        assert of.current is None
        await asyncio.gather(*(waiting for waiting in begun if isinstance(waiting, Awaitable)))

    asyncio.run(main())
    assert of.current is None
    assert [span.trace_id for span in seen if span is not None] == ["one", "other", "other", "one"] or [
        span.trace_id for span in seen if span is not None
    ] == ["one", "other", "one", "other"]
    assert len(seen) == 4


def test_a_failure_leaves_nobody_current() -> None:
    of = traces()

    async def fail() -> Response:
        raise LookupError("gone")

    with pytest.raises(LookupError):
        start(of.around(Recorded(), fail()))
    assert of.current is None


def test_cancellation_reaches_the_work() -> None:
    of, ended = traces(), []

    async def wait() -> Response:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(of.current)
        raise AssertionError("unreachable")

    span = Recorded()

    async def main() -> None:
        waiting = start(of.around(span, wait()))
        assert not isinstance(waiting, Response)
        task = asyncio.ensure_future(waiting)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(main())
    assert ended == [span]


def test_parts_are_recorded_on_the_current_request_and_on_no_other() -> None:
    of, span = traces(), Recorded()

    async def double(number: int) -> int:
        return number * 2

    async def work() -> Response:
        assert of.timed("decide", max, 1, 2) == 2
        assert await of.awaited("sign", {}, double(3)) == 6
        with pytest.raises(ZeroDivisionError):
            of.timed("fail", divmod, 1, 0)
        return Response(200, b"", ())

    start(of.around(span, work()))
    assert span.parts == [("decide", 100, 101, ""), ("sign", 102, 103, ""), ("fail", 104, 105, "ZeroDivisionError")]
    start(work())
    assert len(span.parts) == 3


def test_what_redis_did_for_a_request_is_a_part_with_its_error_and_what_memory_did_is_none() -> None:
    of, span = traces(), Recorded()
    store = TracedStore(Unobserved(), of)

    async def work() -> Response:
        store.operation("redis", "save", 5e-9)
        store.error("redis", "unavailable")
        store.operation("redis", "rotate", 7e-9)
        store.operation("memory", "save", 5e-9)
        return Response(200, b"", ())

    start(of.around(span, work()))
    store.operation("redis", "save", 1.0)
    assert span.parts == [("redis save", 95, 100, ""), ("redis rotate", 94, 101, "unavailable")]
