"""Verifying chosen secrets: off the event loop, few at once, and few waiting."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher

from app.endpoints.argon2id import Argon2idVerifier
from app.protocol.errors import ErrorCode, ProtocolError

pytestmark = pytest.mark.anyio

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SALT = b"sixteen bytes, s"
PHC = HASHER.hash("hunter2", salt=SALT)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


@pytest.mark.parametrize(
    ("phc", "secret", "matches"),
    [
        (PHC, "hunter2", True),
        (PHC, "hunter3", False),
        (PHC, "", False),
        (PHC, "x" * 60_000, False),
        (PHC, "\ud800", False),  # no request brings it here; if one did, it would match nothing
        (PHC, "ü\0", False),
        (HASHER.hash("pä😀", salt=SALT), "pä😀", True),
        (HASHER.hash("x" * 60_000, salt=SALT), "x" * 60_000, True),
        (HASHER.hash("x" * 60_000, salt=SALT), "x" * 59_999, False),  # nothing is cut off
        ("", "hunter2", False),
        ("hunter2", "hunter2", False),
        ("$argon2id$", "hunter2", False),
        ("$2b$12$abcdefghijklmnopqrstuu", "hunter2", False),
        (PHC[:-1], "hunter2", False),
        ("$argon2id$ü", "hunter2", False),
    ],
)
async def test_a_secret_matches_its_own_hash_alone(
    executor: ThreadPoolExecutor, phc: str, secret: str, matches: bool
) -> None:
    assert await Argon2idVerifier(executor).verify(phc, secret) is matches


async def test_a_flood_is_refused_at_the_door(executor: ThreadPoolExecutor) -> None:
    verifier = Argon2idVerifier(executor, max_waiting=3)
    gate = threading.Event()
    executor.submit(gate.wait, 30)
    waiting = [asyncio.ensure_future(verifier.verify(PHC, "hunter2")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(ProtocolError) as raised:
        await verifier.verify(PHC, "hunter2")
    assert (raised.value.error, raised.value.status, raised.value.reason) == (
        ErrorCode.SLOW_DOWN,
        429,
        "argon2id_queue",
    )
    assert raised.value.retry_after_seconds == 1
    gate.set()
    assert await asyncio.gather(*waiting) == [True] * 3
    assert await verifier.verify(PHC, "hunter2")


async def test_who_goes_away_makes_room(executor: ThreadPoolExecutor) -> None:
    verifier = Argon2idVerifier(executor, max_waiting=1)
    gate = threading.Event()
    executor.submit(gate.wait, 30)
    waiting = asyncio.ensure_future(verifier.verify(PHC, "hunter2"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    assert await verifier.verify(PHC, "hunter2")


async def test_a_flood_of_guesses_at_one_client_takes_no_place_of_the_others(executor: ThreadPoolExecutor) -> None:
    verifier = Argon2idVerifier(executor, max_waiting=10, max_waiting_for_one=2)
    gate = threading.Event()
    executor.submit(gate.wait, 30)
    guesses = [asyncio.ensure_future(verifier.verify(PHC, "guess")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(ProtocolError) as raised:
        await verifier.verify(PHC, "guess")
    assert raised.value.error is ErrorCode.SLOW_DOWN
    other = asyncio.ensure_future(verifier.verify(HASHER.hash("other", salt=SALT), "other"))
    await asyncio.sleep(0)
    gate.set()
    assert await other is True
    assert await asyncio.gather(*guesses) == [False, False]
    assert await verifier.verify(PHC, "hunter2") is True  # the places are free again


async def test_one_ipv6_network_is_one_address(executor: ThreadPoolExecutor) -> None:
    """A subscriber has a /64: with an address of it for each attempt the queue would be full of one attacker's."""
    verifier = Argon2idVerifier(executor, max_waiting_for_one=1, max_waiting_of_address=2)
    gate = threading.Event()
    executor.submit(gate.wait, 30)
    waiting = [asyncio.ensure_future(verifier.verify(PHC, "hunter2", "2001:db8::1"))]
    await asyncio.sleep(0)
    with pytest.raises(ProtocolError):
        await verifier.verify(PHC, "hunter2", "2001:db8::2")
    waiting.append(asyncio.ensure_future(verifier.verify(PHC, "hunter2", "2001:db8:0:1::1")))
    gate.set()
    assert await asyncio.gather(*waiting) == [True] * 2
