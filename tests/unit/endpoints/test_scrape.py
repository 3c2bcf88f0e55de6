"""What Prometheus scrapes, in the format that it prefers."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.endpoints.exchange import Request
from app.endpoints.scrape import ScrapeEndpoint
from app.observability.metrics import Metrics

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, b"text/plain"),
        (b"", b"text/plain"),
        (b"*/*", b"text/plain"),
        (b"\xff\xff", b"text/plain"),
        (b"text/plain;version=0.0.4;q=0.5", b"text/plain"),
        (b"application/openmetrics-text;version=1.0.0", b"application/openmetrics-text"),
    ],
)
async def test_the_exposition_is_in_the_preferred_format(accept: bytes | None, content_type: bytes) -> None:
    metrics = Metrics()
    metrics.finished(("POST", "/oauth/token", 200, "issue", "ok"), 0.001)
    answer = await ScrapeEndpoint(metrics).handle(Request("GET", accept=accept))
    headers = dict(answer.headers)
    assert answer.status == 200
    assert headers[b"content-type"].startswith(content_type)
    assert headers[b"cache-control"] == b"no-store"
    assert b'token_operation_duration_seconds_count{operation="issue",outcome="ok"} 1.0' in answer.body
    if content_type == b"text/plain":
        names = {family.name for family in text_string_to_metric_families(answer.body.decode())}
        assert {"http_server_request_duration_seconds", "token_operation_duration_seconds"} <= names
