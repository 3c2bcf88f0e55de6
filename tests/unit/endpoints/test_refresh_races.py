"""Many uses of one refresh token at the same time: exactly one succeeds, whatever waits where."""

import asyncio
from typing import Any

import pytest

from app.model.tokens import RefreshTokenRecord, TokenRef
from app.storage.interface import Issuance, Rotation
from app.storage.memory import MemoryStore
from tests.unit.endpoints.wiring import JWT, OPAQUE, Answer, Clock, Wired, confidential

pytestmark = pytest.mark.anyio

PARALLEL = 50


class WaitingStore(MemoryStore):
    """Lets every other request go first, before and after each of its steps, as a store over a network does."""

    async def find_refresh_token(self, ref: TokenRef) -> RefreshTokenRecord | None:
        await asyncio.sleep(0)
        found = await super().find_refresh_token(ref)
        await asyncio.sleep(0)
        return found

    async def rotate(self, presented: TokenRef, used: RefreshTokenRecord, issuance: Issuance) -> Rotation:
        await asyncio.sleep(0)
        rotation = await super().rotate(presented, used, issuance)
        await asyncio.sleep(0)
        return rotation

    async def revoke_family(self, family: str, until: int) -> None:
        await asyncio.sleep(0)
        await super().revoke_family(family, until)


def wired_with(access_token_format: Any, algorithm: str, grace_seconds: int) -> Wired:
    clock = Clock()
    client = confidential("billing", access_token_format=access_token_format, refresh_token_enabled=True)
    return Wired(
        client, store=WaitingStore(10_000, clock), clock=clock, algorithm=algorithm, grace_seconds=grace_seconds
    )


async def race(wired: Wired, refresh_token: str) -> tuple[dict[str, Any], list[Answer]]:
    """The members of the one success, and the refusals."""
    answers = await asyncio.gather(*(wired.refresh(refresh_token) for _ in range(PARALLEL)))
    succeeded = [answer for answer in answers if answer.status == 200]
    assert len(succeeded) == 1
    return succeeded[0].json, [answer for answer in answers if answer.status != 200]


# Opaque tokens are minted at once; an RS256 signature waits for a thread between the decision and its commit.
VARIANTS = [(OPAQUE, "ES256"), (JWT, "ES256"), (JWT, "RS256")]


@pytest.mark.parametrize(("access_token_format", "algorithm"), VARIANTS)
async def test_strictly_one_of_fifty_succeeds_and_the_family_ends(access_token_format: Any, algorithm: str) -> None:
    wired = wired_with(access_token_format, algorithm, grace_seconds=0)
    issued = await wired.issue()
    winner, losers = await race(wired, issued["refresh_token"])
    assert {answer.error for answer in losers} == {(400, "invalid_grant")}
    for token in (issued["access_token"], winner["access_token"], winner["refresh_token"]):
        assert not await wired.is_active(token)
    assert (await wired.refresh(winner["refresh_token"])).error == (400, "invalid_grant")
    assert wired.store.held()["access"] == 0
    assert wired.store.held()["refresh"] == 0
    assert wired.sample("refresh_token_reuse_total") >= 1


@pytest.mark.parametrize(("access_token_format", "algorithm"), VARIANTS)
async def test_with_a_grace_one_of_fifty_succeeds_and_the_family_lives(
    access_token_format: Any, algorithm: str
) -> None:
    wired = wired_with(access_token_format, algorithm, grace_seconds=5)
    issued = await wired.issue()
    winner, losers = await race(wired, issued["refresh_token"])
    assert {answer.error for answer in losers} == {(400, "invalid_grant")}
    for token in (issued["access_token"], winner["access_token"], winner["refresh_token"]):
        assert await wired.is_active(token)
    assert (await wired.refresh(winner["refresh_token"])).status == 200
    assert wired.sample("refresh_token_reuse_total") == 0  # a repetition, not a theft


async def test_a_use_that_began_earlier_and_ends_later_is_a_reuse() -> None:
    """Its own time lies before the first use, by which a strict service must not be misled."""

    class HeldUp(MemoryStore):
        gate: asyncio.Event | None = None
        waiting = asyncio.Event()

        async def find_refresh_token(self, ref: TokenRef) -> RefreshTokenRecord | None:
            gate, self.gate = self.gate, None
            if gate is not None:
                self.waiting.set()
                await gate.wait()
            return await super().find_refresh_token(ref)

    clock = Clock()
    store = HeldUp(100, clock)
    wired = Wired(confidential("billing", refresh_token_enabled=True), store=store, clock=clock)
    token = (await wired.issue())["refresh_token"]
    store.gate = gate = asyncio.Event()
    slow = asyncio.create_task(wired.refresh(token))
    await store.waiting.wait()
    clock.now += 2
    second = (await wired.refresh(token)).json
    gate.set()
    assert (await slow).error == (400, "invalid_grant")
    assert not await wired.is_active(second["access_token"])
    assert not await wired.is_active(second["refresh_token"])


async def test_different_tokens_do_not_disturb_each_other() -> None:
    wired = wired_with(OPAQUE, "ES256", grace_seconds=0)
    tokens = [(await wired.issue())["refresh_token"] for _ in range(20)]
    answers = await asyncio.gather(*(wired.refresh(token) for token in tokens))
    assert {answer.status for answer in answers} == {200}
