"""A sampled request as OpenTelemetry's spans (semantic conventions for HTTP and database spans).

Imported only where traces are configured: the SDK costs memory and time to start.
"""

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace.span import TraceState

from app.observability.tracing import Attributes
from app.protocol.trace_context import parse_traceparent, sampled_traceparent

_INTERNAL_ERROR = 500
_LONGEST_STATE = 512
"""W3C Trace Context section 3.3.1.5: characters of ``tracestate`` that are to be passed on at least."""


class HttpSpan:
    """A :class:`~app.observability.tracing.RequestSpan`."""

    def __init__(self, tracer: Tracer, method: str, route: str, parent: Context, scheme: str) -> None:
        self._tracer = tracer
        self._span = tracer.start_span(
            f"{method} {route}",
            context=parent,
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route, "url.path": route, "url.scheme": scheme},
        )
        self._within = set_span_in_context(self._span, parent)
        context = self._span.get_span_context()
        self.trace_id = format_trace_id(context.trace_id)
        self._span_id = format_span_id(context.span_id)

    @property
    def traceparent(self) -> str:
        return sampled_traceparent(self.trace_id, self._span_id)

    def part(
        self, name: str, started: int, ended: int, attributes: Attributes, *, of_others: bool = False, error: str = ""
    ) -> None:
        kind = SpanKind.CLIENT if of_others else SpanKind.INTERNAL
        span = self._tracer.start_span(name, self._within, kind, dict(attributes), start_time=started)
        if error:
            span.set_attribute("error.type", error)
            span.set_status(StatusCode.ERROR)
        span.end(ended)

    def failed(self, reason: str) -> None:
        self._span.set_attribute("auth_service.reason", reason)

    def end(self, status: int, attributes: Attributes) -> None:
        self._span.set_attribute("http.response.status_code", status)
        self._span.set_attributes(dict(attributes))
        if status >= _INTERNAL_ERROR:  # a client's mistake is no error of a server's span
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class OpenSpans:
    """Begins spans: an :class:`~app.observability.tracing.OpensSpans`."""

    def __init__(self, tracer: Tracer, scheme: str) -> None:
        """``scheme`` is the issuer's: what clients speak, whatever a proxy in front makes of it."""
        self._tracer = tracer
        self._scheme = scheme

    def __call__(self, method: str, route: str, traceparent: bytes | None, tracestate: bytes | None) -> HttpSpan:
        return HttpSpan(self._tracer, method, route, parent_context(traceparent, tracestate), self._scheme)


def parent_context(traceparent: bytes | None, tracestate: bytes | None) -> Context:
    """The caller's span as the parent of ours; an empty context without a valid ``traceparent``."""
    parent = parse_traceparent(traceparent)
    if parent is None:
        return Context()
    state = TraceState()
    if tracestate is not None and len(tracestate) <= _LONGEST_STATE and tracestate.isascii():
        state = TraceState.from_header([tracestate.decode()])
    remote = SpanContext(
        int(parent.trace_id, 16),
        int(parent.parent_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT),
        trace_state=state,
    )
    return set_span_in_context(NonRecordingSpan(remote), Context())


def resource_attributes(service_name: str, version: str, instance: str, given: Mapping[str, str]) -> dict[str, str]:
    """Who sends the spans; what the operator gave wins, but for the name, which has a setting of its own."""
    ours = {"service.version": version, "service.instance.id": instance}
    return ours | dict(given) | {"service.name": service_name}
