"""The operators' listener as a Litestar application."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
from litestar import HttpMethod, Litestar, Request, Response, route
from litestar.exceptions import HTTPException

from app.admin.attempts import LimitedAuthorization
from app.admin.authorization import ADMIN_SCOPE, Access, Admitted
from app.admin.hosts import OperatorHosts
from app.admin.page import View, page_headers, render_page
from app.admin.revocation_routes import refused, revocation_routes
from app.admin.revocations import BulkRevocation, Refused
from app.admin.stats import Stats
from app.endpoints import exchange
from app.endpoints.answers import JSON_NO_STORE, ErrorBody, error_answer
from app.observability.audit import Audit
from app.protocol.errors import ErrorCode, ProtocolError, Quota
from app.storage.interface import StoreError
from app.web.outer import request_id_of

logger = logging.getLogger("app.admin")

ADMIN_LIMIT = "admin"
"""The class of the limit on wrong tokens."""
_WHO = "who"
"""Where a request keeps who sent it."""

_BEARER = 'Bearer realm="auth-service admin"'
_HEADERS = {name.decode(): value.decode() for name, value in JSON_NO_STORE}


def admin_application(
    *,
    authorization: LimitedAuthorization,
    hosts: OperatorHosts,
    read_stats: Callable[[], Awaitable[Stats]],
    revocation: BulkRevocation,
    audit: Audit,
    read_view: Callable[[], Awaitable[View]],
) -> Litestar:
    """The application; every route of it asks ``hosts`` and ``authorization`` first."""

    @route("/admin/stats", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def stats() -> Response[bytes]:
        return Response(msgspec.json.encode(await read_stats()), headers=_HEADERS)

    @route("/admin", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def page() -> Response[bytes]:
        # On a thread: the first time templates are loaded and compiled, a tenth of a second of it.
        html = await asyncio.to_thread(render_page, await read_view())
        return Response(html, media_type="text/html", headers=page_headers())

    async def authorize(request: Request[Any, Any, Any]) -> Response[bytes] | None:
        admitted = Admitted(Access.MISDIRECTED)
        if hosts.allow(request.headers.get("host")):
            address = request.client.host if request.client else None
            admitted = await authorization.admit(request.headers.get("authorization"), address)
        access = admitted.access
        if access is Access.GRANTED:
            request.scope["state"][_WHO] = admitted.who
            return None
        audit.admin_refused(
            request_id=request_id_of(request.scope),  # type: ignore[arg-type]
            address=request.client.host if request.client else None,
            reason=access.value,
        )
        if access is Access.TOO_MANY:
            return _too_many(admitted.retry_after_seconds, authorization.per_minute)
        return _refusal(access)

    def changed(request: Request[Any, Any, Any], what: str) -> None:
        audit.admin_changed(what, actor=request.scope["state"][_WHO], request=_origin(request))

    def ended_by(request: Request[Any, Any, Any]) -> Callable[[str], None]:
        return partial(audit.token_revoked, _origin(request), actor=request.scope["state"][_WHO])

    return Litestar(
        route_handlers=[page, stats, *revocation_routes(revocation, changed, ended_by)],
        before_request=authorize,
        exception_handlers={
            Refused: refused,
            StoreError: _store_error,
            HTTPException: _http_error,
            Exception: _failure,
        },
        openapi_config=None,
        logging_config=None,
    )


def _origin(request: Request[Any, Any, Any]) -> exchange.Request:
    """What the audit says of a request."""
    return exchange.Request(
        request.method,
        peer=request.client.host if request.client else None,
        request_id=request_id_of(request.scope) or "",  # type: ignore[arg-type]
    )


def _refusal(access: Access) -> Response[bytes]:
    if access is Access.MISDIRECTED:
        # RFC 9110 section 15.5.20
        body = ErrorBody("misdirected_request", "the Host header is none of this listener: see ADMIN_ALLOWED_HOSTS")
        return Response(msgspec.json.encode(body), status_code=421, headers=_HEADERS)
    if access is Access.CLOSED:
        body = ErrorBody("access_denied", "nobody may in: set ADMIN_TOKEN_FILE, or give a client auth-service:admin")
        return Response(msgspec.json.encode(body), status_code=403, headers=_HEADERS)
    if access is Access.FORBIDDEN:
        challenge = f'{_BEARER}, error="insufficient_scope", scope="{ADMIN_SCOPE}"'
        body = ErrorBody("insufficient_scope", f"the token does not have the scope {ADMIN_SCOPE}")
        headers = _HEADERS | {"www-authenticate": challenge}
        return Response(msgspec.json.encode(body), status_code=403, headers=headers)
    # RFC 6750 section 3.1: the error is named where a token was presented, and only there.
    error = ', error="invalid_token"' if access is Access.INVALID_TOKEN else ""
    body = ErrorBody("invalid_token", f"the operators' token, or an access token with {ADMIN_SCOPE}, is needed")
    # Browsers look at the first challenge of a line only.
    challenge = f'Basic realm="auth-service admin", {_BEARER}{error}'
    return Response(msgspec.json.encode(body), status_code=401, headers=_HEADERS | {"www-authenticate": challenge})


def _too_many(wait: float, per_minute: int) -> Response[bytes]:
    answer = error_answer(
        ProtocolError(
            ErrorCode.SLOW_DOWN,
            "too many wrong tokens came from this address, try again later",
            retry_after_seconds=math.ceil(wait),
            quota=Quota(ADMIN_LIMIT, per_minute, 60),
        )
    )
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(answer.body, status_code=answer.status, headers=headers)


def _store_error(_request: Request[Any, Any, Any], _failure: StoreError) -> Response[bytes]:
    body = ErrorBody("temporarily_unavailable", "the token store cannot be reached; use the operators' token")
    return Response(msgspec.json.encode(body), status_code=503, headers=_HEADERS | {"retry-after": "1"})


def _failure(request: Request[Any, Any, Any], failure: Exception) -> Response[bytes]:
    logger.error("%s on the admin listener failed", request.method, exc_info=failure)
    body = ErrorBody("server_error", "the service failed to answer; the log has the cause")
    return Response(msgspec.json.encode(body), status_code=500, headers=_HEADERS)


def _http_error(_request: Request[Any, Any, Any], failure: HTTPException) -> Response[bytes]:
    texts = {404: "nothing is here", 413: "the body is too large"}
    text = texts.get(failure.status_code, "the request is refused")
    body = ErrorBody("not_found" if failure.status_code == 404 else "invalid_request", text)
    return Response(
        msgspec.json.encode(body), status_code=failure.status_code, headers=_HEADERS | dict(failure.headers or {})
    )
