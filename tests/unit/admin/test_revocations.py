"""Lists of tokens and the audit: each that ends is told, and an audit that is behind holds up nothing for long."""

import pytest

from app.admin.revocations import BulkRevocation, Interrupted
from app.endpoints.signed_tokens import SignedTokens
from app.model.tokens import TokenKind, TokenRef
from app.protocol.opaque_token import new_token
from app.randomness import random_bytes
from app.storage.interface import StoreUnavailable
from app.storage.memory import MemoryStore
from tests.unit.endpoints.wiring import ISSUER, Clock, key_ring

pytestmark = pytest.mark.anyio


def tokens(count: int) -> list[str]:
    return [new_token(TokenKind.ACCESS, "1a2b", random_bytes) for _ in range(count)]


class Failing(MemoryStore):
    """One that fails from its third revocation on."""

    revoked = 0

    async def revoke_access_token(self, ref: TokenRef) -> None:
        if self.revoked == 2:
            raise StoreUnavailable("away")
        self.revoked += 1
        await super().revoke_access_token(ref)


class Crowd:
    """An audit that is crowded for so many looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def __call__(self) -> bool:
        self.looks -= 1
        return self.looks >= 0


def bulk(store: MemoryStore, crowded: Crowd | None = None) -> BulkRevocation:
    clock = Clock()
    return BulkRevocation(
        store,
        SignedTokens(key_ring, ISSUER, lambda: None),
        longest_life_seconds=86_400,
        skew_seconds=30,
        staleness_seconds=0,
        now=clock,
        monotonic=clock,
        audit_is_crowded=crowded or Crowd(0),
        audit_patience_seconds=0.5,
    )


async def test_what_is_ended_is_told_and_what_is_unknown_is_not() -> None:
    told: list[str] = []
    listed = tokens(30)
    await bulk(MemoryStore(100, Clock())).listed([*listed, "x"], told.append)
    assert told == listed


async def test_of_a_list_that_was_interrupted_is_told_what_is_done() -> None:
    told: list[str] = []
    listed = tokens(5)
    with pytest.raises(Interrupted):
        await bulk(Failing(100, Clock())).listed(listed, told.append)
    assert told == listed[:2]


@pytest.mark.parametrize("looks", [3, 10_000])
async def test_an_audit_that_is_behind_is_waited_for_a_while(looks: int) -> None:
    told: list[str] = []
    crowd = Crowd(looks)
    listed = tokens(60)
    await bulk(MemoryStore(100, Clock()), crowd).listed(listed, told.append)
    assert told == listed
    assert looks - crowd.looks == (3 + 3 if looks == 3 else 10)  # one look after each slice of twenty, or the patience
