"""Spans on their way to the collector: OTLP over HTTP, in batches, on the SDK's own thread.

Rules:
- A collector that is slow or down costs requests nothing: what finds no room to wait, and what was not taken, is
  counted in ``otlp_dropped_total``, and the log is told when it begins and when it ends.
- Waiting is bounded in number; the end of the process waits for a collector for SHUTDOWN_SECONDS at most.

Imported only where traces are configured.
"""

import logging
import threading
from asyncio import Event, get_running_loop, timeout
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Tracer

logger = logging.getLogger("app.service")

SHUTDOWN_SECONDS = 2.0
_BATCH = 512


class _Delivery(SpanExporter):
    """Counts what the collector does not take; ``taken`` is written by the SDK's thread alone."""

    def __init__(self, exporter: SpanExporter, on_dropped: Callable[[int], None]) -> None:
        self._exporter = exporter
        self._on_dropped = on_dropped
        self._failing = False
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001 - whatever goes wrong, these spans are lost and the next ones are not
            result = SpanExportResult.FAILURE
        self.taken += len(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed:
            self._on_dropped(len(spans))
        if failed and not self._failing:
            logger.warning("the trace collector does not take spans: they are dropped and counted until it does")
        elif self._failing and not failed:
            logger.warning("the trace collector takes spans again")
        self._failing = failed
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _Waiting(BatchSpanProcessor):
    """Bounds what waits by itself, so that nothing is dropped without being counted.

    ``ended`` is written by the event loop's thread alone.
    """

    def __init__(self, delivery: _Delivery, room: int, delay_ms: int, on_dropped: Callable[[int], None]) -> None:
        # Twice the room: the library's own bound is never reached, and its batch must fit.
        super().__init__(delivery, max(room * 2, 2), delay_ms, min(_BATCH, room))
        self._delivery = delivery
        self._room = room
        self._count_dropped = on_dropped
        self._ended = 0

    def on_end(self, span: ReadableSpan) -> None:
        if self._ended - self._delivery.taken >= self._room:
            self._count_dropped(1)
            return
        self._ended += 1
        super().on_end(span)


class OtlpTraces:
    """Makes spans and sends them."""

    def __init__(
        self,
        *,
        endpoint: str,
        headers: Mapping[str, str],
        ca_file: str | None,
        timeout_seconds: float,
        room: int,
        delay_ms: int,
        resource: Mapping[str, str],
        version: str,
        on_dropped: Callable[[int], None],
    ) -> None:
        """``endpoint`` is the whole URL; ``room`` the spans that may wait; ``delay_ms`` between two batches."""
        # Its own lines would repeat with every batch, and name the endpoint as it was given.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        exporter = OTLPSpanExporter(
            endpoint=endpoint, headers=dict(headers), certificate_file=ca_file, timeout=timeout_seconds
        )
        self._provider = TracerProvider(
            ALWAYS_ON,  # what comes here was chosen before
            Resource(dict(resource)),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(_Waiting(_Delivery(exporter, on_dropped), room, delay_ms, on_dropped))
        self.tracer: Tracer = self._provider.get_tracer("auth-service", version)

    async def close(self) -> None:
        """Send what waits, for SHUTDOWN_SECONDS at most."""
        sent, loop = Event(), get_running_loop()

        def send() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(sent.set)

        # A daemon: the end of the process does not wait for what takes longer.
        threading.Thread(target=send, name="traces-end", daemon=True).start()
        with suppress(TimeoutError):
            async with timeout(SHUTDOWN_SECONDS):
                await sent.wait()
