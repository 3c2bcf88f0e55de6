"""What every token store promises. The conformance suite (``tests/conformance``) proves it for each backend.

Rules:
- A store never sees a token, only its :class:`~app.model.tokens.TokenRef`.
- Not found is ``None``. A record past its ``expires_at`` is not found, whether or not it was cleaned up yet.
- Each method is one atomic step: another caller sees all of it or nothing.
- When a method returns, what it wrote is in force for every later call on any replica's store (a replica's read
  cache may lag within the bound that ``docs/reliability.md`` states).
- A store that cannot answer raises :class:`StoreUnavailable`; it never guesses.
- Everything it keeps has an end: no method writes what does not expire.
"""

from enum import Enum
from typing import Protocol

import msgspec

from app.model.tokens import AccessTokenRecord, RefreshTokenRecord, TokenKind, TokenRef
from app.storage.epochs import Epoch, EpochsWatcher


class StoreError(Exception):
    """A store could not do what was asked; the request is answered with 503 (RFC 9110 section 15.6.4)."""

    kind = "error"
    """The bounded label of ``store_errors_total``."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, is too slow, or has no room in its queue."""

    kind = "unavailable"


class StoreFull(StoreError):
    """The store holds as many tokens as it may."""

    kind = "full"


class ClientShareUsedUp(StoreFull):
    """There is room, but not for this client: it holds as much as one may while there is so little."""

    kind = "client_share"


class UnsupportedRecordVersion(StoreError):
    """A record was written by a release too new for this one: neither active nor inactive can be answered."""

    kind = "record_version"


class CorruptRecord(StoreError):
    """What lies in the store under a token's name is no record: neither active nor inactive can be answered."""

    kind = "corrupt_record"


class Issuance(msgspec.Struct, frozen=True):
    """What one token response must make durable before the tokens may leave."""

    access: tuple[TokenRef, AccessTokenRecord] | None = None
    """An opaque access token; None for a JWT, which is not stored."""
    refresh: tuple[TokenRef, RefreshTokenRecord] | None = None
    """A refresh token. Where both are given they name the same family."""
    jwt_expires_at: int | None = None
    """Unix seconds: the end of the JWT that leaves beside the refresh token; None where none does.

    Without an opaque access token and without this, a JWT is taken to live as long as the family.
    """


class IssuedFacts(msgspec.Struct, frozen=True, gc=False):
    """What a JWT says of its own origin, for the rules that end many tokens at once."""

    client_id: str
    subject: str
    issued_at: int
    """Unix seconds."""
    key_id: str | None = None
    """The ``kid`` that signed it."""


class Rotation(Enum):
    """How an attempt to use a refresh token ended."""

    ROTATED = "rotated"
    ALREADY_USED = "already_used"
    GONE = "gone"
    """The token expired or its family was revoked meanwhile."""


