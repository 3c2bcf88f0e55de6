"""Driving an endpoint's coroutine without a task, as long as it never has to wait.

Endpoints are written once, as coroutines. With the memory store, or a cache hit, they run from start to end without
waiting for anything; then :func:`start` has their result at once, and the caller (a server's parser callback, say)
can write the response there and then. Only what really waits is handed to the event loop.

The rule that follows: before its first wait a coroutine may run outside any task, so whatever it awaits must be a
plain future (``asyncio.timeout`` and ``current_task`` need a task and belong into the store's own background tasks).
"""

import functools
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Rest(Generic[T]):
    """The remainder of a coroutine that has already asked to wait for ``pending``."""

    __slots__ = ("_coroutine", "_pending")

    def __init__(self, coroutine: Coroutine[Any, Any, T], pending: Any) -> None:
        self._coroutine = coroutine
        self._pending = pending

    def __await__(self) -> Generator[Any, Any, T]:
        pending = self._pending
        while True:
            try:
                sent = yield pending
            except BaseException as raised:  # noqa: BLE001 - cancellation too belongs to the coroutine
                resume = functools.partial(self._coroutine.throw, raised)
            else:
                resume = functools.partial(self._coroutine.send, sent)
            try:
                pending = resume()
            except StopIteration as finished:
                result: T = finished.value
                return result


def start(coroutine: Coroutine[Any, Any, T]) -> T | Awaitable[T]:
    """Run a coroutine until it finishes or first waits: its result, or an awaitable for the rest.

    Raises what the coroutine raises before its first wait.
    """
    try:
        pending = coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    return _Rest(coroutine, pending)
