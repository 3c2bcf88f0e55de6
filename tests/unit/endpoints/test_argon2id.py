"""Verifying chosen secrets: off the event loop, few at once, and few waiting."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from argon2 import PasswordHasher

from app.endpoints.argon2id import Argon2idVerifier
from app.endpoints.waiting_room import MAX_REMEMBERED, NoPlace, Places

pytestmark = pytest.mark.anyio

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SALT = b"sixteen bytes, s"
PHC = HASHER.hash("hunter2", salt=SALT)
OTHER = HASHER.hash("other", salt=SALT)


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


@contextlib.contextmanager
def held(executor: ThreadPoolExecutor) -> Iterator[None]:
    """No hash ends before the block does."""
    gate = threading.Event()
    executor.submit(gate.wait, 30)
    try:
        yield
    finally:
        gate.set()


async def wait_with(
    verifier: Argon2idVerifier, *addresses: str, secret: str = "guess", phc: str = PHC, **standing: Any
) -> list["asyncio.Task[bool]"]:
    """An attempt from each address, that waits now."""
    waiting = [asyncio.ensure_future(verifier.verify(phc, secret, address, **standing)) for address in addresses]
    await asyncio.sleep(0)
    return waiting


async def outcomes(attempts: list["asyncio.Task[bool]"]) -> list[object]:
    return [
        outcome if isinstance(outcome, bool) else type(outcome)
        for outcome in await asyncio.gather(*attempts, return_exceptions=True)
    ]


def note(finished: list[str], **attempts: list["asyncio.Task[bool]"]) -> None:
    """Have the name of each attempt noted when it has ended."""
    for name, of_name in attempts.items():
        for attempt in of_name:
            attempt.add_done_callback(partial(lambda name, _done: finished.append(name), name))


def strangers(count: int) -> list[str]:
    return [f"198.51.100.{number}" for number in range(count)]


async def test_a_flood_is_refused_at_the_door(executor: ThreadPoolExecutor) -> None:
    verifier = Argon2idVerifier(executor, Places(all=3))
    with held(executor):
        waiting = await wait_with(verifier, *strangers(3), secret="hunter2")
        with pytest.raises(NoPlace):
            await verifier.verify(PHC, "hunter2", "203.0.113.1")
    assert await asyncio.gather(*waiting) == [True] * 3
    assert await verifier.verify(PHC, "hunter2")


async def test_who_goes_away_makes_room(executor: ThreadPoolExecutor) -> None:
    verifier = Argon2idVerifier(executor, Places(all=1))
    with held(executor):
        (waiting,) = await wait_with(verifier, "203.0.113.1")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert await verifier.verify(PHC, "hunter2")


async def test_a_flood_of_guesses_at_one_client_takes_no_place_of_the_others(executor: ThreadPoolExecutor) -> None:
    verifier = Argon2idVerifier(executor, Places(of_address_at_hash=2))
    with held(executor):
        guesses = await wait_with(verifier, "203.0.113.1", "203.0.113.1")
        with pytest.raises(NoPlace):
            await verifier.verify(PHC, "guess", "203.0.113.1")
        (other,) = await wait_with(verifier, "203.0.113.1", secret="other", phc=OTHER)
    assert await other is True
    assert await asyncio.gather(*guesses) == [False, False]
    assert await verifier.verify(PHC, "hunter2", "203.0.113.1") is True  # the places are free again


async def test_one_ipv6_network_is_one_address(executor: ThreadPoolExecutor) -> None:
    """A subscriber has a /64: with an address of it for each attempt the queue would be full of one attacker's."""
    verifier = Argon2idVerifier(executor, Places(of_address_at_hash=1))
    with held(executor):
        waiting = await wait_with(verifier, "2001:db8::1", secret="hunter2")
        with pytest.raises(NoPlace):
            await verifier.verify(PHC, "hunter2", "2001:db8::2")
        waiting += await wait_with(verifier, "2001:db8:0:1::1", secret="hunter2")
    assert await asyncio.gather(*waiting) == [True] * 2


async def test_a_crowd_that_guesses_at_one_client_leaves_the_others_their_places(executor: ThreadPoolExecutor) -> None:
    verifier = Argon2idVerifier(executor, Places(all=20, of_crowd_at_hash=10))
    with held(executor):
        crowd = await wait_with(verifier, *strangers(100))
        (other,) = await wait_with(verifier, "203.0.113.1", secret="other", phc=OTHER)
    assert await other is True
    assert (await outcomes(crowd)).count(NoPlace) == 90


