"""The return from memory to the shared store: every record moves once, and revocation wins.

Rules:
- While it is under way a token is in memory or in the shared store, and whoever asks is told by the one that has it.
- New tokens go to the shared store alone. Memory does not speak for a token any more from the moment at which it is
  sent to the shared store, and forgets it as soon as it is known to have arrived. What was sent and not confirmed is
  sent again, before anybody is told of it; the shared store takes it once, so that a revocation there stands.
- Revocations go to both. Those made before are carried out before any record moves, and all of them once more after
  the last has moved: a record that was on its way while its token was revoked does not survive.
- Everything may be done again: if the shared store is lost meanwhile, the return starts anew later.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from itertools import islice
from typing import Protocol, TypeVar

from app.model.tokens import AccessTokenRecord, RefreshTokenRecord, TokenKind, TokenRef
from app.storage.deferred import Wish
from app.storage.degraded import DegradedMemory
from app.storage.epochs import Epoch, EpochsWatcher
from app.storage.interface import (
    UNKNOWN,
    Issuance,
    IssuedFacts,
    Rotation,
    StoreUnavailable,
    TokenStore,
    Unknown,
)

SLICE = 100
"""Records that move at a time: the requests of the same moment wait for no more than these."""

T = TypeVar("T")


class ReturningStore(TokenStore, Protocol):
    """A shared store that can take back what was kept elsewhere."""

    @property
    def is_connected(self) -> bool:
        """Whether it can be asked now."""

    async def restore_access_token(self, ref: TokenRef, record: AccessTokenRecord) -> None:
        """Remember an access token if it is absent and its family is not revoked; once, even if it is absent later."""

    async def restore_refresh_token(self, ref: TokenRef, record: RefreshTokenRecord) -> None:
        """Remember a refresh token if its family is not revoked, and it is absent or ``record`` is used."""


class Handover:
    """A :class:`~app.storage.interface.TokenStore` over both, and the moving from one to the other."""

    kind = "memory"
    degraded = True
    reached = True

    def __init__(self, memory: DegradedMemory, shared: ReturningStore) -> None:
        self._memory = memory
        self._shared = shared

    async def move_everything(self) -> None:
        """Leave nothing in memory. Raises StoreError if the shared store is lost meanwhile."""
        await self._carry_out_revocations()
        await self._carry_out_deferred()
        for values in _slices(self._memory.memory.one_time_values()):
            await _all(self._shared.remember_once(digest, until) for digest, until in values)
        for refresh in self._memory.memory.refresh_records():
            for some in _slices(refresh):
                await _all(self._move_refresh(digest, record) for digest, record in some)
        for access in self._memory.memory.access_records():
            for others in _slices(access):
                await _all(self._move_access(digest, record) for digest, record in others)
        await self._carry_out_revocations()

    async def open(self) -> None:
        """Nothing: both are open."""

    async def close(self) -> None:
        """Nothing: who opened both closes them."""

    async def save(self, issuance: Issuance) -> None:
        await self._shared.save(issuance)

    def save_at_once(self, issuance: Issuance) -> bool:
        return False

    def recall_access_token(self, ref: TokenRef) -> AccessTokenRecord | Unknown | None:
        return UNKNOWN

    async def find_access_token(self, ref: TokenRef) -> AccessTokenRecord | None:
        if self._memory.was_sent(ref.digest):
            record = await self._memory.memory.find_access_token(ref)
            if record is not None:
                await self._move_access(ref.digest, record)
        try:
            return await self._memory.find_access_token(ref)
        except StoreUnavailable:
            return await self._shared.find_access_token(ref)

    async def find_refresh_token(self, ref: TokenRef) -> RefreshTokenRecord | None:
        if self._memory.was_sent(ref.digest):
            record = await self._memory.memory.find_refresh_token(ref)
            if record is not None:
                await self._move_refresh(ref.digest, record)
        try:
            return await self._memory.find_refresh_token(ref)
        except StoreUnavailable:
            return await self._shared.find_refresh_token(ref)

    async def rotate(self, presented: TokenRef, used: RefreshTokenRecord, issuance: Issuance) -> Rotation:
        if self._memory.is_dead(presented.digest):
            return Rotation.GONE
        record = await self._memory.memory.find_refresh_token(presented)
        if record is not None:
            await self._move_refresh(presented.digest, record)
        return await self._shared.rotate(presented, used, issuance)

    async def revoke_access_token(self, ref: TokenRef) -> None:
        await self._memory.revoke_access_token(ref)
        await self._shared.revoke_access_token(ref)

    async def revoke_family(self, family: str, until: int) -> None:
        await self._memory.revoke_family(family, until)
        await self._shared.revoke_family(family, until)

    async def revoke_jwt(self, ref: TokenRef, until: int, client_id: str | None = None) -> None:
        await self._memory.revoke_jwt(ref, until, client_id)
        await self._shared.revoke_jwt(ref, until)

    async def revoke_before(self, epoch: Epoch) -> None:
        await self._memory.revoke_before(epoch)
        await self._shared.revoke_before(epoch)

    def watch_epochs(self, watcher: EpochsWatcher) -> None:
        self._memory.watch_epochs(watcher)
        self._shared.watch_epochs(watcher)

    async def is_jwt_revoked(self, ref: TokenRef, family: str | None, issued: IssuedFacts | None = None) -> bool:
        if await self._memory.memory.is_jwt_revoked(ref, family, issued):
            return True
        return await self._shared.is_jwt_revoked(ref, family, issued)

    async def defer_revocation(self, kind: TokenKind, ref: TokenRef, client_id: str) -> bool:
        return await self._shared.defer_revocation(kind, ref, client_id)

    async def remember_once(self, digest: bytes, until: int, client_id: str | None = None) -> bool:
        first_here = await self._memory.memory.remember_once(digest, until, client_id)
        return first_here and await self._shared.remember_once(digest, until)

    async def count_live_tokens(self) -> int:
        return await self._memory.count_live_tokens() + await self._shared.count_live_tokens()

    async def _carry_out_revocations(self) -> None:
        for epochs in _slices(self._memory.memory.epochs()):
            await _all(self._shared.revoke_before(epoch) for epoch in epochs)
        for families in _slices(self._memory.memory.revoked_families()):
            await _all(self._shared.revoke_family(family, until) for family, until in families)
        for jwts in _slices(self._memory.revoked_jwts()):
            await _all(self._shared.revoke_jwt(ref, until) for ref, until in jwts)
        for refs in _slices(self._memory.revoked_access_tokens()):
            await _all(self._shared.revoke_access_token(ref) for ref in refs)

    async def _carry_out_deferred(self) -> None:
        for wishes in _slices(self._memory.deferred.items()):
            await _all(self._carry_out(wish) for wish in wishes)
            for wish in wishes:
                self._memory.deferred.remove(wish)

    async def _carry_out(self, wish: Wish) -> None:
        """RFC 7009 section 2.1: a client revokes its own tokens alone."""
        kind, ref, client_id = wish
        if kind is TokenKind.ACCESS:
            access = await self._shared.find_access_token(ref)
            if access is not None and access.client_id == client_id:
                await self._shared.revoke_access_token(ref)
        elif kind is TokenKind.REFRESH:
            refresh = await self._shared.find_refresh_token(ref)
            if refresh is not None and refresh.client_id == client_id:
                await self._shared.revoke_family(refresh.family, refresh.family_expires_at)

    async def _move_refresh(self, digest: bytes, record: RefreshTokenRecord) -> None:
        self._memory.send(digest)
        await self._shared.restore_refresh_token(TokenRef(record.family[:4], digest), record)
        self._memory.forget(digest)

    async def _move_access(self, digest: bytes, record: AccessTokenRecord) -> None:
        self._memory.send(digest)
        tag = self._memory.tag_of(digest, record)
        if tag is not None:
            await self._shared.restore_access_token(TokenRef(tag, digest), record)
        self._memory.forget(digest)


def _slices(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, SLICE)):
        yield some


async def _all(steps: Iterable[Awaitable[object]]) -> None:
    """Take all steps, then raise the first error there was: none is left running behind a failed return."""
    for outcome in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
