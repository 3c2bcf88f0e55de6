"""``/metrics``: what Prometheus scrapes."""

import asyncio

from prometheus_client.exposition import choose_encoder

from app.endpoints.answers import SECURITY_HEADERS
from app.endpoints.exchange import Request, Response
from app.observability.metrics import Metrics


class ScrapeEndpoint:
    """Renders the metrics on a thread: forty series take 12 ms, which the event loop has no time for."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def handle(self, request: Request) -> Response:
        """The exposition in the format that the scraper prefers (Prometheus text or OpenMetrics)."""
        encode, content_type = choose_encoder(request.accept.decode("latin-1") if request.accept else "")
        loop = asyncio.get_running_loop()
        body: bytes = await loop.run_in_executor(None, encode, self._metrics.registry)
        headers = ((b"content-type", content_type.encode()), (b"cache-control", b"no-store"), *SECURITY_HEADERS)
        return Response(200, body, headers)
