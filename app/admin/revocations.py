"""Ending many tokens at an operator's word: by list, by client, by subject, or everything before an instant.

Rules:
- What is answered with success is in force here, and on every other replica within the bound of the store.
- Each token of a list that is ended is told to the audit by itself. Where much waits there already the list waits with
  it, but not for long: tokens are to end, whatever becomes of what is told.
- A list goes in slices that leave room for the requests of the same moment, one list at a time. It may be sent again:
  revoking twice is revoking once.
- All tokens of a client or a subject are one epoch (:mod:`app.storage.epochs`): no token is visited, and JWTs and
  refresh tokens end with the rest.
- Times may lie in the future by no more than clocks may differ: what is issued until then would be dead at birth.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec

from app.endpoints.signed_tokens import SignedTokens
from app.model.tokens import TokenKind
from app.protocol.instant import parse_instant
from app.protocol.opaque_token import jti_ref, token_kind, token_ref
from app.storage.bulk import in_slices
from app.storage.epochs import Epoch, RevocationScope
from app.storage.interface import StoreError, TokenStore

logger = logging.getLogger("app.admin")

AUDIT_PATIENCE_SECONDS = 5.0
"""How long a list waits, all in all, for an audit that is behind."""
_LOOK_AGAIN_SECONDS = 0.05
MAX_LISTED = 100_000
"""Tokens of one request: some seconds of work, and 7 MB of opaque tokens."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Reason = Annotated[str, msgspec.Meta(max_length=200)]
"""For the audit."""
_Time = str | int | float


class ListOfTokens(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /admin/revocations/tokens``."""

    tokens: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_LISTED)]
    """Access tokens of both forms and refresh tokens, in any order."""
    reason: _Reason = ""


class OfClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /admin/revocations/client``."""

    client_id: _Name
    before: _Time | None = None
    """RFC 3339 or Unix seconds; None for everything that was issued until now."""
    reason: _Reason = ""


class OfSubject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /admin/revocations/subject``."""

    subject: _Name
    before: _Time | None = None
    reason: _Reason = ""


class BeforeInstant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /admin/revocations/before``: everything, whoever it was issued to."""

    before: _Time
    reason: _Reason = ""


class Refused(Exception):
    """What was asked cannot be meant; the message says why and what is allowed."""

    def __init__(self, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.status = status


class Listed(msgspec.Struct, frozen=True):
    """What a list came to."""

    access_tokens: int
    """Opaque access tokens that are dead now, those included that were dead before."""
    jwts: int
    refresh_tokens: int
    """Refresh tokens whose families ended."""
    unknown: int
    """What is no live token of this service: expired and revoked refresh tokens and JWTs, and all else."""


class Interrupted(Exception):
    """The store failed in the middle of a list."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__(
            f"the token store failed after {done} of {total} tokens; those are revoked, send the list again"
        )


class InForce(msgspec.Struct, frozen=True):
    """An epoch, as operators see it."""

    scope: RevocationScope
    value: str
    before: int
    """Unix seconds: what was issued earlier is refused."""
    kept_until: int
    """Unix seconds: nothing issued before can live any more then."""
    everywhere_within_seconds: float


class BulkRevocation:
    """Carries out what operators ask."""

    def __init__(
        self,
        store: TokenStore,
        signed_tokens: SignedTokens,
        *,
        longest_life_seconds: int,
        skew_seconds: float,
        staleness_seconds: float,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        audit_is_crowded: Callable[[], bool] = lambda: False,
        audit_patience_seconds: float = AUDIT_PATIENCE_SECONDS,
    ) -> None:
        """No token lives longer than ``longest_life_seconds``; ``staleness_seconds`` is the bound of the store."""
        self._audit_is_crowded = audit_is_crowded
        self._audit_looks = round(audit_patience_seconds / _LOOK_AGAIN_SECONDS)
        self._store = store
        self._signed_tokens = signed_tokens
        self._longest_life_seconds = longest_life_seconds
        self._skew_seconds = skew_seconds
        self._staleness_seconds = staleness_seconds
        self._now = now
        self._monotonic = monotonic
        self._one_list = asyncio.Lock()
        self._known: tuple[Epoch, ...] = ()
        store.watch_epochs(self._learn)

    async def listed(self, tokens: Sequence[str], on_ended: Callable[[str], None] = lambda _token: None) -> Listed:
        """End these tokens; ``on_ended`` is told each that is. Raises Interrupted."""
        ended: Counter[str] = Counter()

        async def end(token: str) -> str:
            what = await self._end(token)
            if what != "unknown":
                on_ended(token)
            return what

        looks = self._audit_looks
        async with self._one_list:
            try:
                async for kinds in in_slices(end, tokens, self._monotonic):
                    ended.update(kinds)
                    while looks and self._audit_is_crowded():
                        looks -= 1
                        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            except StoreError as error:
                logger.warning("a list of tokens was not revoked to its end: %s", error)
                raise Interrupted(ended.total(), len(tokens)) from None
        return Listed(ended["access"], ended["jwt"], ended["refresh"], ended["unknown"])

    async def all_before(self, scope: RevocationScope, value: str, before: _Time | None) -> InForce:
        """End everything of a scope issued before an instant. Raises Refused and StoreError."""
        now = self._now()
        # What was issued within this very second cannot be told apart: it ends too.
        instant = math.floor(now) + 1 if before is None else _instant(before)
        if instant > now + max(self._skew_seconds, 1):
            raise Refused("before lies in the future: tokens that are issued until then would be refused")
        epoch = Epoch(scope, value, instant, math.ceil(now) + self._longest_life_seconds)
        await self._store.revoke_before(epoch)
        return self._shown(epoch)

    def in_force(self) -> list[InForce]:
        """Every epoch that this process knows of and that has not ended."""
        now = self._now()
        return [self._shown(epoch) for epoch in self._known if epoch.until > now]

    def _shown(self, epoch: Epoch) -> InForce:
        return InForce(epoch.scope, epoch.value, epoch.before, epoch.until, self._staleness_seconds)

    def _learn(self, epochs: tuple[Epoch, ...]) -> None:
        self._known = epochs

    async def _end(self, token: str) -> str:
        """Revoke one token; what it was."""
        kind = token_kind(token)
        if kind is TokenKind.ACCESS:
            await self._store.revoke_access_token(token_ref(token))
            return "access"
        if kind is TokenKind.REFRESH:
            record = await self._store.find_refresh_token(token_ref(token))
            if record is None:
                return "unknown"
            await self._store.revoke_family(record.family, record.family_expires_at)
            return "refresh"
        signed = None if kind is not None else self._signed_tokens.verify_access_token(token, self._now())
        if signed is None:
            return "unknown"
        await self._store.revoke_jwt(jti_ref(signed.claims.jti), signed.claims.exp)
        return "jwt"


def _instant(given: _Time) -> int:
    """Raises Refused."""
    try:
        return parse_instant(f"{given:.9f}".rstrip("0").rstrip(".") if isinstance(given, float) else str(given))
    except ValueError as error:
        raise Refused(f"before {error}") from None
