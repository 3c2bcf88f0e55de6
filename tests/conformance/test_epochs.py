"""Ending many tokens at once: by client, by subject, by key, and everything before an instant."""

import asyncio

import msgspec
import pytest

from app.model.tokens import TokenRef
from app.storage.epochs import Epoch, RevocationScope, end_of_key
from app.storage.interface import Issuance, IssuedFacts, Rotation, TokenStore
from tests.conformance.backend import Backend
from tests.conformance.issued import Grant, access_record, new_grant, new_ref

pytestmark = pytest.mark.anyio

CLIENT, SUBJECT, KEY = RevocationScope.CLIENT, RevocationScope.SUBJECT, RevocationScope.KEY
EVERYTHING = RevocationScope.EVERYTHING


async def is_alive(store: TokenStore, grant: Grant) -> tuple[bool, bool]:
    return (
        await store.find_access_token(grant.access) is not None,
        await store.find_refresh_token(grant.refresh) is not None,
    )


@pytest.mark.parametrize(
    ("scope", "value", "ends"),
    [
        (CLIENT, "billing", True),
        (CLIENT, "another", False),
        (CLIENT, "user-1", False),
        (SUBJECT, "user-1", True),
        (SUBJECT, "billing", False),
        (KEY, "kid-1", False),
        (EVERYTHING, "", True),
    ],
)
async def test_an_epoch_ends_the_stored_tokens_of_its_scope(
    scope: RevocationScope, value: str, ends: bool, backend: Backend, store: TokenStore
) -> None:
    now = int(backend.clock())
    grant = new_grant(now - 10)
    await store.save(grant.issuance)
    other = await backend.open_store()
    assert await is_alive(other, grant) == (True, True)
    await store.revoke_before(Epoch(scope, value, now, now + 3600))
    for replica in (store, await backend.open_store()):
        assert await is_alive(replica, grant) == (not ends, not ends)
        successor = new_grant(now, family=grant.family)
        if ends:
            assert await replica.rotate(grant.refresh, grant.used(now), successor.issuance) is Rotation.GONE


@pytest.mark.parametrize(
    ("scope", "value", "ends"),
    [
        (CLIENT, "billing", True),
        (SUBJECT, "user-1", True),
        (SUBJECT, "user-2", False),
        (KEY, "kid-1", True),
        (KEY, "kid-2", False),
        (EVERYTHING, "", True),
    ],
)
async def test_an_epoch_ends_the_jwts_of_its_scope(
    scope: RevocationScope, value: str, ends: bool, backend: Backend, store: TokenStore
) -> None:
    now = int(backend.clock())
    jwt, issued = new_ref(), IssuedFacts("billing", "user-1", now, "kid-1")
    assert not await store.is_jwt_revoked(jwt, None, issued)
    await store.revoke_before(Epoch(scope, value, now + 1, now + 3600))
    for replica in (store, await backend.open_store()):
        assert await replica.is_jwt_revoked(jwt, None, issued) == ends
        later = msgspec.structs.replace(issued, issued_at=now + 1)
        # Whoever holds a leaked key writes any time into what it signs.
        assert await replica.is_jwt_revoked(jwt, None, later) == (ends and scope is KEY)


async def test_what_is_issued_from_that_second_on_lives(backend: Backend, store: TokenStore) -> None:
    now = int(backend.clock())
    before, after = new_grant(now - 1), new_grant(now)
    await store.save(before.issuance)
    await store.save(after.issuance)
    await store.revoke_before(Epoch(EVERYTHING, "", now, now + 3600))
    assert await is_alive(store, before) == (False, False)
    assert await is_alive(store, after) == (True, True)


async def test_an_epoch_is_not_moved_back(backend: Backend, store: TokenStore) -> None:
    now = int(backend.clock())
    grant = new_grant(now - 10)
    await store.save(grant.issuance)
    await store.revoke_before(Epoch(CLIENT, "billing", now, now + 3600))
    await store.revoke_before(Epoch(CLIENT, "billing", now - 100, now + 60))
    for replica in (store, await backend.open_store()):
        assert await is_alive(replica, grant) == (False, False)


async def test_many_epochs_stand_side_by_side(backend: Backend, store: TokenStore) -> None:
    now = int(backend.clock())
    refs: list[TokenRef] = []
    for number in range(30):
        record = msgspec.structs.replace(access_record(now - 10), client_id=f"client {number}")
        refs.append(new_ref())
        await store.save(Issuance(access=(refs[-1], record)))
    other = await backend.open_store()
    for number in range(0, 30, 2):
        await (store, other)[number % 4 // 2].revoke_before(Epoch(CLIENT, f"client {number}", now, now + 3600))
    for replica in (store, other, await backend.open_store()):
        if replica is other:
            continue  # its copy may lag by a moment
        alive = [await replica.find_access_token(ref) is not None for ref in refs]
        assert alive == [number % 2 == 1 for number in range(30)]


async def test_who_watches_is_told_what_is_in_force_and_every_change(backend: Backend, store: TokenStore) -> None:
    now = int(backend.clock())
    first, second = end_of_key("kid-1", now + 3600), Epoch(CLIENT, "billing", now, now + 3600)
    await store.revoke_before(first)
    other = await backend.open_store()
    told: list[set[Epoch]] = []
    changed = asyncio.Event()

    def watch(epochs: tuple[Epoch, ...]) -> None:
        told.append(set(epochs))
        changed.set()

    other.watch_epochs(watch)
    assert len(told) == 1
    await store.revoke_before(second)
    async with asyncio.timeout(5):
        while told[-1] != {first, second}:
            changed.clear()
            await changed.wait()
    seen = len(told)
    await store.revoke_before(second)
    await other.find_access_token(new_ref())
    assert len(told) == seen
