"""Rotation and revocation of families: one winner, and revocation wins over everything."""

import asyncio

import msgspec
import pytest

from app.storage.interface import Issuance, Rotation, TokenStore
from tests.conformance.backend import Backend
from tests.conformance.issued import access_record, new_family, new_grant, new_ref

pytestmark = pytest.mark.anyio

PARALLEL = 50
MANY = 200
"""Rotations of a family that no backend drops in one step."""


async def test_a_rotation_uses_the_token_up_and_remembers_its_successors(backend: Backend, store: TokenStore) -> None:
    now = backend.clock()
    first = new_grant(now)
    second = new_grant(now, family=first.family)
    await store.save(first.issuance)
    assert await store.rotate(first.refresh, first.used(now), second.issuance) is Rotation.ROTATED
    for replica in (store, await backend.open_store()):
        assert await replica.find_refresh_token(first.refresh) == first.used(now)
        assert await replica.find_refresh_token(second.refresh) == second.refresh_record
        assert await replica.find_access_token(second.access) == second.access_record
        assert await replica.find_access_token(first.access) == first.access_record


async def test_a_used_token_is_not_rotated_again_and_nothing_is_written(backend: Backend, store: TokenStore) -> None:
    now = backend.clock()
    first = new_grant(now)
    second, third = new_grant(now, family=first.family), new_grant(now, family=first.family)
    await store.save(first.issuance)
    await store.rotate(first.refresh, first.used(now), second.issuance)
    assert await store.rotate(first.refresh, first.used(now + 5), third.issuance) is Rotation.ALREADY_USED
    assert await store.find_refresh_token(third.refresh) is None
    assert await store.find_access_token(third.access) is None
    assert await store.find_refresh_token(first.refresh) == first.used(now)


async def test_of_parallel_rotations_on_several_replicas_exactly_one_wins(backend: Backend, store: TokenStore) -> None:
    now = backend.clock()
    first = new_grant(now)
    await store.save(first.issuance)
    replicas = [store, await backend.open_store(), await backend.open_store()]
    rivals = [new_grant(now, family=first.family) for _ in range(PARALLEL)]
    outcomes = await asyncio.gather(
        *(
            replicas[number % len(replicas)].rotate(first.refresh, first.used(now), rival.issuance)
            for number, rival in enumerate(rivals)
        )
    )
    assert sorted(outcome.value for outcome in outcomes) == ["already_used"] * (PARALLEL - 1) + ["rotated"]
    for outcome, rival in zip(outcomes, rivals, strict=True):
        won = outcome is Rotation.ROTATED
        assert (await store.find_refresh_token(rival.refresh) is not None) == won
        assert (await store.find_access_token(rival.access) is not None) == won


async def test_an_unknown_or_expired_token_is_gone(backend: Backend, store: TokenStore) -> None:
    now = backend.clock()
    unknown, expired = new_grant(now), new_grant(now, refresh_seconds=60)
    successor = new_grant(now, family=expired.family)
    assert await store.rotate(unknown.refresh, unknown.used(now), unknown.issuance) is Rotation.GONE
    assert await store.find_access_token(unknown.access) is None
    await store.save(expired.issuance)
    backend.clock.advance(61)
    assert await store.rotate(expired.refresh, expired.used(now), successor.issuance) is Rotation.GONE
    assert await store.find_refresh_token(successor.refresh) is None


async def test_a_revoked_family_is_gone_whole(backend: Backend, store: TokenStore) -> None:
    now = backend.clock()
    first, bystander, lone = new_grant(now), new_grant(now), new_ref()
    second = new_grant(now, family=first.family)
    await store.save(first.issuance)
    await store.save(bystander.issuance)
    await store.save(Issuance(access=(lone, access_record(now))))
    await store.rotate(first.refresh, first.used(now), second.issuance)
    await store.revoke_family(first.family, int(now) + 3600)
    for replica in (store, await backend.open_store()):
        for grant in (first, second):
            assert await replica.find_refresh_token(grant.refresh) is None
            assert await replica.find_access_token(grant.access) is None
        assert await replica.is_jwt_revoked(new_ref(first.family[:4]), first.family)
        assert await replica.find_refresh_token(bystander.refresh) is not None
        assert await replica.find_access_token(lone) is not None


