"""Private keys from elsewhere: PEM, JWK and JWK set, and the algorithm that each is for.

Rules: messages never quote the file.
"""

import base64
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from app.keys.algorithms import ALGORITHMS, PrivateKey, fits, is_rsa
from app.keys.errors import KeyUsageError

MAX_BYTES = 1_000_000


def private_keys(content: bytes, algorithm: str | None) -> tuple[tuple[str, PrivateKey], ...]:
    """The private keys of a file, each with its algorithm.

    ``algorithm`` decides where the file does not say; RSA keys fit several, so one of both must. Raises KeyUsageError.
    """
    if len(content) > MAX_BYTES:
        raise KeyUsageError(f"the file has {len(content)} bytes, {MAX_BYTES} are allowed")
    if content.lstrip().startswith(b"{"):
        return tuple(_from_jwk(jwk, algorithm) for jwk in _jwks_of(content))
    return (_from_pem(content, algorithm),)


def _from_pem(content: bytes, algorithm: str | None) -> tuple[str, PrivateKey]:
    if b"ENCRYPTED" in content:
        raise KeyUsageError("the key is encrypted; decrypt it first, for example with `openssl pkey`")
    try:
        key: Any = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        raise KeyUsageError("the file holds no private key in PEM, no JWK and no ring document") from None
    return _matched(key, algorithm)


def _jwks_of(content: bytes) -> list[dict[str, Any]]:
    try:
        parsed = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise KeyUsageError("the file is not complete JSON") from None
    jwks = parsed.get("keys", [parsed])
    if not isinstance(jwks, list) or not jwks or not all(isinstance(jwk, dict) for jwk in jwks):
        raise KeyUsageError('the file\'s "keys" is not a list of JWKs')
    return jwks


def _from_jwk(jwk: dict[str, Any], algorithm: str | None) -> tuple[str, PrivateKey]:
    if "d" not in jwk:
        raise KeyUsageError("a JWK of the file has no private part")
    said = jwk.get("alg", algorithm)
    if said is None and jwk.get("kty") == "RSA":
        said = _rsa_needs_an_algorithm()
    if said is not None and said not in ALGORITHMS:
        raise KeyUsageError(f"a JWK of the file is for {said!r:.20}; allowed are {', '.join(ALGORITHMS)}")
    try:
        key: Any = PyJWK(jwk, said).key
    except (PyJWTError, ValueError, TypeError, base64.binascii.Error):  # type: ignore[attr-defined]
        raise KeyUsageError("a JWK of the file cannot be read") from None
    return _matched(key, said)


def _matched(key: Any, algorithm: str | None) -> tuple[str, PrivateKey]:
    fitting = [name for name in ALGORITHMS if fits(name, key)]
    if not fitting:
        raise KeyUsageError(f"the key fits none of {', '.join(ALGORITHMS)} (RSA needs at least 2048 bits)")
    if algorithm is None:
        algorithm = fitting[0] if not is_rsa(fitting[0]) else _rsa_needs_an_algorithm()
    if algorithm not in fitting:
        raise KeyUsageError(f"the key is not one for {algorithm}; it fits {', '.join(fitting)}")
    return algorithm, key


def _rsa_needs_an_algorithm() -> str:
    raise KeyUsageError("an RSA key fits several algorithms: say which with --alg, for example --alg RS256")
