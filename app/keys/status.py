"""What operators see of the ring: rows for ``/admin/stats``, metrics and ``auth-service keys list``."""

import msgspec

from app.keys.document import KeyEntry, RingDocument
from app.keys.ring import KeyState, state_of


class KeyStatus(msgspec.Struct, frozen=True):
    """One key without its material; times in Unix seconds, None where nothing is scheduled."""

    kid: str
    algorithm: str
    state: KeyState
    created_at: float
    signs_from: float | None
    retires_at: float | None
    removed_at: float | None
    revoked_at: float | None
    revoked_reason: str | None
    age_seconds: float
    sealed: bool
    """Whether the private part in the document is sealed."""


def key_status(document: RingDocument, now: float) -> tuple[KeyStatus, ...]:
    """All keys of the document, by algorithm and in the order in which they sign."""
    return tuple(
        KeyStatus(
            entry.kid,
            entry.algorithm,
            state_of(entry, now),
            entry.created_at,
            entry.signs_from,
            entry.retires_at,
            entry.removed_at,
            entry.revoked_at,
            entry.revoked_reason,
            max(0.0, now - entry.created_at),
            entry.private is not None and entry.private.sealed is not None,
        )
        for entry in sorted(document.keys, key=_in_order)
    )


def _in_order(entry: KeyEntry) -> tuple[str, float, float, str]:
    begins = entry.signs_from if entry.signs_from is not None else float("inf")
    return entry.algorithm, begins, entry.created_at, entry.kid
