"""The ring that a process holds: one immutable reference, its JWKS, and what the process knows beyond the document.

Rules:
- A ring that works is never given up for a document that does not.
- A kid that this process once saw revoked stays revoked for it, even if an older document comes back.
"""

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from app.keys.document import RingDocument
from app.keys.errors import NoSigningKey
from app.keys.intervention import plan_revocation
from app.keys.jwks import JwksDocument, jwks_document
from app.keys.loading import build_ring
from app.keys.policy import RotationPolicy
from app.keys.ring import EMPTY_RING, KeyRing
from app.keys.sealing import KeyEncryption

MAX_REVOKED = 1000
"""Kids remembered as revoked, the latest ones; a ring has a handful of keys."""


class HeldRing:
    """Use it from one event loop; ``adopt`` and ``revoke`` never run at the same time."""

    def __init__(self, policy: RotationPolicy, kek: KeyEncryption | None, clock: Callable[[], float]) -> None:
        self.ring: KeyRing = EMPTY_RING
        self._policy = policy
        self._kek = kek
        self._clock = clock
        self._jwks: JwksDocument = jwks_document(EMPTY_RING, 0)
        self._revoked: dict[str, None] = {}
        self._callbacks: list[Callable[[], None]] = []

    @property
    def present(self) -> bool:
        """Whether a ring was ever adopted."""
        return self.ring is not EMPTY_RING

    @property
    def jwks_valid_until(self) -> float | None:
        """Unix seconds from which the JWKS has a key less."""
        return self._jwks.valid_until

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def can_sign(self) -> bool:
        """Whether every configured algorithm can sign now."""
        now = self._clock()
        try:
            for algorithm in self._policy.algorithms:
                self.ring.signing_key(algorithm, now)
        except NoSigningKey:
            return False
        return True

    def jwks(self, now: float) -> JwksDocument:
        """The JWK set: prebuilt, built anew when a key's time in it ends."""
        held = self._jwks
        if held.valid_until is not None and now >= held.valid_until:
            held = self._jwks = jwks_document(self.ring, now)
            self._notify()
        return held

    async def adopt(self, document: RingDocument) -> None:
        """Use a document from now on. Raises RingDocumentError, and then nothing has changed."""
        now = self._clock()
        ring = await asyncio.to_thread(build_ring, self._overruled(document, now), self._kek)
        self.note_revoked(k.kid for k in document.keys if k.revoked_at is not None)
        self.ring, self._jwks = ring, jwks_document(ring, now)
        self._notify()

    async def revoke(self, kids: Iterable[str]) -> None:
        """Treat keys as revoked from now on: their successors sign at once, and the JWKS loses them."""
        unheard = [kid for kid in kids if kid not in self._revoked]
        self.note_revoked(unheard)
        if self.present and any(self.ring.document.find(kid) for kid in unheard):
            await self.adopt(self.ring.document)

    def note_revoked(self, kids: Iterable[str]) -> None:
        """Remember kids for the documents to come."""
        for kid in kids:
            self._revoked[kid] = None
        while len(self._revoked) > MAX_REVOKED:
            del self._revoked[next(iter(self._revoked))]

    def _overruled(self, document: RingDocument, now: float) -> RingDocument:
        """The document with the revocations that it does not know of yet."""
        late = frozenset(k.kid for k in document.keys if k.revoked_at is None and k.kid in self._revoked)
        if not late:
            return document
        changed = {k.kid: k for k in plan_revocation(document, late, "revoked elsewhere", now, self._policy).changed}
        return msgspec.structs.replace(document, keys=tuple(changed.get(k.kid, k) for k in document.keys))

    def _notify(self) -> None:
        for callback in self._callbacks:
            callback()
