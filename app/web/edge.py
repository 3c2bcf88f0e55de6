"""What happens to every request on a hot route, once, as plain calls, whatever server carries it.

:meth:`Edge.answer` gives a finished response at once when nothing has to be waited for, else an awaitable.

1. a request id (given and sane, or made), and the address that counts: with the head (:mod:`app.web.request_heads`);
2. the method;
3. the endpoint;
4. refusals and failures become responses, here and nowhere else; what was refused before its client was known counts;
5. metrics, one log line and one audit event for what went wrong, CORS, ``Connection: close`` while draining.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

from app.endpoints.addresses import ClientAddresses
from app.endpoints.answers import EMPTY_NO_STORE, STRICT_TRANSPORT_SECURITY, error_answer, method_not_allowed
from app.endpoints.exchange import FinishedHeaders, FixedHeaders, Headers, Request, Response
from app.endpoints.stepping import start
from app.observability.audit import Audit
from app.observability.metrics import Metrics
from app.observability.request_log import RequestLog
from app.observability.tracing import NOTHING_TRACED, Traces
from app.protocol.errors import ErrorCode, ProtocolError, temporarily_unavailable
from app.protocol.trace_context import trace_id
from app.randomness import RandomBytes
from app.storage.interface import StoreError
from app.web.request_ids import SANE_REQUEST_ID, RequestIds
from app.web.routes import Route

logger = logging.getLogger("app.requests")

_INTERNAL_ERROR = ProtocolError(ErrorCode.SERVER_ERROR, "the service failed to answer; the log has the cause")
_CLOSE = (b"connection", b"close")
_OTHERWISE_COUNTED = (ErrorCode.INVALID_CLIENT, ErrorCode.SLOW_DOWN)
_HAVE_A_LINE = frozenset(range(400, 600)) - {405}
"""Refusals and failures, as they are logged with their reason."""


CountMalformed = Callable[[Request, ProtocolError], ProtocolError]
"""Counts a request that was refused unread; what to answer: the refusal, or that there were too many of them."""


class Edge:
    """Carries requests to endpoints and gives their responses the last touch."""

    def __init__(
        self,
        *,
        metrics: Metrics,
        audit: Audit,
        random_bytes: RandomBytes,
        stopwatch: Callable[[], float],
        is_https: bool = False,
        allowed_origins: Collection[bytes] = (),
        is_draining: Callable[[], bool] = lambda: False,
        addresses: ClientAddresses | None = None,
        traces: Traces = NOTHING_TRACED,
        request_log: RequestLog | None = None,
        count_malformed: CountMalformed = lambda _request, refusal: refusal,
    ) -> None:
        self._metrics = metrics
        self._audit = audit
        self.new_request_id = RequestIds(random_bytes).new
        self._stopwatch = stopwatch
        self.transport_headers = FixedHeaders((STRICT_TRANSPORT_SECURITY,) if is_https else ())
        """What the issuer's scheme adds to every response."""
        self._farewell = FixedHeaders((*self.transport_headers, _CLOSE))
        self._allowed_origins = frozenset(allowed_origins)
        self._is_draining = is_draining
        self.address_of = (addresses or ClientAddresses()).of
        self._traces = traces
        self._sampler = traces.sampler
        self._request_log = request_log
        self._count_malformed = count_malformed

    def request_id(self, given: bytes | None) -> str:
        """The request's id: the one given if it is harmless in logs and headers, else a new one."""
        if given is not None and SANE_REQUEST_ID.fullmatch(given):
            return given.decode()
        return self.new_request_id()

    def answer(self, route: Route, request: Request) -> Response | Awaitable[Response]:
        """Answer a request whose body is complete. Never raises for anything that the request contains."""
        started = self._stopwatch()
        request.operation = route.operation
        if request.method not in route.methods:
            request.operation = None
            return self._finish(route, request, self._other_method(route, request), started)
        try:
            if self._sampler is not None and route.traced and self._sampler.samples(request.traceparent):
                work = self._recorded(route, request)
            else:
                work = route.endpoint(request)
            result = work if isinstance(work, Response) else start(work)
        except Exception as failure:  # noqa: BLE001 - the edge is where every failure becomes a response
            return self._finish(route, request, self._failed(route, request, failure), started)
        if isinstance(result, Response):
            return self._finish(route, request, result, started)
        return self._wait(route, request, result, started)

    def _recorded(self, route: Route, request: Request) -> Response | Coroutine[Any, Any, Response]:
        """The endpoint's answer to a sampled request, whose record is the current one while it is worked for."""
        traces = self._traces
        span = request.span = traces.open_span(request.method, route.path, request.traceparent, request.tracestate)
        before, traces.current = traces.current, span
        try:
            result = route.endpoint(request)
        finally:
            traces.current = before
        return result if isinstance(result, Response) else traces.around(span, result)

    def refuse(self, route: Route, request: Request, refusal: ProtocolError) -> Response:
        """Answer a request that was refused before its body was read."""
        started = self._stopwatch()
        request.operation = route.operation
        return self._finish(route, request, self._failed(route, request, refusal), started)

    async def _wait(self, route: Route, request: Request, result: Awaitable[Response], started: float) -> Response:
        try:
            response = await result
        except Exception as failure:  # noqa: BLE001 - as in answer()
            response = self._failed(route, request, failure)
        return self._finish(route, request, response, started)

    def _failed(self, route: Route, request: Request, failure: Exception) -> Response:
        if isinstance(failure, ProtocolError):
            refusal = failure
            # Refused before its client was known; here, so that no endpoint forgets it, and none pays for it.
            if (
                request.client_id is None
                and request.operation is not None
                and refusal.status < 500
                and refusal.error not in _OTHERWISE_COUNTED
            ):
                refusal = self._count_malformed(request, refusal)
            level = logging.INFO if refusal.status < 500 else logging.WARNING
        elif isinstance(failure, StoreError):
            refusal, level = temporarily_unavailable(f"store_{failure.kind}"), logging.WARNING
        else:
            refusal, level = _INTERNAL_ERROR, logging.ERROR
        if request.span is not None:
            request.span.failed(refusal.reason)
        if request.operation is not None:
            self._metrics.operation_failed(request.operation, refusal.reason)
            if refusal.status < 500:
                self._tell_of(request, refusal)
        if logger.isEnabledFor(level):
            fields = {"request_id": request.request_id, "peer": request.peer, "status": refusal.status}
            trace = trace_id(request.traceparent) if request.span is None else request.span.trace_id
            logger.log(
                level,
                "%s %s refused: %s",
                request.method,
                route.path,
                refusal.reason,
                extra=fields if trace is None else {**fields, "trace_id": trace},
                exc_info=failure if level == logging.ERROR else None,
            )
        answer = error_answer(refusal)
        answer.outcome = "error" if refusal.status >= 500 else "refused"
        return answer

    def _tell_of(self, request: Request, refusal: ProtocolError) -> None:
        """The audit of a refusal. Those of a limit and of a reuse are told where more is known of them."""
        if refusal.error is ErrorCode.INVALID_CLIENT:
            self._audit.authentication_failed(request, refusal.reason)
        elif (
            request.operation != "introspect"
            and refusal.error is not ErrorCode.SLOW_DOWN
            and not refusal.reason.startswith("refresh_token_reused")
        ):
            self._audit.request_refused(request, refusal.reason)

    def _other_method(self, route: Route, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(204, b"", (*EMPTY_NO_STORE, (b"allow", f"{route.allow}, OPTIONS".encode())))
        return method_not_allowed(route.allow)

    def _finish(self, route: Route, request: Request, response: Response, started: float) -> Response:
        closes = self._is_draining()
        added: Headers = self._farewell if closes else self.transport_headers
        if self._allowed_origins and route.cors:
            added = (*self._cors_headers(route, request), *added)
        method, path, status, operation = request.method, route.path, response.status, request.operation
        if method not in KNOWN_METHODS:
            method = "_OTHER"
        seconds = self._stopwatch() - started
        if operation is None:
            self._metrics.request(method, path, status, seconds)
        else:
            self._metrics.finished((method, path, status, operation, response.outcome), seconds)
        if self._request_log is not None and route.traced and status not in _HAVE_A_LINE:
            self._request_log.answered(request, path, status, seconds)
        if request.span is not None:
            self._end_record(route, request, status, seconds)
        return Response(status, response.body, FinishedHeaders(response.headers, added, request.request_id), closes)

    def _end_record(self, route: Route, request: Request, status: int, seconds: float) -> None:
        span = request.span
        assert span is not None  # noqa: S101 - narrows the type; the caller has looked
        self._metrics.request_example(
            request.method, route.path, status, seconds, trace_id=span.trace_id, unix_now=self._traces.now_ns() / 1e9
        )
        told = {
            "auth_service.request_id": request.request_id,
            "auth_service.operation": request.operation,
            "auth_service.client_id": request.client_id,
            "client.address": request.peer,
        }
        span.end(status, {name: value for name, value in told.items() if value is not None})

    def _cors_headers(self, route: Route, request: Request) -> tuple[tuple[bytes, bytes], ...]:
        """CORS for the origins allowed by name (Fetch standard section 3.2); credentials mode stays off."""
        if request.origin is None or request.origin not in self._allowed_origins:
            return ((b"vary", b"origin"),)
        headers = (
            (b"vary", b"origin"),
            (b"access-control-allow-origin", request.origin),
            (b"access-control-expose-headers", _EXPOSED),
        )
        if request.method != "OPTIONS":
            return headers
        return (
            *headers,
            (b"access-control-allow-methods", route.allow.encode()),
            (b"access-control-allow-headers", b"authorization, content-type, x-request-id"),
            (b"access-control-max-age", b"600"),
        )


_EXPOSED = b"x-request-id, retry-after, www-authenticate, ratelimit, ratelimit-policy"
"""What scripts of allowed origins may read besides the body (Fetch standard section 3.2.6)."""

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "CONNECT", "TRACE"})
"""RFC 9110's and PATCH; any other is ``_OTHER``, as OpenTelemetry's semantic conventions have it."""
