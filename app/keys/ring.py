"""The key ring: an immutable view of a ring document, with everything prepared that a request needs.

Rules:
- States follow from the document's timestamps and ``now`` alone.
- PUBLISHED, SIGNING and RETIRED keys are in the JWKS and verify; REMOVED and REVOKED ones do neither. A PUBLISHED
  key verifies because a replica whose clock is ahead may sign with it already.
- Where two keys' signing times overlap, the one that began last signs.
"""

from enum import StrEnum
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from app.keys.algorithms import (
    ALGORITHMS,
    PrivateKey,
    Sign,
    Verify,
    b64url,
    fits,
    load_public,
    public_jwk,
    signer,
    thumbprint,
    unb64url,
    verifier,
)
from app.keys.document import KeyEntry, RingDocument
from app.keys.errors import NoSigningKey, RingDocumentError, SealError
from app.keys.sealing import KeyEncryption

_MAX_PREPARED_HEADERS = 8


class KeyState(StrEnum):
    PUBLISHED = "published"
    SIGNING = "signing"
    RETIRED = "retired"
    REMOVED = "removed"
    REVOKED = "revoked"


def state_of(entry: KeyEntry, now: float) -> KeyState:
    """The state of a key at ``now`` (Unix seconds)."""
    if entry.revoked_at is not None:
        return KeyState.REVOKED
    if entry.removed_at is not None and entry.removed_at <= now:
        return KeyState.REMOVED
    if entry.retires_at is not None and entry.retires_at <= now:
        return KeyState.RETIRED
    if entry.signs_from is not None and entry.signs_from <= now:
        return KeyState.SIGNING
    return KeyState.PUBLISHED


class SigningKey:
    """A private key with everything constant about its signatures prepared. Immutable to its users."""

    __slots__ = ("_headers", "algorithm", "key", "kid", "sign")

    def __init__(self, kid: str, algorithm: str, key: PrivateKey) -> None:
        self.kid = kid
        self.algorithm = algorithm
        self.key = key
        self.sign: Sign = signer(algorithm, key)
        self._headers: dict[str, bytes] = {}
        for typ in ("at+jwt", "JWT"):
            self.header(typ)

    def header(self, typ: str) -> bytes:
        """The protected header in base64url, with the dot that follows it (RFC 7515 section 7.1)."""
        header = self._headers.get(typ)
        if header is None:
            members = {"alg": self.algorithm, "kid": self.kid, "typ": typ}
            header = b64url(msgspec.json.encode(members)).encode() + b"."
            if len(self._headers) < _MAX_PREPARED_HEADERS:
                self._headers[typ] = header
        return header

    def __repr__(self) -> str:
        return f"SigningKey({self.kid}, {self.algorithm})"


class VerificationKey(msgspec.Struct, frozen=True):
    """The public half of a key."""

    kid: str
    algorithm: str
    verify: Verify
    """Takes the raw signature and the signing input."""
    jwk: dict[str, str]
    """The public members as they stand in the JWKS."""
    removed_at: float | None
    entry: KeyEntry
    """The key's entry in the document, for its timestamps."""


class KeyRing:
    """All keys of one document. Build it with :func:`build_ring`."""

    __slots__ = ("_signing", "_transitions", "_verification", "algorithms", "document")

    def __init__(
        self, document: RingDocument, verification: dict[str, VerificationKey], signing: dict[str, SigningKey]
    ) -> None:
        self.document = document
        self._verification = verification
        spans: dict[str, list[tuple[float, float, SigningKey]]] = {}
        for entry in document.keys:
            if entry.kid in signing and entry.signs_from is not None:
                until = entry.retires_at if entry.retires_at is not None else float("inf")
                spans.setdefault(entry.algorithm, []).append((entry.signs_from, until, signing[entry.kid]))
        self._signing = {
            algorithm: tuple(sorted(of, key=lambda span: span[0], reverse=True)) for algorithm, of in spans.items()
        }
        self.algorithms: tuple[str, ...] = tuple(sorted({v.algorithm for v in verification.values()}))
        """Algorithms with at least one key in the ring, sorted."""
        self._transitions = sorted(
            at
            for v in verification.values()
            for at in (v.entry.signs_from, v.entry.retires_at, v.entry.removed_at)
            if at is not None
        )

    @property
    def revision(self) -> int:
        return self.document.revision

    def signing_key(self, algorithm: str, now: float) -> SigningKey:
        """The key that signs at ``now``. Raises NoSigningKey."""
        for begins, ends, key in self._signing.get(algorithm, ()):
            if begins <= now < ends:
                return key
        raise NoSigningKey(algorithm)

    def verification_key(self, kid: str, now: float) -> VerificationKey | None:
        """The key of that name, if it still verifies at ``now``."""
        key = self._verification.get(kid)
        if key is None or (key.removed_at is not None and key.removed_at <= now):
            return None
        return key

    def published(self, now: float) -> tuple[VerificationKey, ...]:
        """The keys of the JWKS at ``now``: the same in the same order on every replica."""
        return tuple(k for k in self._verification.values() if k.removed_at is None or now < k.removed_at)

    def next_transition(self, now: float) -> float | None:
        """The next instant after ``now`` at which a key changes its state; None if none is scheduled."""
        return next((at for at in self._transitions if at > now), None)

    def __repr__(self) -> str:
        return f"KeyRing(revision {self.revision}, {len(self.document.keys)} keys)"


EMPTY_RING = KeyRing(RingDocument(), {}, {})
"""What a process holds until it has read its first ring: it signs and verifies nothing."""


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
