"""The key ring: an immutable view of a ring document, with everything prepared that a request needs.

Rules:
- States follow from the document's timestamps and ``now`` alone.
- PUBLISHED, SIGNING and RETIRED keys are in the JWKS and verify; REMOVED and REVOKED ones do neither. A PUBLISHED
  key verifies because a replica whose clock is ahead may sign with it already.
- Where two keys' signing times overlap, the one that began last signs.
"""

from enum import StrEnum

import msgspec

from app.keys.algorithms import PrivateKey, Sign, Verify, is_rsa, signer
from app.keys.document import KeyEntry, RingDocument
from app.keys.errors import NoSigningKey
from app.keys.jwk import b64url

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

    __slots__ = ("_headers", "algorithm", "is_slow", "key", "kid", "sign")

    def __init__(self, kid: str, algorithm: str, key: PrivateKey) -> None:
        self.kid = kid
        self.algorithm = algorithm
        self.key = key
        self.sign: Sign = signer(algorithm, key)
        self.is_slow = is_rsa(algorithm)
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
    """All keys of one document. Build it with :func:`app.keys.loading.build_ring`."""

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