async def test_a_token_of_a_revoked_family_is_dead_from_the_start(backend: Backend, store: TokenStore) -> None:
    now = backend.clock()
    first = new_grant(now)
    late = new_grant(now, family=first.family)
    await store.save(first.issuance)
    await store.revoke_family(first.family, int(now) + 3600)
    assert await store.rotate(first.refresh, first.used(now), late.issuance) is Rotation.GONE
    await store.save(late.issuance)
    assert await store.find_refresh_token(late.refresh) is None
    assert await store.find_access_token(late.access) is None
    assert await store.count_live_tokens() == 0


async def test_a_revocation_beside_rotations_wins(backend: Backend, store: TokenStore) -> None:
    now = backend.clock()
    other = await backend.open_store()
    for _ in range(20):
        first = new_grant(now)
        rivals = [new_grant(now, family=first.family) for _ in range(5)]
        await store.save(first.issuance)
        await asyncio.gather(
            *(store.rotate(first.refresh, first.used(now), rival.issuance) for rival in rivals[:3]),
            other.revoke_family(first.family, int(now) + 3600),
            *(other.rotate(first.refresh, first.used(now), rival.issuance) for rival in rivals[3:]),
        )
        for grant in (first, *rivals):
            assert await store.find_refresh_token(grant.refresh) is None
            assert await store.find_access_token(grant.access) is None


async def test_a_family_outlives_many_rotations(backend: Backend, store: TokenStore) -> None:
    now = backend.clock()
    grants = [new_grant(now, family=new_family())]
    await store.save(grants[0].issuance)
    for _ in range(MANY):
        successor = new_grant(now, family=grants[0].family)
        assert await store.rotate(grants[-1].refresh, grants[-1].used(now), successor.issuance) is Rotation.ROTATED
        grants.append(successor)
    await store.revoke_family(grants[0].family, int(now) + 3600)
    for grant in grants:
        assert await store.find_access_token(grant.access) is None
        assert await store.find_refresh_token(grant.refresh) is None


async def test_a_record_written_by_the_next_release_is_rotated(backend: Backend, store: TokenStore) -> None:
    now = backend.clock()
    first = new_grant(now)
    newer = msgspec.structs.replace(first.refresh_record, version=first.refresh_record.version + 1)
    await store.save(Issuance(refresh=(first.refresh, newer)))
    second = new_grant(now, family=first.family)
    assert await store.rotate(first.refresh, first.used(now), second.issuance) is Rotation.ROTATED
    assert await store.rotate(first.refresh, first.used(now), second.issuance) is Rotation.ALREADY_USED


async def test_a_jwt_of_a_revoked_family_is_dead_for_as_long_as_it_could_live(
    backend: Backend, store: TokenStore
) -> None:
    now = backend.clock()
    first = new_grant(now)
    second = new_grant(now, family=first.family)
    of_jwt = Issuance(refresh=first.issuance.refresh, jwt_expires_at=int(now) + 7200)
    await store.save(of_jwt)
    # Its client was given a shorter life meanwhile: the JWT from before lives on.
    shorter = Issuance(refresh=second.issuance.refresh, jwt_expires_at=int(now) + 60)
    assert await store.rotate(first.refresh, first.used(now), shorter) is Rotation.ROTATED
    await store.revoke_family(first.family, first.refresh_record.family_expires_at)
    await store.revoke_family(first.family, first.refresh_record.family_expires_at)
    backend.clock.advance(7200 - 2)
    for replica in (store, await backend.open_store()):
        assert await replica.is_jwt_revoked(new_ref(first.family[:4]), first.family)


async def test_a_revoked_family_does_not_come_back_after_its_access_tokens_would_have_ended(
    backend: Backend, store: TokenStore
) -> None:
    now = backend.clock()
    first = new_grant(now, access_seconds=60)
    late = new_grant(now, family=first.family)
    await store.save(first.issuance)
    await store.revoke_family(first.family, first.refresh_record.family_expires_at)
    backend.clock.advance(120)
    for replica in (store, await backend.open_store()):
        assert await replica.rotate(first.refresh, first.used(now), late.issuance) is Rotation.GONE
        for grant in (first, late):
            assert await replica.find_refresh_token(grant.refresh) is None
            assert await replica.find_access_token(grant.access) is None
