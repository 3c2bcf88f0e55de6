"""Traces as the settings want them."""

import math
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import msgspec

from app import __version__, clock, randomness
from app.config.settings import Settings
from app.config.tracing import parse_pairs
from app.observability.head_sampling import MAX_PER_SECOND, HeadSampler
from app.observability.metrics import Metrics
from app.observability.tracing import NOTHING_TRACED, Traces


async def _nothing() -> None: ...


class OpenTraces(msgspec.Struct, frozen=True):
    """What is traced, and how it ends."""

    traces: Traces = NOTHING_TRACED
    close: Callable[[], Awaitable[None]] = _nothing


def open_traces(settings: Settings, metrics: Metrics) -> OpenTraces:
    """The configured traces; where none are, OpenTelemetry's SDK is not even imported."""
    tracing = settings.tracing
    endpoint = tracing.endpoint
    if endpoint is None:
        return OpenTraces()
    from app.observability.otlp import OtlpTraces  # noqa: PLC0415 - 20 MB and 0.2 s for who traces nothing
    from app.observability.spans import OpenSpans, resource_attributes  # noqa: PLC0415

    headers = tracing.otel_exporter_otlp_headers
    ca_file = tracing.otel_exporter_otlp_certificate
    given = tracing.otel_resource_attributes
    otlp = OtlpTraces(
        endpoint=endpoint,
        headers={} if headers is None else parse_pairs(headers.reveal()),
        ca_file=None if ca_file is None else str(ca_file),
        timeout_seconds=tracing.otel_exporter_otlp_timeout / 1000,
        room=tracing.otel_bsp_max_queue_size,
        delay_ms=tracing.otel_bsp_schedule_delay,
        resource=resource_attributes(
            tracing.otel_service_name,
            __version__,
            socket.gethostname(),
            {} if given is None else parse_pairs(given),
        ),
        version=__version__,
        on_dropped=metrics.otlp_dropped.inc,
    )
    sampler = HeadSampler(
        tracing.ratio,
        parent_counts=tracing.parent_counts,
        random_bytes=randomness.random_bytes,
        monotonic=clock.monotonic,
        # Who asks for all of them gets all of them.
        max_per_second=MAX_PER_SECOND if tracing.ratio < 1 else math.inf,
    )
    scheme = urlsplit(settings.listeners.external_base_url).scheme
    return OpenTraces(Traces(sampler, OpenSpans(otlp.tracer, scheme), clock.unix_now_ns), otlp.close)
