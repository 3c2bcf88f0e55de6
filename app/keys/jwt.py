"""JWTs of this service: signing with the ring's keys, and verifying what the ring's keys signed.

Rules of verification (RFC 8725):
- The algorithm is that of the ring's key with the token's ``kid``; the header only has to agree with it.
- ``typ`` is always compared, so that an ID token or a client assertion never passes for an access token.
- Keys come from the ring alone: a header that brings or points to a key is refused, and nothing is ever fetched.
- ``crit`` is refused whatever it names: no extension is implemented (RFC 7515 section 4.1.11).
- ``iss`` and ``exp`` are required. ``aud`` is the caller's to judge.

The envelope is read here and not by PyJWT, because its checks cost half as much as the signature's: 75 against 51 µs
for an ES256 token, 54 against 24 µs for an RS256 one. A differential test holds this reader to be never laxer.
"""

import math
from asyncio import Future, get_running_loop
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from app.keys.algorithms import is_rsa
from app.keys.errors import InvalidToken, SigningQueueFull
from app.keys.ring import KeyRing, SigningKey
from app.keys.threads import LowPriorityPool
from app.protocol.base64url import base64url, read_base64url

MAX_TOKEN_CHARS = 8192
"""Longer tokens are refused unread; ours have some 600 characters."""
MOST_TOGETHER = 32
"""Signatures that are made one after the other: more make none of them cheaper, and the first waits for the last."""
MAX_WAITING_SIGNATURES = 512
"""RSA signatures that may wait for a thread: about 0.2 s of work for two threads."""

_FORBIDDEN_HEADERS = frozenset({"jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64", "zip", "enc"})


class Verified(msgspec.Struct, frozen=True, gc=False):
    """A JWT that may be believed."""

    claims: dict[str, Any]
    key_id: str
    """The ``kid`` of the key that signed it."""


def needs_thread(algorithm: str) -> bool:
    """Whether signing takes too long for the event loop: True for RSA."""
    return is_rsa(algorithm)


def sign_now(key: SigningKey, typ: str, payload: bytes) -> str:
    """A signed JWT in compact serialization (RFC 7515 section 7.1). ``payload``: the claims as JSON."""
    signing_input = key.header(typ) + base64url(payload)
    signature = base64url(key.sign(signing_input))
    return (signing_input + b"." + signature).decode("ascii")


class Signer:
    """Signs with the current ring: fast algorithms together, RSA on low-priority threads.

    A signature that follows another finds the library's code and its table of the curve's points (150 KB for P-256) in
    the core's caches; one that follows the rest of a request has lost them to it. So those of one turn of the loop are
    made together, at its end, where the turn before had more than one: where it had not, there is nobody to wait for.
    """

    def __init__(self, ring: Callable[[], KeyRing], pool: LowPriorityPool) -> None:
        """``ring`` returns the ring of the moment; ``pool`` belongs to the caller, who closes it."""
        self._ring = ring
        self._pool = pool
        self._waiting = 0
        self._together: list[tuple[Future[str], SigningKey, str, bytes]] = []
        self._asked = 0  # in this turn of the loop
        self._asked_before = 0  # in the last turn that had any

    def sign(self, algorithm: str, typ: str, payload: bytes, now: float) -> Awaitable[str]:
        """A signed JWT, to be awaited. Call it on the loop. Raises NoSigningKey or SigningQueueFull, at once."""
        key = self._ring().signing_key(algorithm, now)
        if not key.is_slow:
            return self._sign_together(key, typ, payload)
        if self._waiting >= MAX_WAITING_SIGNATURES:
            raise SigningQueueFull(f"{self._waiting} {algorithm} signatures are waiting for a thread")
        return self._sign_on_thread(key, typ, payload)

    def _sign_together(self, key: SigningKey, typ: str, payload: bytes) -> "Future[str]":
        loop = get_running_loop()
        if not self._asked:
            loop.call_soon(self._end_turn)
        self._asked += 1
        signed: Future[str] = loop.create_future()
        if self._asked_before > 1:
            self._together.append((signed, key, typ, payload))
            if len(self._together) == MOST_TOGETHER:
                self._sign_all()
        else:
            signed.set_result(sign_now(key, typ, payload))
        return signed

    def _end_turn(self) -> None:
        self._asked_before, self._asked = self._asked, 0
        self._sign_all()

    def _sign_all(self) -> None:
        together, self._together = self._together, []
        for signed, key, typ, payload in together:
            if signed.cancelled():
                continue
            try:
                signed.set_result(sign_now(key, typ, payload))
            except Exception as failure:  # noqa: BLE001 - it is one's own, and the others are still to be signed
                signed.set_exception(failure)

    async def _sign_on_thread(self, key: SigningKey, typ: str, payload: bytes) -> str:
        self._waiting += 1
        try:
            return await get_running_loop().run_in_executor(self._pool.executor, sign_now, key, typ, payload)
        finally:
            self._waiting -= 1


