"""Memory in place of a Redis that is away says when it does not know."""

import asyncio

import msgspec
import pytest

from app.model.tokens import AccessTokenRecord, RefreshTokenRecord, TokenKind, TokenRef
from app.storage.degraded import DegradedMemory
from app.storage.handover import Handover
from app.storage.interface import ClientShareUsedUp, Issuance, Rotation, StoreFull, StoreUnavailable
from app.storage.memory import SWEEP_SLICE, MemoryStore
from tests.conformance.issued import Grant, access_record, new_grant, new_ref

START = 1_800_000_000
LONGEST_ONCE = 600


class Clock:
    def __init__(self) -> None:
        self.at = START + 0.5

    def __call__(self) -> float:
        return self.at


def new_memory(clock: Clock, max_marks: int = 100) -> DegradedMemory:
    return DegradedMemory(MemoryStore(1_000, clock), clock, 86_400, LONGEST_ONCE, max_marks)


@pytest.mark.parametrize("until", [START + 1, START + 60, START + LONGEST_ONCE])
def test_a_one_time_value_that_may_have_been_used_before_the_start_is_not_taken_as_new(until: int) -> None:
    memory = new_memory(Clock())
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="used before"):
            asyncio.run(memory.remember_once(new_ref().digest, until))
    assert memory.memory.held()["marks"] == 0


def test_a_one_time_value_that_cannot_have_been_used_before_the_start_is_new_once() -> None:
    clock = Clock()
    memory, digest, until = new_memory(clock), new_ref().digest, START + LONGEST_ONCE + 1
    assert asyncio.run(memory.remember_once(digest, until))
    assert not asyncio.run(memory.remember_once(digest, until))
    clock.at += LONGEST_ONCE
    assert not asyncio.run(memory.remember_once(digest, until))


def test_during_the_return_the_shared_store_says_what_memory_does_not_know() -> None:
    clock = Clock()
    shared = _Shared(1_000, clock)
    used, unused, until = new_ref().digest, new_ref().digest, START + 60
    asyncio.run(shared.remember_once(used, until))
    handover = Handover(new_memory(clock), shared)
    assert [asyncio.run(handover.remember_once(digest, until)) for digest in (used, unused, unused)] == [
        False,
        True,
        False,
    ]


def test_a_client_that_used_up_its_share_of_deferred_revocations_takes_none_from_others() -> None:
    memory = new_memory(Clock(), max_marks=50)
    for _ in range(5):
        assert asyncio.run(memory.defer_revocation(TokenKind.ACCESS, new_ref(), "public"))
    with pytest.raises(StoreFull):
        asyncio.run(memory.defer_revocation(TokenKind.ACCESS, new_ref(), "public"))
    assert asyncio.run(memory.defer_revocation(TokenKind.ACCESS, new_ref(), "other"))


def test_a_client_that_revokes_all_it_can_leaves_room_for_the_revocations_of_others() -> None:
    memory = new_memory(Clock(), max_marks=100)

    def issue_and_revoke(client_id: str) -> TokenRef:
        ref, record = new_ref(), msgspec.structs.replace(access_record(START), client_id=client_id)
        asyncio.run(memory.save(Issuance(access=(ref, record))))
        asyncio.run(memory.revoke_access_token(ref))
        return ref

    for _ in range(90):
        issue_and_revoke("greedy")
    with pytest.raises(ClientShareUsedUp):
        issue_and_revoke("greedy")
    assert asyncio.run(memory.find_access_token(issue_and_revoke("modest"))) is None
    asyncio.run(memory.revoke_access_token(new_ref()))  # an operator, of a token that Redis may hold


def rotated(memory: DegradedMemory, rotations: int) -> list[Grant]:
    grants = [new_grant(START)]
    asyncio.run(memory.save(grants[0].issuance))
    for _ in range(rotations):
        grants.append(new_grant(START, grants[0].family))
        step = memory.rotate(grants[-2].refresh, grants[-2].used(START), grants[-1].issuance)
        assert asyncio.run(step) is Rotation.ROTATED
    return grants


def test_all_of_a_large_family_is_inactive_before_and_after_it_was_dropped() -> None:
    memory = new_memory(Clock(), max_marks=2_000)
    grants = rotated(memory, 300)
    memory.send(grants[-1].refresh.digest)  # on its way to Redis while the family is revoked
    asyncio.run(memory.revoke_family(grants[0].family, START + 3600))
    assert memory.memory.held()["access"] + memory.memory.held()["refresh"] > SWEEP_SLICE
    for _ in range(2):
        for grant in grants:
            assert asyncio.run(memory.find_access_token(grant.access)) is None
            assert asyncio.run(memory.find_refresh_token(grant.refresh)) is None
        assert asyncio.run(memory.rotate(grants[-1].refresh, grants[-1].used(START), grants[-1].issuance)) is (
            Rotation.GONE
        )
        while memory.memory.sweep():
            pass
    assert memory.memory.held()["access"] == memory.memory.held()["refresh"] == 0


def test_a_family_that_is_too_large_to_be_remembered_takes_no_room_of_others_and_is_not_guessed_about() -> None:
    memory = new_memory(Clock(), max_marks=100)
    grants = rotated(memory, 100)
    asyncio.run(memory.revoke_family(grants[0].family, START + 3600))
    inactive = unknown = 0
    for ref in [grant.refresh for grant in grants] + [grant.access for grant in grants]:
        find = memory.find_refresh_token if ref in [grant.refresh for grant in grants] else memory.find_access_token
        try:
            assert asyncio.run(find(ref)) is None
            inactive += 1
        except StoreUnavailable:
            unknown += 1
    assert (inactive, unknown) == (90, 202 - 90)
    other, record = new_ref(), msgspec.structs.replace(access_record(START), client_id="modest")
    asyncio.run(memory.save(Issuance(access=(other, record))))
    asyncio.run(memory.revoke_access_token(other))
    assert asyncio.run(memory.find_access_token(other)) is None


class _Shared(MemoryStore):
    """A memory store in the place of the shared one: it is asked for one-time values alone."""

    is_connected = True

    async def restore_access_token(self, ref: TokenRef, record: AccessTokenRecord) -> None:
        raise AssertionError

    async def restore_refresh_token(self, ref: TokenRef, record: RefreshTokenRecord) -> None:
        raise AssertionError
