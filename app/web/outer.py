"""What every response outside the hot routes gets: request id, security headers, metrics."""

from collections.abc import Callable, Container

from app.endpoints.answers import SECURITY_HEADERS
from app.observability.metrics import Metrics
from app.web.asgi import App, Message, Receive, Send
from app.web.edge import KNOWN_METHODS, Edge

_SECURITY = dict(SECURITY_HEADERS)


class Outer:
    """ASGI middleware around the framework."""

    def __init__(
        self,
        application: App,
        *,
        edge: Edge,
        metrics: Metrics,
        stopwatch: Callable[[], float],
        is_draining: Callable[[], bool],
        carried: Container[str] = (),
    ) -> None:
        """``carried``: the paths that the framework answers through the edge, which has done all this already."""
        self._application = application
        self._edge = edge
        self._metrics = metrics
        self._stopwatch = stopwatch
        self._is_draining = is_draining
        self._carried = carried

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._carried:
            await self._application(scope, receive, send)
            return
        started = self._stopwatch()
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        request_id = self._edge.request_id(given).encode()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in _SECURITY.items() if name not in present]
                added.append((b"x-request-id", request_id))
                if self._is_draining():
                    added.append((b"connection", b"close"))
                message["headers"] = [*message["headers"], *added]
                method = scope["method"] if scope["method"] in KNOWN_METHODS else "_OTHER"
                # The raw path never becomes a label: whatever is not a known route is "other".
                self._metrics.request(method, "other", message["status"], self._stopwatch() - started)
            await send(message)

        await self._application(scope, receive, send_with_headers)
