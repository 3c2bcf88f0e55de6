"""Signatures and digests alone: what a token costs before anything of the service's own is done."""

import hashlib

from argon2 import PasswordHasher
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from app.keys.algorithms import generate, signer, verifier
from benchmarks.repetition import Work

ALGORITHMS = ("ES256", "EdDSA", "RS256")
RSA_BITS = 2048
_MESSAGE = b"x" * 300
"""As long as the head and claims of a usual token."""


def works() -> dict[str, Work]:
    """Each by its name."""
    bare, how = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(hashes.SHA256())
    chosen = PasswordHasher()
    stored = chosen.hash("a secret that a person chose")
    found: dict[str, Work] = {
        "crypto: SHA-256 of a token": lambda: hashlib.sha256(_MESSAGE[:60]).digest(),
        "crypto: a bare ES256 signature": lambda: bare.sign(_MESSAGE, how),
        "crypto: argon2id of a chosen secret": lambda: chosen.verify(stored, "a secret that a person chose"),
    }
    for algorithm in ALGORITHMS:
        found |= _of(algorithm)
    return found


def _of(algorithm: str) -> dict[str, Work]:
    """Signing and verifying as the service does, in the form of RFC 7518 section 3. Raises RuntimeError if wrong."""
    key = generate(algorithm, RSA_BITS)
    sign, verify = signer(algorithm, key), verifier(algorithm, key.public_key())
    signature = sign(_MESSAGE)
    if not verify(signature, _MESSAGE) or verify(signature, _MESSAGE + b"y"):
        raise RuntimeError(f"{algorithm}: a signature is not what it says")
    return {
        f"crypto: sign {algorithm}": lambda: sign(_MESSAGE),
        f"crypto: verify {algorithm}": lambda: verify(signature, _MESSAGE),
    }
