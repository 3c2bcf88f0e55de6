"""The responses that endpoints share: their headers, and the one mapping from refusals to HTTP."""

import msgspec

from app.endpoints.exchange import FixedHeaders, Headers, Response
from app.protocol.errors import ErrorCode, ProtocolError

SECURITY_HEADERS: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""On every response. Nothing served here is meant to be shown, framed or linked from a browser."""

STRICT_TRANSPORT_SECURITY = (b"strict-transport-security", b"max-age=63072000")
"""On every response where the issuer is https (RFC 6797 section 7.2 forbids it elsewhere); two years. It says nothing
about other hosts of the domain: they are not ours."""

_JSON = (b"content-type", b"application/json")
JSON_NO_STORE = FixedHeaders(
    (
        _JSON,
        (b"cache-control", b"no-store"),  # RFC 6749 section 5.1: nothing with a token, or about one, is ever cached
        (b"pragma", b"no-cache"),
        *SECURITY_HEADERS,
    )
)
EMPTY_NO_STORE = FixedHeaders(JSON_NO_STORE[1:])
_CHALLENGE = (b"www-authenticate", b'Basic realm="auth-service", charset="UTF-8"')  # RFC 9110 section 15.5.2
_UNAUTHORIZED = FixedHeaders((*JSON_NO_STORE, _CHALLENGE))


class ErrorBody(msgspec.Struct, frozen=True):
    """RFC 6749 section 5.2."""

    error: str
    error_description: str


def json_answer(body: bytes) -> Response:
    """200 with a JSON body that no cache may keep."""
    return Response(200, body, JSON_NO_STORE)


def empty_answer() -> Response:
    """200 without a body (RFC 7009 section 2.2)."""
    return Response(200, b"", EMPTY_NO_STORE)


def error_answer(refusal: ProtocolError) -> Response:
    """The one mapping from a refusal to HTTP (RFC 6749 section 5.2)."""
    body = msgspec.json.encode(ErrorBody(refusal.error.code, refusal.description))
    headers: Headers = _UNAUTHORIZED if refusal.status == ErrorCode.INVALID_CLIENT.status else JSON_NO_STORE
    if refusal.retry_after_seconds is not None:
        headers = (*headers, (b"retry-after", b"%d" % refusal.retry_after_seconds))
    if refusal.quota is not None:
        quota = refusal.quota
        of = b';qu="concurrent-requests"' if quota.window_seconds is None else b";w=%d" % quota.window_seconds
        policy = b'"%s";q=%d%s' % (quota.policy.encode(), quota.requests, of)
        remaining = b'"%s";r=0;t=%d' % (quota.policy.encode(), refusal.retry_after_seconds or 1)
        headers = (*headers, (b"ratelimit-policy", policy), (b"ratelimit", remaining))
    return Response(refusal.status, body, headers)


def method_not_allowed(allowed: str) -> Response:
    """405 (RFC 9110 section 15.5.6)."""
    body = msgspec.json.encode(ErrorBody("invalid_request", f"the method must be {allowed}"))
    return Response(405, body, (*JSON_NO_STORE, (b"allow", allowed.encode())))
