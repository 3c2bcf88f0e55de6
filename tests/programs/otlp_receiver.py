"""A trace collector of a test's own: OTLP over HTTP (opentelemetry-proto, ``ExportTraceServiceRequest``)."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.programs.served import Served
from tests.programs.service_process import wait_until


class OtlpReceiver(Served):
    """Listens on a free port of 127.0.0.1 while it is entered, and keeps what it is sent."""

    def __init__(self, *, status: int = 200) -> None:
        """``status`` is what every request is answered with."""
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.raw = b""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.raw += body
                request = ExportTraceServiceRequest.FromString(body)
                receiver.paths.append(self.path)
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                for resource in request.resource_spans:
                    receiver.resources.append(attributes_of(resource.resource.attributes))
                    receiver.spans += [span for scope in resource.scope_spans for span in scope.spans]
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """For ``OTEL_EXPORTER_OTLP_ENDPOINT``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def requests(self) -> list[Span]:
        """The spans of whole requests, in the order in which they came."""
        return [span for span in self.spans if span.kind == Span.SPAN_KIND_SERVER]

    def await_requests(self, count: int) -> list[Span]:
        """Wait until this many requests were recorded."""
        wait_until(lambda: len(self.requests()) >= count, f"the collector was sent {count} requests")
        return self.requests()

    def parts_of(self, whole: Span) -> dict[str, Span]:
        """The spans directly below one, by name."""
        return {span.name: span for span in self.spans if span.parent_span_id == whole.span_id}


def attributes_of(pairs: Any) -> dict[str, str]:
    """Attributes as text by name; ``pairs`` are KeyValue messages."""
    return {pair.key: _text(pair) for pair in pairs}


def _text(pair: KeyValue) -> str:
    kind = pair.value.WhichOneof("value")
    assert kind is not None
    return str(getattr(pair.value, kind))
