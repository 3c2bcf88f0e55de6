"""A real client in a crowd of guessers that use their addresses again: it gets in within a stated number of hashes.

Simulated: one hash at a time takes HASH seconds; guessers come again at once, a real client a second later as it is
told; failures and their delays are the service's own.
"""

import heapq
import itertools
import random
from collections.abc import Iterable

import pytest

from app.endpoints.waiting_room import Attempt, NoPlace, WaitingRoom
from app.ratelimit.failures import Failures

pytestmark = pytest.mark.anyio

HASH = 0.1
RETRY = 1.0
REAL = "203.0.113.1"
ENDLESS = 10_000.0


class Simulation:
    """Guessers and one real client at one verifier."""

    def __init__(self, seed: int, guessers: Iterable[tuple[str, str]], real_from: float) -> None:
        """``guessers``: their addresses, and the client that each guesses at."""
        self._random = random.Random(seed)
        self._room, self._failures = WaitingRoom(), Failures(300)
        self._events: list[tuple[float, int, tuple[str, str] | None]] = []
        self._order = itertools.count()
        self._open: dict[Attempt, tuple[str, str]] = {}
        self._running: Attempt | None = None
        self._began = real_from
        for guesser in guessers:
            self._at(self._random.random(), guesser)
        self._at(real_from, (REAL, "billing"))

    def _at(self, when: float, who: tuple[str, str] | None) -> None:
        heapq.heappush(self._events, (when, next(self._order), who))

    def seconds_until_in(self) -> float:
        """How long the real client takes, from its first attempt to its verdict."""
        while True:
            now, _, who = heapq.heappop(self._events)
            assert now < ENDLESS
            if who is not None:
                self._come(who, now)
            elif self._finish(now):
                return now - self._began
            if self._running is None and (taken := self._room.take()) is not None:
                self._running = taken
                self._at(now + HASH, None)

    def _come(self, who: tuple[str, str], now: float) -> None:
        address, client = who
        wait = self._failures.must_wait(address, client, now)
        if wait > 0:
            self._at(now + wait, who)
            return
        failures = self._failures.in_a_row(address, client, now)
        try:
            self._open[self._room.enter((address, client), "secret", failures=failures)] = who
        except NoPlace:
            self._again(who, now)
        for attempt in [attempt for attempt in self._open if attempt.verdict.done()]:
            assert isinstance(attempt.verdict.exception(), NoPlace)
            self._again(self._open.pop(attempt), now)

    def _again(self, who: tuple[str, str], now: float) -> None:
        self._at(now + (RETRY if who[0] == REAL else self._random.uniform(0.01, RETRY)), who)

    def _finish(self, now: float) -> bool:
        """The hash that ran is done; whether it was the real client's."""
        done, self._running = self._running, None
        assert done is not None
        self._room.leave(done)
        address, client = who = self._open.pop(done)
        done.verdict.set_result(address == REAL)
        if address != REAL:
            self._failures.failed(address, client, now)
            self._again(who, now)
        return address == REAL


def crowd(count: int, *clients: str) -> list[tuple[str, str]]:
    return [(f"198.51.{number >> 8}.{number & 255}", client) for number in range(count) for client in clients]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("count", [20, 100, 300])
async def test_a_crowd_that_comes_with_it_costs_one_hash_for_each_address(count: int, at_once: int, seed: int) -> None:
    waited = Simulation(seed, crowd(count, "billing") * at_once, real_from=0.5).seconds_until_in()
    assert waited <= (count + 1) * HASH + 2 * RETRY


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [20, 100, 300])
async def test_a_crowd_that_has_guessed_already_costs_a_moment(count: int, seed: int) -> None:
    """However often its addresses come again, and though they came first."""
    began = count * HASH + 2 * RETRY
    waited = Simulation(seed, crowd(count, "billing"), real_from=began).seconds_until_in()
    assert waited <= 3 * HASH


@pytest.mark.parametrize("seed", range(3))
async def test_guesses_at_other_clients_cost_a_turn_for_each_of_them(seed: int) -> None:
    others = [f"other-{number}" for number in range(5)]
    waited = Simulation(seed, crowd(100, *others), real_from=5.0).seconds_until_in()
    assert waited <= (len(others) + 2) * HASH
