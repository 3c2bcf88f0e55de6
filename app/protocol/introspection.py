"""Token introspection (RFC 7662): who may see what of a token."""

from typing import Literal

import msgspec

from app.model.clients import Client, IntrospectionPolicy
from app.model.tokens import AccessTokenRecord, RefreshTokenRecord
from app.protocol.access_token import AccessTokenClaims, audience_claim, audience_values

INACTIVE = b'{"active":false}'
"""The one answer for expired, unknown, revoked, malformed and not-yours (RFC 7662 section 2.2)."""

_encoder = msgspec.json.Encoder()
_ALL, _AUDIENCE = IntrospectionPolicy.ALL, IntrospectionPolicy.AUDIENCE


class ActiveToken(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The members of RFC 7662 section 2.2 for a live token that the caller may see."""

    active: Literal[True]
    client_id: str
    exp: int
    iat: int
    sub: str
    aud: str | tuple[str, ...]
    iss: str
    scope: str = ""
    token_type: str | None = None
    jti: str | None = None


def encode_introspection(token: ActiveToken | None) -> bytes:
    """The body: what may be seen of a live token, or :data:`INACTIVE`."""
    return INACTIVE if token is None else _encoder.encode(token)


def introspect_access_token(
    record: AccessTokenRecord | None, caller: Client, issuer: str, now: float
) -> ActiveToken | None:
    """Decide what ``caller`` sees of an opaque access token; None is inactive."""
    if record is None or record.expires_at <= now or not may_see(caller, record.client_id, record.audience):
        return None
    return ActiveToken(
        True,
        record.client_id,
        record.expires_at,
        record.issued_at,
        record.subject,
        audience_claim(record.audience),
        issuer,
        record.scope,
        "Bearer",
    )


def introspect_jwt(claims: AccessTokenClaims, revoked: bool, caller: Client, now: float) -> ActiveToken | None:
    """Decide what ``caller`` sees of a JWT whose signature was verified; None is inactive."""
    if revoked or claims.exp <= now or not may_see(caller, claims.client_id, audience_values(claims.aud)):
        return None
    return ActiveToken(
        active=True,
        client_id=claims.client_id,
        exp=claims.exp,
        iat=claims.iat,
        sub=claims.sub,
        aud=claims.aud,
        iss=claims.iss,
        scope=claims.scope,
        token_type="Bearer",
        jti=claims.jti,
    )


def introspect_refresh_token(
    record: RefreshTokenRecord | None, caller: Client, issuer: str, now: float
) -> ActiveToken | None:
    """Decide what ``caller`` sees of a refresh token: resource servers have no business with them, so only its own.

    A used one is inactive. There is no ``token_type``: RFC 7662 takes its values from RFC 6749 section 7.1, which
    knows access tokens only.
    """
    if record is None or record.used_at is not None or record.expires_at <= now or record.client_id != caller.id:
        return None
    return ActiveToken(
        active=True,
        client_id=record.client_id,
        exp=record.expires_at,
        iat=record.issued_at,
        sub=record.subject,
        aud=audience_claim(record.audience),
        iss=issuer,
        scope=record.scope,
    )


def may_see(caller: Client, client_id: str, audience: tuple[str, ...]) -> bool:
    """Whether the caller's ``introspect`` setting covers a token (RFC 7662 section 4)."""
    if client_id == caller.id or caller.introspect is _ALL:
        return True
    if caller.introspect is not _AUDIENCE:
        return False
    return caller.id in audience or not set(caller.audiences).isdisjoint(audience)
