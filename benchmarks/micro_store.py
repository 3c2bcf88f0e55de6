"""The token store and scopes, beyond the steps of the usual request; and many requests at once on one loop."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop

from app import clock, randomness
from app.model.tokens import RECORD_VERSION, AccessTokenRecord, RefreshTokenRecord, TokenKind, TokenRef
from app.protocol.opaque_token import new_tag, new_token, token_ref
from app.protocol.scopes import grant_scope, narrow_scope
from app.storage.interface import Issuance, Rotation
from app.storage.memory import MemoryStore
from benchmarks.repetition import Work

T = TypeVar("T")
LIVE = 100_000
AT_ONCE = 100
_SECONDS = 3600
_MANY = tuple(f"service{number}:read" for number in range(100))


def run_now(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits. Raises RuntimeError if it does."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    coroutine.close()
    raise RuntimeError("the coroutine waits for something")


def store_works() -> dict[str, Work]:
    """Refresh tokens, revocations and a store with many tokens."""
    now = int(clock.unix_now())
    large = MemoryStore(10_000_000, clock.unix_now)
    access = AccessTokenRecord(
        RECORD_VERSION, "c", "c", "read write", ("https://api.example.com",), now, now + _SECONDS
    )
    refs = [_ref(TokenKind.ACCESS) for _ in range(LIVE)]
    for ref in refs:
        run_now(large.save(Issuance(access=(ref, access))))
    turn = itertools.cycle(refs[:: LIVE // 1000] + refs[1 :: LIVE // 1000]).__next__

    def issue_and_revoke() -> None:
        ref = _ref(TokenKind.ACCESS)
        run_now(large.save(Issuance(access=(ref, access))))
        run_now(large.revoke_access_token(ref))

    jwt = _ref(TokenKind.ACCESS)
    return {
        f"store: find one of {LIVE:,}": lambda: run_now(large.find_access_token(turn())),
        "store: save and revoke an access token": issue_and_revoke,
        "store: use a refresh token and save the next": _rotation(MemoryStore(10_000_000, clock.unix_now), now),
        "store: is a JWT revoked": lambda: run_now(large.is_jwt_revoked(jwt, "family")),
        "store: a slice of the sweep, nothing due": large.sweep,
    }


def _rotation(store: MemoryStore, now: int) -> Work:
    """One family whose newest refresh token is used at every call."""
    newest = _ref(TokenKind.REFRESH)
    fresh = RefreshTokenRecord(
        RECORD_VERSION, "c", "s", "read", ("https://api.example.com",), now, now + _SECONDS, "family", now + _SECONDS
    )
    used = RefreshTokenRecord(
        RECORD_VERSION, "c", "s", "read", fresh.audience, now, now + _SECONDS, "family", now + _SECONDS, now
    )
    run_now(store.save(Issuance(refresh=(newest, fresh))))

    def rotate() -> None:
        nonlocal newest
        following = _ref(TokenKind.REFRESH)
        if run_now(store.rotate(newest, used, Issuance(refresh=(following, fresh)))) is not Rotation.ROTATED:
            raise RuntimeError("the newest refresh token cannot be used")
        newest = following

    return rotate


def scope_works() -> dict[str, Work]:
    """A client that may have many scopes."""
    ten = " ".join(_MANY[::10])
    granted = " ".join(_MANY)
    return {
        "scopes: ten of a hundred allowed": lambda: grant_scope(ten, _MANY, None),
        "scopes: a hundred narrowed to ten": lambda: narrow_scope(ten, granted),
    }


def concurrent_works(ask: Callable[[], Coroutine[Any, Any, object]], name: str) -> dict[str, Work]:
    """So many requests that begin in the same tick of the loop which the service runs on; ``ask`` makes one."""
    loop = uvloop.new_event_loop()

    async def together() -> None:
        await asyncio.gather(*(ask() for _ in range(AT_ONCE)))

    return {f"concurrency: {AT_ONCE} requests at once, {name}": lambda: loop.run_until_complete(together())}


def _ref(kind: TokenKind) -> TokenRef:
    return token_ref(new_token(kind, new_tag(randomness.random_bytes), randomness.random_bytes))
