"""The public keys of a client, as it registers or publishes them (RFC 7517; RFC 7591 section 2).

Rules:
- Public keys only, each fit for at least one algorithm that client assertions may use.
- In a set that is fetched, keys of no use here are passed over (RFC 7517 section 5): a client's keys serve others, too.
  A private key among them spoils the whole set: who publishes that has lost it.
"""

from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from app.model.clients import ClientKey
from app.protocol.client_assertion import key_algorithms

PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1."""
PUBLIC: Final = ("kty", "kid", "alg", "use", "key_ops", "crv", "x", "y", "n", "e", "x5c", "x5t", "x5t#S256", "x5u")
MIN_RSA_BITS: Final = 2048
"""RFC 7518 section 3.3."""
MAX_RSA_BITS: Final = 4096
"""What one verification may cost: 0.12 ms; at 8,192 bits it is 0.4 ms, and nobody is safer for it."""
MAX_RSA_EXPONENT_BITS: Final = 33
"""Verifying takes longer in proportion: with one of 3,000 bits as long as signing does. The bound is BoringSSL's."""
MAX_KEYS: Final = 32
"""Of one client. An assertion is tried with a few of them (:data:`~app.protocol.client_assertion.MAX_TRIES`)."""
KINDS: Final = (
    f"RSA of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, its exponent of at most {MAX_RSA_EXPONENT_BITS}, "
    "EC on P-256, P-384 or P-521, or OKP on Ed25519"
)


class UnusableKeyError(ValueError):
    """The message says what is wrong with a key, fit to follow its name, and repeats nothing of it."""


class UnusableJwksError(ValueError):
    """The message says what is wrong, and repeats nothing of the set."""


def client_key(jwk: dict[str, Any]) -> ClientKey:
    """The public key that JWK members describe, ready to verify client assertions with. Raises UnusableKeyError."""
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        raise UnusableKeyError("is not for signatures")
    algorithms = key_algorithms(jwk)
    if not algorithms or (jwk.get("kty") == "OKP" and jwk.get("crv") != "Ed25519"):
        raise UnusableKeyError("has a kty, crv or alg that does not fit")
    try:
        key = PyJWK({**jwk, "alg": algorithms[0]}).key
    except (PyJWTError, ValueError, TypeError, KeyError):
        raise UnusableKeyError("is not a valid key") from None
    if isinstance(key, RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise UnusableKeyError("is too short")
        if key.key_size > MAX_RSA_BITS:
            raise UnusableKeyError("is too long")
        if key.public_numbers().e.bit_length() > MAX_RSA_EXPONENT_BITS:
            raise UnusableKeyError("has too large an exponent")
    return ClientKey(jwk, algorithms, key)


def parse_jwks(document: bytes) -> tuple[ClientKey, ...]:
    """The keys of a published set that client assertions can be verified with. Raises UnusableJwksError."""
    try:
        members = msgspec.json.decode(document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise UnusableJwksError("it is not JSON") from None
    listed = members.get("keys") if isinstance(members, dict) else None
    if not isinstance(listed, list):
        raise UnusableJwksError("it has no list of keys")
    if len(listed) > MAX_KEYS:
        raise UnusableJwksError(f"it has more than {MAX_KEYS} keys")
    if any(isinstance(each, dict) and PRIVATE & each.keys() for each in listed):
        raise UnusableJwksError("it has a private or symmetric key: treat that as leaked")
    keys = tuple(usable for each in listed if (usable := _usable(each)) is not None)
    if not keys:
        raise UnusableJwksError(f"none of its keys can be used; those that can: {KINDS}")
    return keys


def _usable(listed: object) -> ClientKey | None:
    if not isinstance(listed, dict):
        return None
    jwk = {name: listed[name] for name in PUBLIC if name in listed}
    operations = jwk.get("key_ops", [])
    texts = [value for name, value in jwk.items() if name not in ("key_ops", "x5c")]
    if not isinstance(operations, list) or not all(isinstance(text, str) for text in texts):
        return None
    try:
        return client_key(jwk)
    except UnusableKeyError:
        return None
