"""ID tokens (OpenID Connect Core section 2), for grants in which a person was authenticated."""

import hashlib

import msgspec

from app.protocol.base64url import base64url

TYP = "JWT"
LIFE_SECONDS = 300
"""An ID token is read once, when it arrives; what it says is not worth keeping longer."""

_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


class Authentication(msgspec.Struct, frozen=True):
    """How and when the subject was authenticated."""

    auth_time: int
    """Unix seconds."""
    nonce: str | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()


class IdTokenClaims(msgspec.Struct, frozen=True, omit_defaults=True):
    """The claims of OpenID Connect Core section 2."""

    iss: str
    sub: str
    aud: str
    exp: int
    iat: int
    auth_time: int
    nonce: str | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()
    at_hash: str | None = None


def id_token_claims(
    *,
    issuer: str,
    subject: str,
    client_id: str,
    authentication: Authentication,
    access_token: str,
    algorithm: str,
    now: int,
) -> IdTokenClaims:
    """The ID token that goes with ``access_token``; ``algorithm`` is the one it will be signed with."""
    return IdTokenClaims(
        iss=issuer,
        sub=subject,
        aud=client_id,
        exp=now + LIFE_SECONDS,
        iat=now,
        auth_time=authentication.auth_time,
        nonce=authentication.nonce,
        acr=authentication.acr,
        amr=authentication.amr,
        at_hash=left_half_hash(access_token, algorithm),
    )


def left_half_hash(token: str, algorithm: str) -> str:
    """``at_hash``: the left half of the token's hash under the signature's hash (OpenID Connect Core 3.1.3.6).

    EdDSA with Ed25519 hashes with SHA-512 (RFC 8032), which is what verifiers expect of it here.
    """
    digest = _HASHES.get(algorithm[-3:], hashlib.sha512)(token.encode()).digest()
    return base64url(digest[: len(digest) // 2]).decode("ascii")
