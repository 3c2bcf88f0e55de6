"""Litestar: owns everything that is not hot, describes everything, and can carry the hot routes too.

With ``FAST_PATH=off`` the handlers below answer the hot routes; otherwise requests never reach them, and they are
there for the OpenAPI document, which therefore always describes what is served.
"""

import logging
from typing import Any

import msgspec
from litestar import HttpMethod, Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Server
from litestar.types import ASGIApp

from app.endpoints.answers import JSON_NO_STORE, ErrorBody
from app.web import openapi
from app.web.asgi import answer
from app.web.edge import Edge
from app.web.outer import UNSERVED, request_id_of
from app.web.routes import Route, RouteTable

logger = logging.getLogger("app.requests")

METHODS = frozenset(method.value for method in HttpMethod)
"""Those that Litestar can route; it answers others itself, with its own ``Allow``."""


def framework(edge: Edge, routes: RouteTable, version: str, issuer: str) -> Litestar:
    """The Litestar application behind (or, with the fast path off, in place of) the hot routes."""
    handlers: list[HTTPRouteHandler] = []
    for path, route in routes.items():
        handlers += _handlers(edge, route) if path == route.path else [_alias(edge, path, route)]
    return Litestar(
        route_handlers=handlers,
        openapi_config=OpenAPIConfig(
            title="auth-service",
            version=version,
            summary="OAuth 2.0 token service: issue, introspect and revoke tokens.",
            servers=[Server(url=issuer)],
            components=openapi.components(),
            render_plugins=[],
            path=UNSERVED + "openapi",
        ),
        exception_handlers={Exception: error_response},
        logging_config=None,
    )


def openapi_document(application: Litestar) -> bytes:
    """The OpenAPI document as JSON."""
    return msgspec.json.encode(application.openapi_schema.to_schema())


def error_response(request: Request[Any, Any, Any], failure: Exception) -> Response[bytes]:
    """What goes wrong outside the hot routes, in the same form as inside."""
    status = failure.status_code if isinstance(failure, HTTPException) else 500
    if status >= 500:
        fields = {"request_id": request_id_of(request.scope), "status": status}  # type: ignore[arg-type]
        logger.error("%s outside the hot routes failed", request.method, exc_info=failure, extra=fields)
    description = "nothing is here" if status == 404 else "the request is refused"
    if status >= 500:
        description = "the service failed to answer; the log has the cause"
    error = "server_error" if status >= 500 else "not_found" if status == 404 else "invalid_request"
    headers = dict(failure.headers or {}) if isinstance(failure, HTTPException) else {}
    headers |= {name.decode(): value.decode() for name, value in JSON_NO_STORE}
    return Response(msgspec.json.encode(ErrorBody(error, description)), status_code=status, headers=headers)


def _alias(edge: Edge, path: str, route: Route) -> HTTPRouteHandler:
    """A route once more, under a path that the OpenAPI document does not show."""

    async def carried(scope: Any, receive: Any, send: Any) -> None:
        await answer(edge, route, scope, receive, send)

    async def handle() -> ASGIApp:
        return carried

    return HTTPRouteHandler(path=path, http_method=list(HttpMethod), status_code=200, include_in_schema=False)(handle)


def _handlers(edge: Edge, route: Route) -> list[HTTPRouteHandler]:
    """One handler that the OpenAPI document shows, and one for all other methods that it does not."""

    async def carried(scope: Any, receive: Any, send: Any) -> None:
        """Answers from inside the framework, by the same function as in front of it."""
        await answer(edge, route, scope, receive, send)

    async def handle() -> ASGIApp:
        return carried

    async def handle_other() -> ASGIApp:
        return carried

    description = openapi.description_of(route.path)
    documented = HTTPRouteHandler(
        path=route.path,
        http_method=[HttpMethod(method) for method in route.methods if method != "HEAD"],
        name=route.path,
        status_code=200,
        summary=description.summary,
        description=description.description,
        tags=[description.tag],
        operation_id=(route.path.strip("/").replace("/", "-").replace(".", "") or "root"),
        operation_class=openapi.operation_class(description),
        responses=openapi.response_specs(description),
    )(handle)
    others = [method for method in HttpMethod if method.value not in route.methods or method is HttpMethod.HEAD]
    undocumented = HTTPRouteHandler(path=route.path, http_method=others, status_code=200, include_in_schema=False)(
        handle_other
    )
    return [undocumented, documented]  # in this order, or Litestar makes an OPTIONS handler of its own
