"""JWT revocation marks and one-time values."""

import asyncio

import pytest

from app.storage.interface import TokenStore
from tests.conformance.backend import Backend
from tests.conformance.issued import new_family, new_ref

pytestmark = pytest.mark.anyio


async def test_a_revoked_jwt_is_revoked_on_every_replica(backend: Backend, store: TokenStore) -> None:
    revoked, bystander = new_ref(), new_ref()
    assert not await store.is_jwt_revoked(revoked, None)
    await store.revoke_jwt(revoked, int(backend.clock()) + 3600)
    for replica in (store, await backend.open_store()):
        assert await replica.is_jwt_revoked(revoked, None)
        assert await replica.is_jwt_revoked(revoked, new_family_of(revoked.tag))
        assert not await replica.is_jwt_revoked(bystander, None)


async def test_a_jwt_of_a_revoked_family_is_revoked(backend: Backend, store: TokenStore) -> None:
    family = new_family()
    jwt = new_ref(family[:4])
    assert not await store.is_jwt_revoked(jwt, family)
    await store.revoke_family(family, int(backend.clock()) + 3600)
    assert await store.is_jwt_revoked(jwt, family)
    assert not await store.is_jwt_revoked(jwt, new_family_of(jwt.tag))


async def test_a_shorter_revocation_does_not_shorten_a_longer_one(backend: Backend, store: TokenStore) -> None:
    now = int(backend.clock())
    jwt, family = new_ref(), new_family()
    await store.revoke_jwt(jwt, now + 3600)
    await store.revoke_jwt(jwt, now + 1)
    await store.revoke_family(family, now + 3600)
    await store.revoke_family(family, now + 1)
    backend.clock.advance(60)
    assert await store.is_jwt_revoked(jwt, None)
    assert await store.is_jwt_revoked(new_ref(family[:4]), family)


async def test_a_one_time_value_is_new_once(backend: Backend, store: TokenStore) -> None:
    digest, until = new_ref().digest, int(backend.clock()) + 300
    other = await backend.open_store()
    assert await store.remember_once(digest, until)
    assert not await store.remember_once(digest, until)
    assert not await other.remember_once(digest, until)
    assert await store.remember_once(new_ref().digest, until)


async def test_of_parallel_uses_of_a_one_time_value_exactly_one_is_the_first(
    backend: Backend, store: TokenStore
) -> None:
    digest, until = new_ref().digest, int(backend.clock()) + 300
    other = await backend.open_store()
    firsts = await asyncio.gather(*((store, other)[number % 2].remember_once(digest, until) for number in range(50)))
    assert sum(firsts) == 1


def new_family_of(tag: str) -> str:
    return tag + new_family()[4:]