def verify(
    token: str,
    ring: KeyRing,
    *,
    typ: str,
    issuer: str,
    now: float,
    skew_seconds: float = 0,
    on_unknown_kid: Callable[[], None] | None = None,
) -> Verified:
    """The claims of a JWT that this service signed and that is alive at ``now`` (Unix seconds).

    ``typ`` is the media type without ``application/``, such as ``at+jwt`` (RFC 9068 section 4). ``skew_seconds`` is
    allowed on ``nbf`` only: ``exp`` is sharp, as it is for opaque tokens. Raises InvalidToken; its reason is one of
    oversize, malformed, header, typ, unknown_kid, algorithm, signature, claims, issuer, expired, not_yet_valid.
    """
    if len(token) > MAX_TOKEN_CHARS:
        raise InvalidToken("oversize")
    try:
        raw = token.encode("ascii")
    except UnicodeEncodeError:
        raise InvalidToken("malformed") from None
    signing_input, _, signature_part = raw.rpartition(b".")
    header_part, dot, payload_part = signing_input.partition(b".")
    if not dot or b"." in payload_part:
        raise InvalidToken("malformed")
    header = _json_object(_decode(header_part))
    if not _FORBIDDEN_HEADERS.isdisjoint(header):
        raise InvalidToken("header")
    if not _same_typ(header.get("typ"), typ):
        raise InvalidToken("typ")
    kid = header.get("kid")
    key = ring.verification_key(kid, now) if isinstance(kid, str) else None
    if key is None:
        if on_unknown_kid is not None:
            on_unknown_kid()
        raise InvalidToken("unknown_kid")
    if header.get("alg") != key.algorithm:
        raise InvalidToken("algorithm")
    if not key.verify(_decode(signature_part), signing_input):
        raise InvalidToken("signature")
    claims = _json_object(_decode(payload_part))
    _check_claims(claims, issuer, now, skew_seconds)
    return Verified(claims, key.kid)


def _check_claims(claims: dict[str, Any], issuer: str, now: float, skew_seconds: float) -> None:
    if claims.get("iss") != issuer:
        raise InvalidToken("issuer")
    expires_at = _numeric_date(claims, "exp")
    if expires_at is None:
        raise InvalidToken("claims")
    # RFC 7519 section 4.1.4: not accepted "on or after" the expiration time.
    if now >= expires_at:
        raise InvalidToken("expired")
    not_before = _numeric_date(claims, "nbf")
    if not_before is not None and now + skew_seconds < not_before:
        raise InvalidToken("not_yet_valid")
    _numeric_date(claims, "iat")


def _numeric_date(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidToken("claims")
    return value


def _same_typ(given: object, wanted: str) -> bool:
    """Media types compare without case; ``application/`` may be left out (RFC 7515 section 4.1.9)."""
    if not isinstance(given, str):
        return False
    return given.lower().removeprefix("application/") == wanted.lower()


def _decode(segment: bytes) -> bytes:
    try:
        return read_base64url(segment)
    except ValueError:
        raise InvalidToken("malformed") from None


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidToken("malformed") from None
    if not isinstance(value, dict):
        raise InvalidToken("malformed")
    return value
