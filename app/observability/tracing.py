"""The traced request that the event loop works for at this moment, and what its parts are recorded on.

Rules:
- Endpoints run outside of tasks until they first wait, so no context variable is theirs: ``Traces.current`` is set
  around each step of a traced request's coroutine and reset behind it.
- Where nothing is traced there is no SDK: this module imports none, and ``current`` is always None.
- A span says which client, route, operation and reason; never a token, a secret or what a client sent otherwise.
"""

from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from app.storage.observer import StoreObserver

P = ParamSpec("P")
T = TypeVar("T")

Attributes = Mapping[str, str | int]


class RequestSpan(Protocol):
    """The record of one sampled request."""

    trace_id: str
    """32 hexadecimal digits."""

    @property
    def traceparent(self) -> str:
        """The field for requests to others on behalf of this one (W3C Trace Context section 3.2)."""

    def part(
        self, name: str, started: int, ended: int, attributes: Attributes, *, of_others: bool = False, error: str = ""
    ) -> None:
        """Record a part that took from ``started`` to ``ended`` (Unix nanoseconds); ``error``: the kind of its failure.

        ``of_others``: another server was asked.
        """

    def failed(self, reason: str) -> None:
        """The request was refused or failed, for one of the bounded reasons of the code."""

    def end(self, status: int, attributes: Attributes) -> None:
        """The response of this status is finished."""


class Sampler(Protocol):
    """Chooses the requests that are recorded."""

    def samples(self, traceparent: bytes | None) -> bool:
        """Whether a request with this ``traceparent`` is; asked once of each."""


class OpensSpans(Protocol):
    """Begins the record of a sampled request."""

    def __call__(
        self, method: str, route: str, traceparent: bytes | None, tracestate: bytes | None, /
    ) -> RequestSpan: ...


class Traces:
    """What of a process is traced. ``sampler`` None: nothing."""

    def __init__(self, sampler: Sampler | None, open_span: OpensSpans, now_ns: Callable[[], int]) -> None:
        """``now_ns``: Unix nanoseconds."""
        self.current: RequestSpan | None = None
        self.sampler = sampler
        self.open_span = open_span
        self.now_ns = now_ns

    def around(self, span: RequestSpan, coroutine: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """The same coroutine, with ``current`` set while it runs."""
        return cast("Coroutine[Any, Any, T]", self._in_steps(span, coroutine))

    def _in_steps(self, span: RequestSpan, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        resume: Callable[[], Any] = partial(coroutine.send, None)
        while True:
            before, self.current = self.current, span
            try:
                pending = resume()
            except StopIteration as finished:
                result: T = finished.value
                return result
            finally:
                self.current = before
            try:
                sent = yield pending
            except BaseException as raised:  # noqa: BLE001 - cancellation too belongs to the coroutine
                resume = partial(coroutine.throw, raised)
            else:
                resume = partial(coroutine.send, sent)

    def timed(self, name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``function`` returns; a part of the request's record, if it has one."""
        span = self.current
        if span is None:
            return function(*args, **kwargs)
        started, error = self.now_ns(), ""
        try:
            return function(*args, **kwargs)
        except Exception as failure:
            error = type(failure).__name__
            raise
        finally:
            span.part(name, started, self.now_ns(), {}, error=error)

    async def awaited(self, name: str, attributes: Attributes, work: Awaitable[T], *, of_others: bool = False) -> T:
        """What ``work`` returns; a part of the request's record, if it has one.

        ``of_others``: another server is asked.
        """
        span = self.current
        if span is None:
            return await work
        started, error = self.now_ns(), ""
        try:
            return await work
        except Exception as failure:
            error = type(failure).__name__
            raise
        finally:
            span.part(name, started, self.now_ns(), attributes, of_others=of_others, error=error)


def _open_nothing(*request: object) -> RequestSpan:
    raise RuntimeError(f"nothing is traced: {request}")


NOTHING_TRACED = Traces(None, _open_nothing, lambda: 0)
"""For who is given no other: it has no sampler, so ``current`` stays None."""


class TracedStore:
    """A :class:`~app.storage.observer.StoreObserver`: what is asked of Redis for a traced request is a part of it."""

    def __init__(self, observer: StoreObserver, traces: Traces) -> None:
        """``observer`` is told everything as before."""
        self._observer = observer
        self._traces = traces
        self._failure = ""
        self.batch = observer.batch
        self.connections = observer.connections
        self.memory = observer.memory

    def operation(self, backend: str, operation: str, seconds: float) -> None:
        """One operation ended; for a traced request that is a span, its wait for the batch included."""
        self._observer.operation(backend, operation, seconds)
        span, failure, self._failure = self._traces.current, self._failure, ""
        if span is not None and backend == "redis":
            ended = self._traces.now_ns()
            attributes = {"db.system.name": "redis", "db.operation.name": operation}
            started = ended - round(seconds * 1e9)
            span.part(f"redis {operation}", started, ended, attributes, of_others=True, error=failure)

    def error(self, backend: str, kind: str) -> None:
        """The operation that ends next has failed."""
        self._observer.error(backend, kind)
        self._failure = kind
