"""What the service remembers of a token, and how a token is referred to without knowing it.

Records are what the store keeps: arrays (not maps) in msgpack, so that one costs about 150 bytes. Their first
field is the version of the record's form. Fields are only ever appended, with a default: version N then reads
what N-1 wrote (the default stands in) and what N+1 wrote (the surplus is ignored).
"""

from enum import StrEnum

import msgspec

RECORD_VERSION = 1
"""The form that this release writes. It reads forms up to ``RECORD_VERSION + 1``."""


class TokenKind(StrEnum):
    """The kinds of opaque token; the kind of a token is known from the token itself."""

    ACCESS = "access"
    REFRESH = "refresh"
    CODE = "code"


class TokenRef(msgspec.Struct, frozen=True, gc=False):
    """Where a token's record lies: derived from the token, and useless to whoever would like to present it."""

    tag: str
    """Four hexadecimal digits, the same for a token and its family: the Redis Cluster hash tag."""
    digest: bytes
    """SHA-256 of the opaque token (or of a JWT's ``jti``): 32 bytes."""


class AccessTokenRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An opaque access token as the store keeps it."""

    version: int
    client_id: str
    subject: str
    """The resource owner, or the client itself where no resource owner is involved (RFC 9068 section 2.2)."""
    scope: str
    """Scope tokens joined by single spaces; empty for none."""
    audience: tuple[str, ...]
    issued_at: int
    """Unix seconds."""
    expires_at: int
    """Unix seconds; the token is dead at this instant."""
    family: str | None = None
    """The family that dies with its refresh token; None where no refresh token was issued."""


class RefreshTokenRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A refresh token as the store keeps it, before and after its one use (RFC 9700 section 4.14.2)."""

    version: int
    client_id: str
    subject: str
    scope: str
    """The scope first granted: a refresh may narrow the access token, never widen it (RFC 6749 section 6)."""
    audience: tuple[str, ...]
    issued_at: int
    expires_at: int
    family: str
    family_expires_at: int
    """Unix seconds; no rotation extends a family past this instant."""
    used_at: int | None = None
    """Unix seconds of the rotation that used the token up; None while it may still be used."""
