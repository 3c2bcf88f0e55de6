"""What every response outside the hot routes gets: request id, security headers, metrics."""

from collections.abc import Callable, Container

import msgspec

from app.endpoints.answers import JSON_NO_STORE, SECURITY_HEADERS, ErrorBody
from app.endpoints.exchange import Response
from app.observability.metrics import Metrics
from app.web.asgi import App, Message, Receive, Send, raw_path, send_response
from app.web.edge import KNOWN_METHODS, Edge

UNSERVED = "/-/"
"""Where Litestar puts pages that it serves whether asked to or not: for the outside there is nothing."""

_SECURITY = dict(SECURITY_HEADERS)
_NOT_FOUND = Response(404, msgspec.json.encode(ErrorBody("not_found", "nothing is here")), JSON_NO_STORE)
_STATE, _REQUEST_ID = "state", "request_id"


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
        hot: Container[str] = frozenset(),
        carries: bool = False,
    ) -> None:
        """``hot``: the paths of the hot routes, which have one spelling each: ``/jwks.json/`` is none of them.

        ``carries``: the framework answers them through the edge, which does all that is done here.
        """
        self._application = application
        self._edge = edge
        self._metrics = metrics
        self._stopwatch = stopwatch
        self._is_draining = is_draining
        self._hot = hot
        self._carries = carries

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (self._carries and raw_path(scope).decode() in self._hot):
            await self._application(scope, receive, send)
            return
        started = self._stopwatch()
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        request_id = self._edge.request_id(given)
        scope.setdefault(_STATE, {})[_REQUEST_ID] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in _SECURITY.items() if name not in present]
                added += ((b"x-request-id", request_id.encode()), *self._edge.transport_headers)
                if self._is_draining():
                    added.append((b"connection", b"close"))
                message["headers"] = [*message["headers"], *added]
                method = scope["method"] if scope["method"] in KNOWN_METHODS else "_OTHER"
                # The raw path never becomes a label: whatever is not a known route is "other".
                self._metrics.request(method, "other", message["status"], self._stopwatch() - started)
            await send(message)

        # Litestar would take slashes too many, and escapes, for the path that they stand for.
        path = "/" + "/".join(part for part in scope["path"].split("/") if part)
        if path in self._hot or f"{path}/".startswith(UNSERVED):
            await nothing_here(scope, receive, send_with_headers)
        else:
            await self._application(scope, receive, send_with_headers)


def request_id_of(scope: Message) -> str | None:
    """The id of a request that came through :class:`Outer`."""
    request_id: str | None = scope.get(_STATE, {}).get(_REQUEST_ID)
    return request_id


async def nothing_here(_scope: Message, _receive: Receive, send: Send) -> None:
    """An ASGI application that knows no path."""
    await send_response(send, _NOT_FOUND)
