"""JWT client assertions (RFC 7523 section 3): the checks, given the client's registered keys.

The signature itself is PyJWT's work. Algorithms come from the registered key, never from the assertion's header.
"""

from collections.abc import Sequence
from typing import Any

import jwt
import msgspec
from jwt import PyJWK

from app.protocol.errors import ProtocolError, invalid_client

MAX_ASSERTION_LENGTH = 16 * 1024
MAX_LIFE_SECONDS = 3600
"""How far ``exp`` may lie ahead: it bounds how long a ``jti`` has to be remembered (RFC 7523 section 3, item 4).

An hour and not less, because that is what Authlib gives its assertions, with no setting for another.
"""
CLOCK_SKEW_SECONDS = 30
SIGNED_BY_NONE = "assertion_signature"
"""The reason where none of the keys has made the signature: newer ones might have."""
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
_BY_KEY_TYPE = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "OKP/Ed25519": ("EdDSA",),
    "EC/P-256": ("ES256",),
    "EC/P-384": ("ES384",),
    "EC/P-521": ("ES512",),
}


class VerifiedAssertion(msgspec.Struct, frozen=True):
    """What is left to do after the checks: remember the ``jti`` once."""

    client_id: str
    jti: str
    expires_at: int
    """Unix seconds until which the ``jti`` must be remembered, the allowed skew included."""


def peek_subject(assertion: str) -> str | None:
    """The ``sub`` of an assertion that nothing has verified yet: only good for finding the client to verify it by."""
    if len(assertion) > MAX_ASSERTION_LENGTH:
        return None
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    subject = claims.get("sub")
    return subject if isinstance(subject, str) and subject else None


def verify_assertion(
    assertion: str, *, client_id: str, jwks: Sequence[dict[str, Any]], audiences: Sequence[str], now: float
) -> VerifiedAssertion:
    """Check an assertion for ``client_id`` (RFC 7523 section 3).

    ``audiences`` are the values that name this server (the issuer, the token endpoint) and no other.
    Raises ProtocolError (``invalid_client``).
    """
    if len(assertion) > MAX_ASSERTION_LENGTH:
        raise _refused("assertion_too_large")
    claims = _verified_claims(assertion, jwks)
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise _refused("assertion_subject")
    # Every audience has to be this server: an assertion that also names another could be replayed from there
    # (draft-ietf-oauth-rfc7523bis asks for the issuer alone; many clients name issuer and token endpoint).
    audience = claims.get("aud")
    if not (audience in audiences if isinstance(audience, str) else _are_all_of(audience, audiences)):
        raise _refused("assertion_audience")
    expires_at = _numeric_date(claims, "exp")
    if expires_at is None or expires_at <= now - CLOCK_SKEW_SECONDS:
        raise _refused("assertion_expired")
    if expires_at > now + MAX_LIFE_SECONDS + CLOCK_SKEW_SECONDS:
        raise _refused("assertion_lives_too_long")
    for name in ("nbf", "iat"):
        moment = _numeric_date(claims, name)
        if moment is not None and moment > now + CLOCK_SKEW_SECONDS:
            raise _refused("assertion_not_yet_valid")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= 256 or not _has_utf8(jti):
        raise _refused("assertion_jti")
    return VerifiedAssertion(client_id=client_id, jti=jti, expires_at=int(expires_at) + CLOCK_SKEW_SECONDS + 1)


def _verified_claims(assertion: str, jwks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(assertion)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise _refused("assertion_malformed") from None
    algorithm = header.get("alg")
    if "crit" in header or not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _refused("assertion_algorithm")
    for key in candidate_keys(jwks, header):
        try:
            return dict(
                jwt.decode(
                    assertion,
                    key=key,
                    algorithms=[algorithm],  # candidate_keys only yields keys registered for this algorithm
                    options={
                        "verify_signature": True,
                        "require": ["iss", "sub", "aud", "exp", "jti"],
                        # Checked by verify_assertion, against the time and the audiences it is given.
                        "verify_exp": False,
                        "verify_nbf": False,
                        "verify_iat": False,
                        "verify_aud": False,
                        "verify_iss": False,
                        "verify_sub": False,
                        "verify_jti": False,
                    },
                )
            )
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise _refused("assertion_malformed") from None
    raise _refused(SIGNED_BY_NONE)


def candidate_keys(jwks: Sequence[dict[str, Any]], header: dict[str, Any]) -> list[PyJWK]:
    """The registered keys that may have signed: of the header's ``kid`` if it names one, and fit for its ``alg``."""
    kid, algorithm = header.get("kid"), header["alg"]
    keys: list[PyJWK] = []
    for member in jwks:
        if kid is not None and member.get("kid") not in (None, kid):
            continue
        if algorithm not in key_algorithms(member):
            continue
        keys.append(PyJWK({**member, "alg": algorithm}))
    return keys


def key_algorithms(jwk: dict[str, Any]) -> tuple[str, ...]:
    """The algorithms that a registered key may be used with (RFC 8725 section 3.1): its ``alg``, else its type's."""
    if jwk.get("use", "sig") != "sig":
        return ()
    kind = jwk.get("kty")
    fitting = _BY_KEY_TYPE.get(f"{kind}/{jwk.get('crv')}" if kind in ("EC", "OKP") else str(kind), ())
    declared = jwk.get("alg")
    return tuple(a for a in fitting if declared in (None, a))


def _are_all_of(audience: object, audiences: Sequence[str]) -> bool:
    return isinstance(audience, list) and bool(audience) and all(value in audiences for value in audience)


def _has_utf8(text: str) -> bool:
    """Whether the text can be hashed: JSON can write half a surrogate pair, which no UTF-8 stands for."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _numeric_date(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        raise _refused("assertion_malformed")
    return float(value)


def _refused(reason: str) -> ProtocolError:
    return invalid_client(reason)
