"""The operators' listener as a Litestar application."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.exceptions import HTTPException

from app.admin.authorization import Access, AdminAuthorization
from app.admin.stats import Stats
from app.endpoints.answers import JSON_NO_STORE, ErrorBody
from app.storage.interface import StoreError

logger = logging.getLogger("app.admin")

_HEADERS = {name.decode(): value.decode() for name, value in JSON_NO_STORE}


def admin_application(authorization: AdminAuthorization, read_stats: Callable[[], Awaitable[Stats]]) -> Litestar:
    """The application; every route of it asks ``authorization`` first."""

    @get("/admin/stats")
    async def stats() -> Response[bytes]:
        return Response(msgspec.json.encode(await read_stats()), headers=_HEADERS)

    async def authorize(request: Request[Any, Any, Any]) -> Response[bytes] | None:
        access = await authorization.check(request.headers.get("authorization"))
        return None if access is Access.GRANTED else _refusal(access)

    return Litestar(
        route_handlers=[stats],
        before_request=authorize,
        exception_handlers={StoreError: _store_error, HTTPException: _http_error, Exception: _failure},
        openapi_config=None,
        logging_config=None,
    )


def _refusal(access: Access) -> Response[bytes]:
    if access is Access.FORBIDDEN:
        body = ErrorBody("access_denied", "set ADMIN_TOKEN_FILE, or use a token with the scope auth-service:admin")
        return Response(msgspec.json.encode(body), status_code=403, headers=_HEADERS)
    challenge = {"www-authenticate": 'Bearer realm="auth-service admin", Basic realm="auth-service admin"'}
    body = ErrorBody("invalid_token", "the operators' token, or an access token with auth-service:admin, is needed")
    return Response(msgspec.json.encode(body), status_code=401, headers=_HEADERS | challenge)


def _store_error(_request: Request[Any, Any, Any], _failure: StoreError) -> Response[bytes]:
    body = ErrorBody("temporarily_unavailable", "the token store cannot be reached; use the operators' token")
    return Response(msgspec.json.encode(body), status_code=503, headers=_HEADERS | {"retry-after": "1"})


def _failure(request: Request[Any, Any, Any], failure: Exception) -> Response[bytes]:
    logger.error("%s on the admin listener failed", request.method, exc_info=failure)
    body = ErrorBody("server_error", "the service failed to answer; the log has the cause")
    return Response(msgspec.json.encode(body), status_code=500, headers=_HEADERS)


def _http_error(_request: Request[Any, Any, Any], failure: HTTPException) -> Response[bytes]:
    body = ErrorBody("not_found" if failure.status_code == 404 else "invalid_request", "nothing is here")
    return Response(
        msgspec.json.encode(body), status_code=failure.status_code, headers=_HEADERS | dict(failure.headers or {})
    )
