"""The start without Redis: memory stands in, and hands everything over when Redis comes back.

Rules:
- Redis reachable at start: it is the store from then on, and no later loss of it brings memory in.
- Redis away at start: :class:`~app.storage.degraded.DegradedMemory` answers until Redis is back, then
  :class:`~app.storage.handover.Handover` moves everything, then Redis is the store: one switch, never back.
- What is lost is what dies with the process: SIGTERM waits for a return that can be finished.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from app.cancellation import end_tasks
from app.model.tokens import AccessTokenRecord, RefreshTokenRecord, TokenKind, TokenRef
from app.storage.degraded import DegradedMemory
from app.storage.epochs import Epoch, EpochsWatcher
from app.storage.handover import Handover, ReturningStore
from app.storage.interface import (
    Issuance,
    IssuedFacts,
    Rotation,
    StoreError,
    StoreUnavailable,
    TokenStore,
    Unknown,
)
from app.storage.memory import MemoryStore
from app.storage.observer import StoreObserver

LOOK_SECONDS = 0.2
"""How often it is looked whether Redis is back."""


class FallbackStore:
    """A :class:`~app.storage.interface.TokenStore` that is memory until Redis has been reached, then Redis."""

    def __init__(
        self,
        shared: ReturningStore,
        *,
        max_tokens: int,
        now: Callable[[], float],
        longest_token_seconds: int,
        longest_once_seconds: int,
        on_degraded: Callable[[str | None], None],
        return_seconds: float = 5.0,
        look_seconds: float = LOOK_SECONDS,
        observer: StoreObserver | None = None,
    ) -> None:
        """``on_degraded`` is told why memory steps in, and None when Redis is the store again.

        ``longest_token_seconds`` is how long the revocation of an unknown access token is kept, and
        ``longest_once_seconds`` how long before its end a one-time value can be used at the earliest;
        ``return_seconds`` is how long :meth:`close` waits for a return that gets on no more.
        """
        self._shared = shared
        self._max_tokens = max_tokens
        self._now = now
        self._longest_token_seconds = longest_token_seconds
        self._longest_once_seconds = longest_once_seconds
        self._on_degraded = on_degraded
        self._return_seconds = return_seconds
        self._look_seconds = look_seconds
        self._observer = observer
        self._memory: DegradedMemory | None = None
        self._current: TokenStore = shared
        self._returning: asyncio.Task[None] | None = None

    @property
    def shared(self) -> ReturningStore:
        """The shared store, whether it can be asked or not."""
        return self._shared

    @property
    def kind(self) -> str:
        """``memory`` while it stands in, else the shared store's kind."""
        return self._current.kind

    @property
    def degraded(self) -> bool:
        return self._memory is not None

    @property
    def reached(self) -> bool:
        return self._current.reached

    async def open(self) -> None:
        """Open the shared store, or memory in its place."""
        try:
            await self._shared.open()
        except StoreUnavailable as away:
            memory = MemoryStore(self._max_tokens, self._now, observer=self._observer)
            self._memory = DegradedMemory(
                memory, self._now, self._longest_token_seconds, self._longest_once_seconds, self._max_tokens
            )
            await self._memory.open()
            self._current = self._memory
            self._on_degraded(str(away))
            self._returning = asyncio.create_task(self._return(self._memory))

    async def close(self) -> None:
        """Finish a return that can be finished, then close both."""
        if self._returning is not None:
            await self._finish_return(self._returning)
            await end_tasks([self._returning])
            self._returning = None
        if self._memory is not None:
            await self._memory.close()
        await self._shared.close()

    async def _finish_return(self, returning: asyncio.Task[None]) -> None:
        """Wait for the return while Redis is there and memory gets emptier."""
        memory, left = self._memory, None
        while self._shared.is_connected and memory is not None:
            await asyncio.wait([returning], timeout=self._return_seconds)
            held = sum(memory.memory.held().values())
            if returning.done() or (left is not None and held >= left):
                return
            left = held

    async def _return(self, memory: DegradedMemory) -> None:
        """Wait for Redis, move everything, switch."""
        while True:
            if self._shared.is_connected:
                handover = Handover(memory, self._shared)
                self._current = handover
                try:
                    await handover.move_everything()
                except StoreError:
                    self._current = memory
                else:
                    self._current, self._memory = self._shared, None
                    self._on_degraded(None)
                    await memory.close()
                    return
            await asyncio.sleep(self._look_seconds)

    # Plain methods that hand on the coroutine: after the switch nothing stands between an endpoint and Redis.

    def save(self, issuance: Issuance) -> Coroutine[Any, Any, None]:
        return self._current.save(issuance)

    def save_at_once(self, issuance: Issuance) -> bool:
        return self._current.save_at_once(issuance)

    def recall_access_token(self, ref: TokenRef) -> AccessTokenRecord | Unknown | None:
        return self._current.recall_access_token(ref)

    def find_access_token(self, ref: TokenRef) -> Coroutine[Any, Any, AccessTokenRecord | None]:
        return self._current.find_access_token(ref)

    def find_refresh_token(self, ref: TokenRef) -> Coroutine[Any, Any, RefreshTokenRecord | None]:
        return self._current.find_refresh_token(ref)

    def rotate(
        self, presented: TokenRef, used: RefreshTokenRecord, issuance: Issuance
    ) -> Coroutine[Any, Any, Rotation]:
        return self._current.rotate(presented, used, issuance)

    def revoke_access_token(self, ref: TokenRef) -> Coroutine[Any, Any, None]:
        return self._current.revoke_access_token(ref)

    def revoke_family(self, family: str, until: int) -> Coroutine[Any, Any, None]:
        return self._current.revoke_family(family, until)

    def revoke_jwt(self, ref: TokenRef, until: int, client_id: str | None = None) -> Coroutine[Any, Any, None]:
        return self._current.revoke_jwt(ref, until, client_id)

    def revoke_before(self, epoch: Epoch) -> Coroutine[Any, Any, None]:
        return self._current.revoke_before(epoch)

    def watch_epochs(self, watcher: EpochsWatcher) -> None:
        if self._memory is not None:
            self._memory.watch_epochs(watcher)
        self._shared.watch_epochs(watcher)

    def is_jwt_revoked(
        self, ref: TokenRef, family: str | None, issued: IssuedFacts | None = None
    ) -> Coroutine[Any, Any, bool]:
        return self._current.is_jwt_revoked(ref, family, issued)

    def defer_revocation(self, kind: TokenKind, ref: TokenRef, client_id: str) -> Coroutine[Any, Any, bool]:
        return self._current.defer_revocation(kind, ref, client_id)

    def remember_once(self, digest: bytes, until: int, client_id: str | None = None) -> Coroutine[Any, Any, bool]:
        return self._current.remember_once(digest, until, client_id)

    def count_live_tokens(self) -> Coroutine[Any, Any, int]:
        return self._current.count_live_tokens()
