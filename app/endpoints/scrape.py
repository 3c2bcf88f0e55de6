"""``/metrics``: what Prometheus scrapes."""

import asyncio

from prometheus_client.exposition import choose_encoder

from app.endpoints.answers import SECURITY_HEADERS
from app.endpoints.exchange import Request, Response
from app.observability.exposition import render
from app.observability.metrics import Metrics


class ScrapeEndpoint:
    """Renders the metrics between other work of the loop (:mod:`app.observability.exposition`)."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def handle(self, request: Request) -> Response:
        """The exposition in the format that the scraper prefers (Prometheus text or OpenMetrics)."""
        encode, content_type = choose_encoder(request.accept.decode("latin-1") if request.accept else "")
        body = await render(self._metrics.registry, encode, _give_way)
        headers = ((b"content-type", content_type.encode()), (b"cache-control", b"no-store"), *SECURITY_HEADERS)
        return Response(200, body, headers)


async def _give_way() -> None:
    """Let everything else that is due have its turn."""
    await asyncio.sleep(0)
