"""Access tokens as JWTs: the profile of RFC 9068."""

from collections.abc import Sequence

import msgspec

TYP = "at+jwt"
"""``typ`` of RFC 9068 section 2.1: what keeps an ID token or an assertion from passing as an access token."""

_encoder = msgspec.json.Encoder()


class AccessTokenClaims(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The claims of RFC 9068 section 2.2, and the family that a revocation may name."""

    iss: str
    sub: str
    aud: str | tuple[str, ...]
    client_id: str
    jti: str
    iat: int
    exp: int
    scope: str = ""
    family: str | None = None
    """Private claim: the refresh token family that the token dies with."""


def encode_claims(claims: AccessTokenClaims) -> bytes:
    """The JWT's payload as JSON."""
    return _encoder.encode(claims)


def decode_claims(payload: dict[str, object]) -> AccessTokenClaims | None:
    """The claims of a verified token of ours, or None if they are not of this profile."""
    try:
        return msgspec.convert(payload, AccessTokenClaims)
    except msgspec.ValidationError:
        return None


def audience_claim(audience: Sequence[str]) -> str | tuple[str, ...]:
    """``aud``: one value as a string, several as an array (RFC 7519 section 4.1.3)."""
    return audience[0] if len(audience) == 1 else tuple(audience)


def audience_values(claim: str | tuple[str, ...]) -> tuple[str, ...]:
    """The values of ``aud``, however it is written."""
    return (claim,) if isinstance(claim, str) else claim
