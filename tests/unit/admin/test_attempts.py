"""Wrong tokens at the operators' listener: what they cost the address that they come from, and nobody else."""

import base64

import pytest

from app.admin.attempts import LimitedAuthorization
from app.admin.authorization import Access, AdminAuthorization, Admitted
from app.endpoints.signed_tokens import SignedTokens
from app.storage.memory import MemoryStore
from tests.unit.endpoints.wiring import ISSUER, Clock, key_ring

pytestmark = pytest.mark.anyio

TOKEN = "operators-token-of-more-than-32-characters"
HERE, ELSEWHERE = "203.0.113.66", "198.51.100.1"


class Door:
    """The listener's authorization, on a clock of its own."""

    def __init__(self, per_minute: int = 300) -> None:
        self.clock = Clock(1000.0)
        self.decisions: list[bool] = []
        self.limited = LimitedAuthorization(
            AdminAuthorization(
                read_operator_token=lambda: TOKEN,
                any_client_may=lambda: False,
                find_client=lambda _client_id: None,
                store=MemoryStore(10, self.clock),
                signed_tokens=SignedTokens(key_ring, ISSUER, lambda: None),
                issuer=ISSUER,
                now=self.clock,
            ),
            per_minute=per_minute,
            monotonic=self.clock,
            on_decision=self.decisions.append,
        )

    async def ask(self, token: str = "wrong", address: str | None = HERE) -> Admitted:
        return await self.limited.admit(f"Bearer {token}", address)

    async def told(self, count: int, token: str = "wrong", address: str | None = HERE) -> list[Access]:
        return [(await self.ask(token, address)).access for _ in range(count)]


async def test_after_five_in_a_row_the_wait_doubles_with_each_that_comes_when_it_may() -> None:
    door = Door()
    assert set(await door.told(5)) == {Access.INVALID_TOKEN}
    waits = []
    for _ in range(10):
        assert await door.told(1) == [Access.INVALID_TOKEN]
        waits.append((await door.ask()).retry_after_seconds)  # at once: it is told to wait, and that prolongs nothing
        door.clock.now += waits[-1]
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


async def test_what_is_right_passes_meanwhile_and_ends_the_row() -> None:
    door = Door()
    assert (await door.told(8))[-1] is Access.TOO_MANY
    assert await door.told(1, TOKEN, ELSEWHERE) == [Access.GRANTED]
    assert await door.told(1, "wrong", ELSEWHERE) == [Access.INVALID_TOKEN]
    assert await door.told(2, TOKEN) == [Access.GRANTED] * 2
    assert await door.told(6) == [Access.INVALID_TOKEN] * 6


async def test_beyond_so_many_in_a_minute_nothing_from_there_is_looked_at() -> None:
    door = Door(per_minute=10)
    await door.told(10)
    assert await door.told(3, TOKEN) == [Access.TOO_MANY] * 3
    assert (await door.ask(TOKEN)).retry_after_seconds == pytest.approx(6)
    assert await door.told(1, TOKEN, ELSEWHERE) == [Access.GRANTED]
    door.clock.now += 6.1
    assert await door.told(1, TOKEN) == [Access.GRANTED]
    assert await door.told(2) == [Access.INVALID_TOKEN, Access.TOO_MANY]
    assert await door.told(1, TOKEN) == [Access.TOO_MANY]
    assert door.decisions.count(True) >= 6


async def test_a_password_that_is_wrong_is_an_attempt_and_a_request_without_any_is_none() -> None:
    door = Door()
    header = "Basic " + base64.b64encode(b"admin:wrong").decode()
    told = [(await door.limited.admit(header, HERE)).access for _ in range(7)]
    assert told == [Access.UNAUTHENTICATED] * 6 + [Access.TOO_MANY]
    assert {(await door.limited.admit(None, HERE)).access for _ in range(1000)} == {Access.UNAUTHENTICATED}


async def test_a_network_of_ipv6_is_one_address_and_who_has_none_is_one() -> None:
    door = Door()
    assert [(await door.ask(address=f"2001:db8::{host}")).access for host in range(7)][-1] is Access.TOO_MANY
    assert (await door.told(7, address=None))[-1] is Access.TOO_MANY


async def test_0_is_no_limit() -> None:
    door = Door(per_minute=0)
    assert set(await door.told(1000)) == {Access.INVALID_TOKEN}