async def test_where_all_is_full_who_has_most_gives_way_to_who_has_less(executor: ThreadPoolExecutor) -> None:
    verifier = Argon2idVerifier(executor, Places(all=6))
    with held(executor):
        many = await wait_with(verifier, *(["203.0.113.66"] * 4))
        few = await wait_with(verifier, "198.51.100.1", "198.51.100.2")
        (comes,) = await wait_with(verifier, "203.0.113.1", secret="hunter2")
        with pytest.raises(NoPlace):
            await verifier.verify(PHC, "guess", "203.0.113.66")
    assert await comes is True
    assert await outcomes(many) == [False, False, False, NoPlace]
    assert await outcomes(few) == [False, False]


async def test_crowds_that_guess_at_two_clients_take_no_place_from_a_third(executor: ThreadPoolExecutor) -> None:
    verifier = Argon2idVerifier(executor, Places(all=20, of_crowd_at_hash=10))
    with held(executor):
        crowd = await wait_with(verifier, *strangers(20))
        crowd += await wait_with(verifier, *strangers(20), phc=HASHER.hash("second", salt=SALT))
        (third,) = await wait_with(verifier, "203.0.113.1", secret="other", phc=OTHER)
    assert await third is True
    assert (await outcomes(crowd)).count(NoPlace) >= 20


async def test_addresses_take_turns(executor: ThreadPoolExecutor) -> None:
    verifier, finished = Argon2idVerifier(executor), list[str]()
    with held(executor):
        flood = await wait_with(verifier, *(["203.0.113.66"] * 4))
        real = await wait_with(verifier, "203.0.113.1")
        note(finished, flood=flood, real=real)
    await asyncio.gather(*flood, *real)
    assert finished.index("real") <= 2  # behind the one that runs, and one of the flood's


async def test_who_proved_its_secret_from_here_before_is_not_lost_in_the_crowd(executor: ThreadPoolExecutor) -> None:
    verifier, finished = Argon2idVerifier(executor, Places(all=20, of_crowd_at_hash=20)), list[str]()
    with held(executor):
        crowd = await wait_with(verifier, *strangers(100))
        real = await wait_with(verifier, "203.0.113.1", secret="hunter2", known=True)
        note(finished, crowd=crowd, real=real)
        await asyncio.sleep(0)
        before = finished.count("crowd")
    assert await real[0] is True
    assert finished.index("real") - before <= 2
    await outcomes(crowd)


async def test_who_proved_its_secret_here_has_a_place_though_its_neighbours_guesses_fill_those_of_its_address(
    executor: ThreadPoolExecutor,
) -> None:
    verifier = Argon2idVerifier(executor, Places(of_address=4, of_address_at_hash=2))
    others = [HASHER.hash(f"other {number}", salt=SALT) for number in range(3)]
    with held(executor):
        guesses = [(await wait_with(verifier, "203.0.113.66", phc=phc, failures=2))[0] for phc in (*others, OTHER)]
        (worst,) = await wait_with(verifier, "198.51.100.1", phc=others[0], failures=9)
        with pytest.raises(NoPlace):
            await verifier.verify(PHC, "hunter2", "203.0.113.66")
        real = await wait_with(verifier, "203.0.113.66", secret="hunter2", known=True)
        # At its own hash as well, one guess more; but who is known gives way to nobody.
        real += await wait_with(verifier, "203.0.113.66", secret="hunter2", known=True)
        with pytest.raises(NoPlace):
            await verifier.verify(PHC, "hunter2", "203.0.113.66", known=True)
    assert await outcomes(real) == [True, True]
    assert await outcomes([worst]) == [False]
    assert (await outcomes(guesses)).count(NoPlace) == 2
    assert await verifier.verify(PHC, "hunter2", "203.0.113.66") is True  # the places are free again


