"""From a ring document to a ring: every key is checked and prepared.

Rules:
- A kid is the thumbprint of its public key, and a private part proves by a signature that it belongs to it.
- One bad key makes the whole document unusable: half a ring would refuse live tokens.
- Messages name the key and the cause, never the material.
"""

from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from app.keys.algorithms import ALGORITHMS, PrivateKey, Verify, fits, verifier
from app.keys.document import KeyEntry, RingDocument
from app.keys.errors import RingDocumentError, SealError
from app.keys.jwk import load_public, public_jwk, thumbprint, unb64url
from app.keys.ring import KeyRing, SigningKey, VerificationKey
from app.keys.sealing import KeyEncryption


def build_ring(document: RingDocument, kek: KeyEncryption | None) -> KeyRing:
    """Check every key of a document and prepare it.

    Takes milliseconds for each RSA key: call it on a thread. Raises RingDocumentError for a key that is not what
    its entry says, and SealError for a private part that cannot be opened.
    """
    verification: dict[str, VerificationKey] = {}
    signing: dict[str, SigningKey] = {}
    seen: set[str] = set()
    for entry in sorted(document.keys, key=lambda k: (k.algorithm, k.created_at, k.kid)):
        if entry.kid in seen:
            raise RingDocumentError(f"the kid {entry.kid:.60} is in the ring document twice")
        seen.add(entry.kid)
        if entry.algorithm not in ALGORITHMS:
            # A newer minor version may know more algorithms; this process neither signs nor verifies with them.
            continue
        _check_times(entry)
        try:
            public = load_public(entry.algorithm, entry.public)
        except ValueError as problem:
            raise RingDocumentError(f"key {entry.kid:.60}: {problem}") from None
        members = public_jwk(public)
        if thumbprint(members) != entry.kid:
            raise RingDocumentError(f"key {entry.kid:.60}: the kid is not the thumbprint of the public key")
        if entry.revoked_at is not None:
            continue
        jwk = {**members, "use": "sig", "alg": entry.algorithm, "kid": entry.kid}
        verify = verifier(entry.algorithm, public)
        verification[entry.kid] = VerificationKey(entry.kid, entry.algorithm, verify, jwk, entry.removed_at, entry)
        if entry.private is not None:
            signing[entry.kid] = _prove(SigningKey(entry.kid, entry.algorithm, load_private(entry, kek)), verify)
    return KeyRing(document, verification, signing)


def load_private(entry: KeyEntry, kek: KeyEncryption | None) -> PrivateKey:
    """The private key of an entry that has one. Raises RingDocumentError or SealError."""
    key: Any
    try:
        # OpenSSL's own check of an RSA key takes 30 ms; the trial signature in build_ring proves as much in 0.3 ms.
        key = serialization.load_der_private_key(
            pkcs8_of(entry, kek), password=None, unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise RingDocumentError(f"key {entry.kid}: the private part is damaged") from None
    if not fits(entry.algorithm, key):
        raise RingDocumentError(f"key {entry.kid}: the private part is not one for {entry.algorithm}")
    return key  # type: ignore[no-any-return]


def pkcs8_of(entry: KeyEntry, kek: KeyEncryption | None) -> bytes:
    """The unsealed private part as PKCS #8 DER. Raises SealError, or ValueError when it is damaged."""
    part = entry.private
    if part is None:
        raise ValueError("no private part")
    if part.sealed is not None:
        if kek is None:
            raise SealError(f"key {entry.kid}: sealed, and no key-encryption key is configured (KEYS_KEK_FILE)")
        return kek.open(entry.kid, entry.algorithm, part)
    return unb64url(part.pkcs8 or "")


def _prove(key: SigningKey, verify: Verify) -> SigningKey:
    """The key, once a signature of it was verified with the public key of its entry."""
    message = key.kid.encode()
    try:
        proven = verify(key.sign(message), message)
    except ValueError:
        proven = False
    if not proven:
        raise RingDocumentError(f"key {key.kid}: the private part is not that of the public key")
    return key


def _check_times(entry: KeyEntry) -> None:
    times = [t for t in (entry.signs_from, entry.retires_at, entry.removed_at) if t is not None]
    if times != sorted(times):
        raise RingDocumentError(f"key {entry.kid:.60}: signs_from, retires_at and removed_at are not in this order")
    if any(abs(t) > 1e11 for t in (*times, entry.created_at)):
        raise RingDocumentError(f"key {entry.kid:.60}: a timestamp is not in Unix seconds")
