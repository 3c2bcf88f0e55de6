"""Verifying chosen secrets by argon2id, off the event loop, fairly.

One hash takes tens of milliseconds of CPU and 64 MiB by the library's defaults (RFC 9106 section 4, second choice),
so few run at once and few may wait: a flood of wrong secrets is refused at the door instead of queued.

Rules:
- Addresses take turns: however many attempts one has waiting, another's first attempt is behind at most one of each.
- An IPv6 address counts by its /64, as for failures: else one subscriber would be as many as there are turns.
- Addresses from which a stored hash was matched before have turns of their own, every second one: who was right here
  once does not stand in the crowd that guesses.
- What one address, one address at one stored hash, and strangers at one stored hash may have waiting is bounded; so is
  the whole. Where the whole is full, the address with the most waiting gives up its last attempt for one with less.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from concurrent.futures import Executor
from functools import partial
from typing import Any

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error

from app.ratelimit.failures import network_of


class Places(msgspec.Struct, frozen=True):
    """How many attempts may wait, the ones that run included."""

    all: int = 64
    of_address: int = 8
    of_address_at_hash: int = 4
    of_strangers_at_hash: int = 32
    """Half of all: a crowd that guesses at one client leaves the others their places."""


PLACES = Places()

MAX_KNOWN = 10_000
"""Pairs of address and stored hash that are remembered as right."""


class NoPlace(Exception):
    """Too many attempts are waiting already."""


class _Attempt:
    """An attempt that waits for its turn."""

    __slots__ = ("address", "phc", "secret", "verdict")

    def __init__(self, address: str | None, phc: str, secret: str, verdict: "asyncio.Future[bool]") -> None:
        self.address = address
        self.phc = phc
        self.secret = secret
        self.verdict = verdict


class _Turns:
    """Attempts that wait; their addresses take turns."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str | None, deque[_Attempt]] = OrderedDict()

    def add(self, attempt: _Attempt) -> None:
        self._queues.setdefault(attempt.address, deque()).append(attempt)

    def take(self) -> _Attempt | None:
        """The next one that is still waited for."""
        while self._queues:
            address, queue = self._queues.popitem(last=False)
            attempt = queue.popleft()
            if queue:
                self._queues[address] = queue  # behind the other addresses
            if not attempt.verdict.done():
                return attempt
        return None

    def give_up(self, more_than: int) -> bool:
        """Refuse the last attempt of the address that has the most, if those are more than that many."""
        if not self._queues:
            return False
        address, queue = max(self._queues.items(), key=lambda item: len(item[1]))
        if len(queue) <= more_than:
            return False
        attempt = queue.pop()
        if not queue:
            del self._queues[address]
        if not attempt.verdict.done():
            attempt.verdict.set_exception(NoPlace())
        return True


class Argon2idVerifier:
    """Verifies on an executor's threads; argon2-cffi releases the GIL while it hashes."""

    def __init__(self, executor: Executor, places: Places = PLACES, at_once: int = 1) -> None:
        """``at_once``: how many hashes run at once; the executor has a thread for each."""
        self._executor = executor
        self._places = places
        self._idle = at_once
        self._of_address: Counter[str | None] = Counter()
        self._of_pair: Counter[tuple[str | None, str]] = Counter()
        self._of_strangers: Counter[str] = Counter()
        self._known: OrderedDict[tuple[str | None, str], None] = OrderedDict()
        self._turns = (_Turns(), _Turns())
        """Of strangers, and of those that were right before."""
        self._last = 0
        self._hasher = PasswordHasher()

    async def verify(self, phc: str, secret: str, address: str | None = None) -> bool:
        """Whether ``secret`` is the one of ``phc``. Raises NoPlace if too many are waiting already."""
        if address is not None and ":" in address:
            address = network_of(address)
        pair = (address, phc)
        known = pair in self._known
        if not self._has_place(pair, known):
            raise NoPlace
        attempt = _Attempt(address, phc, secret, asyncio.get_running_loop().create_future())
        self._of_address[address] += 1
        self._of_pair[pair] += 1
        self._of_strangers[phc] += not known
        self._turns[known].add(attempt)
        self._start_next()
        try:
            matches = await attempt.verdict
        finally:
            _take_off(self._of_address, address, 1)
            _take_off(self._of_pair, pair, 1)
            _take_off(self._of_strangers, phc, not known)
        if matches:
            self._remember(pair)
        return matches

    def _has_place(self, pair: tuple[str | None, str], known: bool) -> bool:
        places, (address, phc) = self._places, pair
        if (
            self._of_address[address] >= places.of_address
            or self._of_pair[pair] >= places.of_address_at_hash
            or (not known and self._of_strangers[phc] >= places.of_strangers_at_hash)
        ):
            return False
        if self._of_address.total() < places.all:
            return True
        return self._turns[False].give_up(0 if known else self._of_address[address] + 1)

    def _start_next(self) -> None:
        while self._idle:
            attempt = self._turns[not self._last].take()
            if attempt is not None:
                self._last = not self._last
            else:
                attempt = self._turns[self._last].take()
            if attempt is None:
                return
            self._idle -= 1
            running = asyncio.get_running_loop().run_in_executor(
                self._executor, self._verify, attempt.phc, attempt.secret
            )
            running.add_done_callback(partial(self._finished, attempt))

    def _finished(self, attempt: _Attempt, done: "asyncio.Future[bool]") -> None:
        self._idle += 1
        if not attempt.verdict.done():
            if done.cancelled():
                attempt.verdict.cancel()
            elif (failure := done.exception()) is not None:
                attempt.verdict.set_exception(failure)
            else:
                attempt.verdict.set_result(done.result())
        self._start_next()

    def _verify(self, phc: str, secret: str) -> bool:
        try:
            return self._hasher.verify(phc, secret)
        except (Argon2Error, ValueError):  # ValueError: what is kept is no argon2id string
            return False

    def _remember(self, pair: tuple[str | None, str]) -> None:
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)


def _take_off(counter: "Counter[Any]", key: Any, number: int) -> None:
    counter[key] -= number
    if not counter[key]:
        del counter[key]
