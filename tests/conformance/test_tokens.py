"""Saving, finding, expiring and revoking: what every store promises of single tokens."""

import pytest

from app.storage.interface import Issuance, TokenStore
from tests.conformance.backend import Backend
from tests.conformance.issued import access_record, new_family, new_grant, new_ref, refresh_record

pytestmark = pytest.mark.anyio


async def test_what_was_saved_is_found_by_every_replica(backend: Backend, store: TokenStore) -> None:
    grant = new_grant(backend.clock())
    await store.save(grant.issuance)
    for replica in (store, await backend.open_store()):
        assert await replica.find_access_token(grant.access) == grant.access_record
        assert await replica.find_refresh_token(grant.refresh) == grant.refresh_record


async def test_unknown_tokens_are_not_found(store: TokenStore) -> None:
    assert await store.find_access_token(new_ref()) is None
    assert await store.find_refresh_token(new_ref()) is None


async def test_an_access_token_is_no_refresh_token_and_the_reverse(backend: Backend, store: TokenStore) -> None:
    grant = new_grant(backend.clock())
    await store.save(grant.issuance)
    assert await store.find_refresh_token(grant.access) is None
    assert await store.find_access_token(grant.refresh) is None


async def test_an_issuance_may_be_one_token_alone(backend: Backend, store: TokenStore) -> None:
    now, family = backend.clock(), new_family()
    access, refresh = new_ref(), new_ref(family[:4])
    await store.save(Issuance(access=(access, access_record(now))))
    await store.save(Issuance(refresh=(refresh, refresh_record(now, family))))
    await store.save(Issuance())
    assert await store.find_access_token(access) is not None
    assert await store.find_refresh_token(refresh) is not None


async def test_a_token_is_dead_at_the_second_it_expires(backend: Backend, store: TokenStore) -> None:
    grant = new_grant(backend.clock(), access_seconds=60, refresh_seconds=120)
    await store.save(grant.issuance)
    backend.clock.ahead += 60 - (backend.clock() - int(grant.access_record.issued_at)) - 0.5
    assert await store.find_access_token(grant.access) is not None
    backend.clock.advance(0.5)
    assert await store.find_access_token(grant.access) is None
    assert await store.find_refresh_token(grant.refresh) is not None
    backend.clock.advance(60)
    assert await store.find_refresh_token(grant.refresh) is None


async def test_a_revoked_access_token_is_gone_and_nothing_else(backend: Backend, store: TokenStore) -> None:
    grant, bystander = new_grant(backend.clock()), new_grant(backend.clock())
    await store.save(grant.issuance)
    await store.save(bystander.issuance)
    await store.revoke_access_token(grant.access)
    for replica in (store, await backend.open_store()):
        assert await replica.find_access_token(grant.access) is None
        assert await replica.find_refresh_token(grant.refresh) is not None
        assert await replica.find_access_token(bystander.access) is not None


async def test_revoking_unknown_tokens_is_fine(backend: Backend, store: TokenStore) -> None:
    await store.revoke_access_token(new_ref())
    await store.revoke_family(new_family(), int(backend.clock()) + 60)
    await store.revoke_jwt(new_ref(), int(backend.clock()) + 60)


async def test_live_access_tokens_are_counted(backend: Backend, store: TokenStore) -> None:
    now = backend.clock()
    short, long, grant = new_ref(), new_ref(), new_grant(now, access_seconds=3600)
    await store.save(Issuance(access=(short, access_record(now, seconds=30))))
    await store.save(Issuance(access=(long, access_record(now, seconds=3600))))
    await store.save(grant.issuance)
    assert await store.count_live_tokens() == 3
    await store.revoke_access_token(long)
    await store.revoke_access_token(long)
    assert await store.count_live_tokens() == 2
    backend.clock.advance(40)
    assert await store.count_live_tokens() == 1
    await store.revoke_family(grant.family, int(now) + 60)
    assert await store.count_live_tokens() == 0


async def test_two_installations_do_not_see_each_other(backend: Backend, store: TokenStore) -> None:
    other = await backend.open_store(prefix=backend.prefix + "other:")
    now = backend.clock()
    grant, jwt, digest = new_grant(now), new_ref(), new_ref().digest
    await store.save(grant.issuance)
    await store.revoke_jwt(jwt, int(now) + 60)
    assert await store.remember_once(digest, int(now) + 60)
    assert await other.find_access_token(grant.access) is None
    assert await other.find_refresh_token(grant.refresh) is None
    assert not await other.is_jwt_revoked(jwt, None)
    assert await other.remember_once(digest, int(now) + 60)
    assert await other.count_live_tokens() == 0
    await other.revoke_family(grant.family, int(now) + 60)
    await other.revoke_access_token(grant.access)
    assert await store.find_access_token(grant.access) is not None
