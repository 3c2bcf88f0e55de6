"""Memory in place of a Redis that is away says when it does not know."""

import asyncio

import pytest

from app.model.tokens import AccessTokenRecord, RefreshTokenRecord, TokenKind, TokenRef
from app.storage.degraded import DegradedMemory
from app.storage.handover import Handover
from app.storage.interface import StoreFull, StoreUnavailable
from app.storage.memory import MemoryStore
from tests.conformance.issued import new_ref

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


class _Shared(MemoryStore):
    """A memory store in the place of the shared one: it is asked for one-time values alone."""

    is_connected = True

    async def restore_access_token(self, ref: TokenRef, record: AccessTokenRecord) -> None:
        raise AssertionError

    async def restore_refresh_token(self, ref: TokenRef, record: RefreshTokenRecord) -> None:
        raise AssertionError