async def test_who_proved_its_secret_here_has_a_place_though_guesses_fill_those_at_its_hash(
    executor: ThreadPoolExecutor,
) -> None:
    verifier = Argon2idVerifier(executor, Places(of_address_at_hash=2))
    with held(executor):
        guesses = await wait_with(verifier, *["203.0.113.66"] * 2)
        elsewhere = await wait_with(verifier, "203.0.113.66", phc=OTHER, failures=9)
        # The first guess is about to be verified: the second gives way.
        (real,) = await wait_with(verifier, "203.0.113.66", secret="hunter2", known=True)
    assert await real is True
    assert await outcomes(guesses) == [False, NoPlace]
    assert await outcomes(elsewhere) == [False]


async def test_who_comes_again_as_it_was_told_goes_before_those_who_came_later(executor: ThreadPoolExecutor) -> None:
    verifier = Argon2idVerifier(executor, Places(all=20, of_crowd_at_hash=10))
    with held(executor):
        first = await wait_with(verifier, *strangers(10))
        with pytest.raises(NoPlace):
            await verifier.verify(PHC, "hunter2", "203.0.113.1")
        for attempt in first[5:]:
            attempt.cancel()
        later = await wait_with(verifier, *(f"192.0.2.{number}" for number in range(100)))
        (real,) = await wait_with(verifier, "203.0.113.1", secret="hunter2")
        later += await wait_with(verifier, *(f"192.0.2.{number}" for number in range(100)))
    assert await real is True
    assert (await outcomes(later)).count(NoPlace) == 196
    assert await outcomes(first[:5]) == [False] * 5


async def test_a_place_in_the_order_is_good_for_one_verdict(executor: ThreadPoolExecutor) -> None:
    verifier = Argon2idVerifier(executor, Places(all=1))
    with held(executor):
        waiting = await wait_with(verifier, "198.51.100.1")
        with pytest.raises(NoPlace):
            await verifier.verify(PHC, "guess", "203.0.113.1")
    assert await waiting[0] is False
    assert await verifier.verify(PHC, "guess", "203.0.113.1") is False
    assert len(verifier._room._numbers) == 0


async def test_who_guessed_wrong_goes_behind_those_who_did_not(executor: ThreadPoolExecutor) -> None:
    verifier, finished = Argon2idVerifier(executor, Places(of_crowd_at_hash=10)), list[str]()
    with held(executor):
        crowd = await wait_with(verifier, *strangers(10), failures=1)
        (real,) = await wait_with(verifier, "203.0.113.1", secret="hunter2")
        note(finished, crowd=crowd, real=[real])
        await asyncio.sleep(0)
        before = finished.count("crowd")
    assert await real is True
    assert finished.index("real") - before <= 2  # behind the one that runs; another gave way
    assert (await outcomes(crowd)).count(NoPlace) == 1


async def test_stored_hashes_take_turns(executor: ThreadPoolExecutor) -> None:
    verifier, finished = Argon2idVerifier(executor), list[str]()
    with held(executor):
        crowd = await wait_with(verifier, *strangers(30))
        (real,) = await wait_with(verifier, "203.0.113.1", secret="other", phc=OTHER)
        note(finished, crowd=crowd, real=[real])
    assert await real is True
    assert finished.index("real") <= 2
    await outcomes(crowd)


async def test_who_floods_from_one_address_gains_nothing_by_coming_again(executor: ThreadPoolExecutor) -> None:
    verifier = Argon2idVerifier(executor, Places(of_address_at_hash=2))
    with held(executor):
        flood = await wait_with(verifier, *(["203.0.113.66"] * 50))
        assert len(verifier._room._numbers) == 0
    assert (await outcomes(flood)).count(NoPlace) == 48


async def test_nothing_is_kept_of_who_has_its_verdict_and_little_of_who_was_refused(
    executor: ThreadPoolExecutor,
) -> None:
    verifier = Argon2idVerifier(executor)
    for number in range(200):
        assert not await verifier.verify(PHC, "guess", f"198.51.100.{number}")
    room = verifier._room
    kept = (room._of_address, room._of_pair, room._of_crowd, room._at_hash, room._numbers)
    assert [len(each) for each in kept] == [0] * 5
    full = Argon2idVerifier(executor, Places(all=0))
    for number in range(MAX_REMEMBERED + 10):
        with pytest.raises(NoPlace):
            await full.verify(PHC, "guess", str(number))
    assert len(full._room._numbers) == MAX_REMEMBERED
    assert len(full._room._at_hash) == 0
