"""Where chosen secrets wait to be verified: how many may, who gives way, and whose turn it is.

Rules:
- Addresses take turns: however many attempts one has waiting, another's first attempt is behind at most one of each.
- An address from which a stored hash was matched before, one that was refused for want of a place and came again, and
  any other (:class:`Rank`) have turns apart, one after the other; who is of a higher rank takes the place of a lower
  one's attempt. So neither who was right here once, nor who does as it was told, is lost in a crowd of guessers that
  has an address for each guess.
- What one address, one address at one stored hash, and the crowd at one stored hash may have waiting is bounded; so is
  the whole. Where all is full, the address with the most waiting gives up its last attempt for one with less; among
  addresses alike, those at the stored hash that most wait at.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import msgspec


class Places(msgspec.Struct, frozen=True):
    """How many attempts may wait, the ones that run included."""

    all: int = 64
    of_address: int = 8
    of_address_at_hash: int = 4
    of_crowd_at_hash: int = 32
    """Half of all, of who was not right there before: guesses at one client leave the others their places."""


PLACES = Places()

MAX_REMEMBERED = 10_000
"""Pairs of address and stored hash that were right, and as many that were refused."""


class NoPlace(Exception):
    """Too many attempts are waiting already."""


class Rank(IntEnum):
    """What is known of an address at a stored hash."""

    STRANGER = 0
    RETURNED = 1
    """It found no place and comes again."""
    KNOWN = 2
    """It was right."""


Pair = tuple[str | None, str]
"""An address and a stored hash."""


class Attempt:
    """An attempt that waits for its turn. Its verdict ends with NoPlace where it has to give way."""

    __slots__ = ("counted", "pair", "rank", "secret", "verdict")

    def __init__(self, pair: Pair, rank: Rank, secret: str) -> None:
        self.pair = pair
        self.rank = rank
        self.secret = secret
        self.verdict: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.counted = True


class WaitingRoom:
    """The attempts that wait. Belongs to the event loop."""

    def __init__(self, places: Places = PLACES) -> None:
        self._places = places
        self._of_address: Counter[str | None] = Counter()
        self._of_pair: Counter[Pair] = Counter()
        self._of_crowd: Counter[str] = Counter()
        self._right, self._refused = _Remembered(), _Remembered()
        self._turns = {rank: _Turns() for rank in Rank}
        self._last = Rank.STRANGER

    def enter(self, pair: Pair, secret: str) -> Attempt:
        """An attempt that waits from now on. Raises NoPlace."""
        rank = self._rank(pair)
        places, (address, _) = self._places, pair
        if self._of_address[address] >= places.of_address or self._of_pair[pair] >= places.of_address_at_hash:
            raise NoPlace
        if not self._has_place(pair, rank):
            self._refused.note(pair)
            raise NoPlace
        self._refused.forget(pair)
        attempt = Attempt(pair, rank, secret)
        self._count(attempt, 1)
        self._turns[rank].add(attempt)
        return attempt

    def _rank(self, pair: Pair) -> Rank:
        if pair in self._right:
            return Rank.KNOWN
        # Who has attempts waiting has not come back: it has never gone.
        return Rank.RETURNED if pair in self._refused and not self._of_pair[pair] else Rank.STRANGER

    def take(self) -> Attempt | None:
        """The next attempt that is still waited for: of the ranks in turn, downwards."""
        for step in range(1, len(Rank) + 1):
            rank = Rank((self._last - step) % len(Rank))
            attempt = self._turns[rank].take()
            if attempt is not None:
                self._last = rank
                return attempt
        return None

    def leave(self, attempt: Attempt) -> None:
        """The attempt has its verdict, or nobody waits for it any more; no harm is done by saying so twice."""
        if attempt.counted:
            attempt.counted = False
            self._count(attempt, -1)

    def was_right(self, attempt: Attempt) -> None:
        """The address has been right at this stored hash."""
        self._right.note(attempt.pair)

    def _has_place(self, pair: Pair, rank: Rank) -> bool:
        phc = pair[1]
        if (
            rank is not Rank.KNOWN
            and self._of_crowd[phc] >= self._places.of_crowd_at_hash
            and not self._displace(pair, rank, at=phc)
        ):
            return False
        return self._of_address.total() < self._places.all or self._displace(pair, rank)

    def _displace(self, pair: Pair, rank: Rank, at: str | None = None) -> bool:
        """Have an attempt of a lower rank give way, or of one that takes more; ``at``: at this stored hash alone."""
        most, loser = (-rank, self._of_address[pair[0]] + 1, self._of_crowd[pair[1]] + 1), None
        for lower in Rank:
            if lower > rank:
                break
            for of_address, attempt in self._turns[lower].last():
                taken = (-lower, of_address, self._of_crowd[attempt.pair[1]])
                if taken > most and at in (None, attempt.pair[1]):
                    most, loser = taken, attempt
        if loser is None:
            return False
        self._turns[loser.rank].give_up(loser)
        self._refused.note(loser.pair)
        self.leave(loser)
        return True

    def _count(self, attempt: Attempt, number: int) -> None:
        address, phc = attempt.pair
        _add(self._of_address, address, number)
        _add(self._of_pair, attempt.pair, number)
        _add(self._of_crowd, phc, number if attempt.rank is not Rank.KNOWN else 0)


class _Turns:
    """Attempts that wait; their addresses take turns."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str | None, deque[Attempt]] = OrderedDict()

    def add(self, attempt: Attempt) -> None:
        self._queues.setdefault(attempt.pair[0], deque()).append(attempt)

    def take(self) -> Attempt | None:
        while self._queues:
            address, queue = self._queues.popitem(last=False)
            attempt = queue.popleft()
            if queue:
                self._queues[address] = queue  # behind the other addresses
            if not attempt.verdict.done():
                return attempt
        return None

    def last(self) -> Iterator[tuple[int, Attempt]]:
        """The last attempt of each address, and how many it has."""
        return ((len(queue), queue[-1]) for queue in self._queues.values())

    def give_up(self, attempt: Attempt) -> None:
        """Refuse the last attempt of an address."""
        address = attempt.pair[0]
        queue = self._queues[address]
        queue.pop()
        if not queue:
            del self._queues[address]
        if not attempt.verdict.done():
            attempt.verdict.set_exception(NoPlace())


class _Remembered:
    """Pairs, the newest of them."""

    def __init__(self) -> None:
        self._pairs: OrderedDict[Pair, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, pair: Pair) -> bool:
        return pair in self._pairs

    def note(self, pair: Pair) -> None:
        self._pairs[pair] = None
        self._pairs.move_to_end(pair)
        if len(self._pairs) > MAX_REMEMBERED:
            self._pairs.popitem(last=False)

    def forget(self, pair: Pair) -> None:
        self._pairs.pop(pair, None)


def _add(counter: "Counter[Any]", key: Any, number: int) -> None:
    counter[key] += number
    if not counter[key]:
        del counter[key]