class Unknown(Enum):
    """What a store knows of a token without asking anybody, where that is nothing."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN


class TokenStore(Protocol):
    """The shared memory of the service."""

    @property
    def kind(self) -> str:
        """``memory`` or ``redis``: the bounded label of the store's metrics."""

    @property
    def degraded(self) -> bool:
        """Whether memory stands in for a Redis that is away."""

    @property
    def reached(self) -> bool:
        """Whether the store has been reached once; a later loss does not change it."""

    async def open(self) -> None:
        """Start what the store runs in the background. Raises StoreUnavailable if it cannot be reached."""

    async def close(self) -> None:
        """Flush what is pending, then stop and release everything."""

    async def save(self, issuance: Issuance) -> None:
        """Remember new tokens: all of them or none.

        An access token with a family becomes a member of that family and dies with it; where the family was revoked
        already, the tokens are dead from the start.
        Raises StoreFull or StoreUnavailable; the tokens must then not leave the service.
        """

    def save_at_once(self, issuance: Issuance) -> bool:
        """:meth:`save`, where the store need not wait for anything; False, and nothing was done, where it must.

        Raises StoreFull like it.
        """

    def recall_access_token(self, ref: TokenRef) -> AccessTokenRecord | Unknown | None:
        """What :meth:`find_access_token` would say, where that can be said without waiting; else UNKNOWN."""

    async def find_access_token(self, ref: TokenRef) -> AccessTokenRecord | None:
        """The record of a live opaque access token; None for expired, revoked and unknown ones alike."""

    async def find_refresh_token(self, ref: TokenRef) -> RefreshTokenRecord | None:
        """The record of a refresh token of a live family, used or not; None for all others."""

    async def rotate(self, presented: TokenRef, used: RefreshTokenRecord, issuance: Issuance) -> Rotation:
        """Use up the presented refresh token and remember its successors, in one step.

        ``used`` is the presented token's record with ``used_at`` set. Of any number of concurrent rotations of one
        token exactly one gets ROTATED and only its issuance is remembered; the others write nothing.
        """

    async def revoke_access_token(self, ref: TokenRef) -> None:
        """End one opaque access token. Unknown tokens are fine (RFC 7009 section 2.2)."""

    async def revoke_family(self, family: str, until: int) -> None:
        """End a family: its refresh tokens, its opaque access tokens, and its JWTs by a mark.

        The mark is kept until ``until`` (Unix seconds), the end of the family's possible life. A store that alone has
        issued everything of a family keeps it only until the last access token of the family would have ended. One
        that several replicas share keeps it for all of the time: a replica that was cut off may bring refresh tokens
        of the family back at any time until then, and the mark is what refuses them.
        Raises StoreFull where there is no room for the mark.
        """

    async def revoke_jwt(self, ref: TokenRef, until: int, client_id: str | None = None) -> None:
        """Mark one JWT as revoked until ``until``, its own expiry (Unix seconds).

        ``client_id``: whose share of the room for marks it takes; None for an operator's. Raises StoreFull where there
        is no room.
        """

    async def revoke_before(self, epoch: Epoch) -> None:
        """End every token of a scope that was issued before an instant, refresh tokens and JWTs included.

        JWTs are known by the ``issued`` facts of :meth:`is_jwt_revoked`. Raises StoreFull beyond ``MAX_EPOCHS``.
        """

    def watch_epochs(self, watcher: EpochsWatcher) -> None:
        """Call ``watcher`` with the epochs in force as this process knows them: now, and whenever they change.

        Another replica's epoch is told within a second and the time that a revocation takes to be seen.
        """

    async def is_jwt_revoked(self, ref: TokenRef, family: str | None, issued: IssuedFacts | None = None) -> bool:
        """Whether the JWT itself or its family is marked as revoked. One round trip.

        ``issued`` lets the store also say True for JWTs whose marks it may have lost, and raise StoreUnavailable for
        those whose marks lie in a Redis that is away; None asks for the marks alone.
        """

    async def defer_revocation(self, kind: TokenKind, ref: TokenRef, client_id: str) -> bool:
        """Keep a client's wish to revoke an opaque token that cannot be read now (``find_…`` raised StoreUnavailable).

        True: it is kept, and carried out as soon as the token can be read, if the client owns the token (and for a
        refresh token with its whole family); until then the token stays unreadable, neither active nor inactive.
        False: this store cannot promise that, and the caller answers with the outage. Raises StoreFull where there is
        no room.
        """

    async def remember_once(self, digest: bytes, until: int, client_id: str | None = None) -> bool:
        """Remember a one-time value until ``until`` (Unix seconds): True the first time, False for every repeat.

        For the ``jti`` of client assertions (RFC 7523 section 3). ``digest`` is 32 bytes that name the value,
        ``client_id`` says whose share of the room it takes. Raises StoreFull where there is no room.
        """

    async def count_live_tokens(self) -> int:
        """How many access tokens are alive, within a few seconds of the truth.

        In memory exact, but that tokens of an ended epoch, and of a family that is too large to be dropped in one step,
        count until they are dropped.
        """
