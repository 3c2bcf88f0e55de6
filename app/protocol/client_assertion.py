"""JWT client assertions (RFC 7523 section 3): the checks, given the client's registered keys.

The signature itself is PyJWT's work. Algorithms come from the registered key, never from the assertion's header. The
envelope is read here, once: PyJWT's decoder looks at each character in Python, for each key that is tried, and with
16 KiB takes ten times as long as a signature does.
"""

from collections.abc import Sequence
from typing import Any

import jwt
import msgspec

from app.model.clients import ClientKey
from app.protocol.base64url import read_base64url
from app.protocol.errors import ProtocolError, invalid_client

MAX_ASSERTION_LENGTH = 16 * 1024
MAX_LIFE_SECONDS = 3600
"""How far ``exp`` may lie ahead: it bounds how long a ``jti`` has to be remembered (RFC 7523 section 3, item 4).

An hour and not less, because that is what Authlib gives its assertions, with no setting for another.
"""
CLOCK_SKEW_SECONDS = 30
MAX_TRIES = 4
"""Keys that one assertion is tried with, for nobody has proved anything yet: 0.4 ms with RSA of 4,096 bits, 1.7 ms with
P-384, which is the slowest. Who has more keys that fit must name the one (``kid``)."""
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
        subject = _read(assertion).claims.get("sub")
    except ProtocolError:
        return None
    return subject if isinstance(subject, str) and subject else None


def verify_assertion(
    assertion: str, *, client_id: str, keys: Sequence[ClientKey], audiences: Sequence[str], now: float
) -> VerifiedAssertion:
    """Check an assertion for ``client_id`` (RFC 7523 section 3).

    ``audiences`` are the values that name this server (the issuer, the token endpoint) and no other.
    Raises ProtocolError (``invalid_client``).
    """
    if len(assertion) > MAX_ASSERTION_LENGTH:
        raise _refused("assertion_too_large")
    claims = _verified_claims(assertion, keys)
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
    if not isinstance(jti, str) or not 1 <= len(jti) <= 256:
        raise _refused("assertion_jti")
    return VerifiedAssertion(client_id=client_id, jti=jti, expires_at=int(expires_at) + CLOCK_SKEW_SECONDS + 1)


class _Read(msgspec.Struct, frozen=True):
    """An assertion that nothing has verified yet."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signing_input: bytes
    signature: bytes


def _read(assertion: str) -> _Read:
    """The parts of a JWT in compact serialization (RFC 7515 section 7.1). Raises ProtocolError."""
    try:
        signing_input, _, signature = assertion.encode("ascii").rpartition(b".")
        header, _, payload = signing_input.partition(b".")
        read = _Read(
            msgspec.json.decode(read_base64url(header), type=dict[str, Any]),
            msgspec.json.decode(read_base64url(payload), type=dict[str, Any]),
            signing_input,
            read_base64url(signature),
        )
    except (ValueError, RecursionError):  # msgspec's errors and those of encodings are ValueErrors
        raise _refused("assertion_malformed") from None
    # RFC 7797: without base64url the payload would be another text than the one that was read. With "crit" it is
    # refused in any case (RFC 7515 section 4.1.11).
    if read.header.get("b64", True) is not True or not isinstance(read.header.get("kid", ""), str):
        raise _refused("assertion_malformed")
    return read


def _verified_claims(assertion: str, keys: Sequence[ClientKey]) -> dict[str, Any]:
    read = _read(assertion)
    algorithm = read.header.get("alg")
    if "crit" in read.header or not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _refused("assertion_algorithm")
    candidates = candidate_keys(keys, read.header)
    if len(candidates) > MAX_TRIES:
        raise _refused("assertion_needs_kid")
    # Of our list, and each candidate is registered for it.
    verify = jwt.get_algorithm_by_name(algorithm).verify
    if not any(verify(read.signing_input, candidate.key, read.signature) for candidate in candidates):
        raise _refused(SIGNED_BY_NONE)
    if any(read.claims.get(name) is None for name in ("iss", "sub", "aud", "exp", "jti")):
        raise _refused("assertion_malformed")
    return read.claims


def candidate_keys(keys: Sequence[ClientKey], header: dict[str, Any]) -> list[ClientKey]:
    """The keys that may have signed: fit for the header's ``alg``, and of its ``kid`` if it names one.

    Keys without a name stand for any; they are asked where none has the name.
    """
    kid, algorithm = header.get("kid"), header["alg"]
    fitting = [key for key in keys if algorithm in key.algorithms]
    if kid is None:
        return fitting
    return [key for key in fitting if key.kid == kid] or [key for key in fitting if key.kid is None]


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


def _numeric_date(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        raise _refused("assertion_malformed")
    return float(value)


def _refused(reason: str) -> ProtocolError:
    return invalid_client(reason)
