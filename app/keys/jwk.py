"""Public keys as JWKs (RFC 7517), their names (RFC 7638), and the base64url that both are written in.

Rules: only public members are ever produced; what is read is canonical, so that one key has one name.
"""

import hashlib
from base64 import urlsafe_b64decode
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from app.keys.algorithms import ALGORITHMS, PublicKey, fits
from app.protocol.base64url import base64url


def public_jwk(key: PublicKey) -> dict[str, str]:
    """The members of the JWK that describe the key itself (RFC 7518 section 6, RFC 8037 section 2)."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "e": _b64_number(numbers.e), "n": _b64_number(numbers.n)}
    if isinstance(key, ec.EllipticCurvePublicKey):
        spec = next(a for a in ALGORITHMS.values() if a.curve is not None and isinstance(key.curve, a.curve))
        point, size = key.public_numbers(), spec.coordinate_bytes
        return {
            "kty": "EC",
            "crv": spec.crv,
            "x": b64url(point.x.to_bytes(size, "big")),
            "y": b64url(point.y.to_bytes(size, "big")),
        }
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": b64url(raw)}


def load_public(algorithm: str, jwk: dict[str, str]) -> PublicKey:
    """The key of a public JWK. Raises ValueError when it is malformed or not one for the algorithm."""
    spec = ALGORITHMS[algorithm]
    key: PublicKey
    try:
        if spec.family in ("rsa", "pss"):
            _expect(jwk, "kty", "RSA")
            key = rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
        elif spec.curve is not None:
            _expect(jwk, "kty", "EC")
            _expect(jwk, "crv", spec.crv)
            key = ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), spec.curve()).public_key()
        else:
            _expect(jwk, "kty", "OKP")
            _expect(jwk, "crv", spec.crv)
            key = ed25519.Ed25519PublicKey.from_public_bytes(unb64url(jwk["x"]))
    except KeyError as missing:
        raise ValueError(f"the public key lacks the member {missing}") from None
    if not fits(algorithm, key):
        raise ValueError(f"the public key is not one for {algorithm}")
    return key


def thumbprint(jwk: dict[str, str]) -> str:
    """The key's name: its JWK thumbprint with SHA-256 (RFC 7638 section 3), over the required members alone."""
    required = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}[jwk["kty"]]
    canonical = msgspec.json.encode({name: jwk[name] for name in required})
    return b64url(hashlib.sha256(canonical).digest())


def b64url(data: bytes) -> str:
    """base64url without padding (RFC 7515 appendix C)."""
    return base64url(data).decode("ascii")


def unb64url(text: str) -> bytes:
    """The bytes of canonical base64url without padding. Raises ValueError for everything else."""
    encoded = text.encode("ascii")
    data = urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4))
    if base64url(data) != encoded:
        raise ValueError("not canonical base64url")
    return data


def _expect(jwk: dict[str, Any], member: str, value: str) -> None:
    if jwk[member] != value:
        raise ValueError(f"the public key's {member} is not {value}")


def _number(text: str) -> int:
    return int.from_bytes(unb64url(text), "big")


def _b64_number(number: int) -> str:
    return b64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
