"""The JWK set document (RFC 7517 section 5) as prebuilt bytes.

Rules: public members only, taken from the public key, never from the document's text; the same bytes and the same
ETag on every replica that reads the same ring.
"""

import hashlib

import msgspec

from app.keys.jwk import b64url
from app.keys.ring import KeyRing


class JwksDocument(msgspec.Struct, frozen=True):
    """One rendering of the set."""

    body: bytes
    etag: bytes
    """A strong entity tag, quotes included (RFC 9110 section 8.8.3)."""
    valid_until: float | None
    """Unix seconds from which the set has fewer keys; None if no removal is scheduled."""


def jwks_document(ring: KeyRing, now: float) -> JwksDocument:
    """The set at ``now``: every key that may have signed a live token, and every key that may sign soon."""
    keys = ring.published(now)
    body = msgspec.json.encode({"keys": [key.jwk for key in keys]})
    etag = f'"{b64url(hashlib.sha256(body).digest()[:15])}"'.encode()
    removals = [key.removed_at for key in keys if key.removed_at is not None]
    return JwksDocument(body, etag, min(removals, default=None))
