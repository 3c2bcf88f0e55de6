"""Hot routes over ASGI, in front of the framework's application (any ASGI server can carry it)."""

from collections.abc import Awaitable, Callable, Container, MutableMapping
from typing import Any

from app.endpoints.exchange import Request, Response
from app.protocol.form import BODY_LIMIT_BYTES, too_large
from app.web.edge import Edge
from app.web.request_heads import read_fields
from app.web.routes import Route, RouteTable

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class HotRoutes:
    """An ASGI application: hot routes are answered here, everything else by ``behind``."""

    def __init__(self, edge: Edge, routes: RouteTable, behind: App, *, carried: Container[str] = frozenset()) -> None:
        """``carried``: the methods of hot routes that ``behind`` answers all the same (with the fast path off)."""
        self._edge = edge
        self._routes = {path.encode(): route for path, route in routes.items()}
        self._behind = behind
        self._carried = carried

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            route = self._routes.get(raw_path(scope))
            if route is not None and scope["method"] not in self._carried:
                await answer(self._edge, route, scope, receive, send)
                return
        await self._behind(scope, receive, send)


def raw_path(scope: Message) -> bytes:
    """The path as it was sent: a route has one spelling, and ``%2f`` is no slash to a proxy that guards a route."""
    path: bytes | None = scope.get("raw_path")  # which servers may leave out
    return scope["path"].encode() if path is None else path


async def answer(edge: Edge, route: Route, scope: Message, receive: Receive, send: Send) -> None:
    """Answer one request on a hot route."""
    request, announced = read_head(edge, scope)
    if announced > BODY_LIMIT_BYTES:
        await send_response(send, edge.refuse(route, request, too_large()), close=True)
        return
    body = await read_body(receive)
    if body is None:
        return
    if len(body) > BODY_LIMIT_BYTES:
        await send_response(send, edge.refuse(route, request, too_large()), close=True)
        return
    request.body = body
    response = edge.answer(route, request)
    if not isinstance(response, Response):
        response = await response
    await send_response(send, response)


async def read_body(receive: Receive) -> bytes | None:
    """The body, read no further than just past :data:`BODY_LIMIT_BYTES`; None if the client went away."""
    message = await receive()
    if message["type"] == "http.disconnect":
        return None
    body: bytes = message.get("body", b"")
    while message.get("more_body", False) and len(body) <= BODY_LIMIT_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
    return body


def read_head(edge: Edge, scope: Message) -> tuple[Request, int]:
    """The request without its body, and the body's announced length in bytes (0 if none is announced)."""
    client = scope.get("client")
    request = Request(scope["method"], peer=client[0] if client else None, has_query=bool(scope["query_string"]))
    return request, read_fields(edge, request, scope["headers"])[0]


async def send_response(send: Send, response: Response, *, close: bool = False) -> None:
    """Send a finished response; ``close`` where the rest of the request was not read."""
    headers: list[tuple[bytes, bytes]] = [*response.headers]
    if response.status not in (204, 304):
        headers.append((b"content-length", b"%d" % len(response.body)))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
