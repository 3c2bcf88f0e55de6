"""Where chosen secrets wait to be verified: how many may, who gives way, and whose turn it is.

Rules:
- Stored hashes take turns: guesses at one client cost another's one turn in two.
- At one stored hash the best standing goes first, and the worst gives way where the places are taken
  (:class:`Standing`): who proved this very secret from its address before; then who failed least at the client lately;
  then each address's first attempt before any second one; then who came first. Who is refused keeps the place in that
  order and has it again when it comes again, so an address has one guess before a client that comes after it, and none
  once the guess was wrong.
- What one address, one address at one stored hash, and all at one stored hash may have waiting is bounded; so is the
  whole. Where an address has its places taken, who proved its secret there takes that of the worst who has not.
- Where the whole is full the stored hash with the most waiting gives up its worst; among hashes alike, the address with
  the most.

So a client that has not failed and comes again as it is told waits, after the hash that runs, for one hash of each
address that came before it and has not failed either, times the number of clients that are guessed at. Nobody who comes
later, and nobody who guessed wrong before, makes it wait.
"""

import asyncio
from collections import Counter, OrderedDict
from typing import Any

import msgspec


class Places(msgspec.Struct, frozen=True):
    """How many attempts may wait, the ones that run included."""

    all: int = 64
    of_address: int = 8
    of_address_at_hash: int = 4
    of_crowd_at_hash: int = 32
    """Half of all, of who has not proved its secret there: guesses at one client leave the others their places."""


PLACES = Places()

MAX_REMEMBERED = 10_000
"""Pairs of address and stored hash that were refused. A crowd takes the place in the order from one that comes again
each second if it has as many addresses come in that second."""


class NoPlace(Exception):
    """Too many attempts are waiting already."""


class Standing(msgspec.Struct, frozen=True, order=True, gc=False):
    """What decides between attempts at one stored hash: the lesser goes first."""

    is_unknown: bool
    """Whether the address has not proved this secret before."""
    failures: int
    """Of the address at the client, in a row."""
    others: int
    """Attempts of the address at this hash that waited when it came."""
    number: int
    """In the order in which addresses came first."""


Pair = tuple[str | None, str]
"""An address and a stored hash."""


class Attempt:
    """An attempt that waits for its turn. Its verdict ends with NoPlace where it has to give way."""

    __slots__ = ("counted", "pair", "secret", "standing", "verdict")

    def __init__(self, pair: Pair, secret: str, standing: Standing) -> None:
        self.pair = pair
        self.secret = secret
        self.standing = standing
        self.verdict: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.counted = True


class WaitingRoom:
    """The attempts that wait. Belongs to the event loop."""

    def __init__(self, places: Places = PLACES) -> None:
        self._places = places
        self._of_address: Counter[str | None] = Counter()
        self._of_pair: Counter[Pair] = Counter()
        self._of_crowd: Counter[str] = Counter()
        self._at_hash: OrderedDict[str, list[Attempt]] = OrderedDict()
        """Those that wait, by stored hash: the one whose turn is next first. They are few: they are looked through."""
        self._numbers: OrderedDict[Pair, int] = OrderedDict()
        """Of the pairs that were refused."""
        self._came = 0

    def enter(self, pair: Pair, secret: str, *, known: bool = False, failures: int = 0) -> Attempt:
        """An attempt that waits from now on. Raises NoPlace.

        Args:
            known: The address proved this secret before.
            failures: Of the address at the client, in a row, the last of them not long ago.
        """
        places, (address, phc) = self._places, pair
        others = self._of_pair[pair]
        if others >= places.of_address_at_hash:
            self._give_way(pair, known=known, at_hash=True)
            others = self._of_pair[pair]
        if self._of_address[address] >= places.of_address:
            self._give_way(pair, known=known, at_hash=False)
        self._came += 1
        # Who has attempts waiting has not come back: it has never gone.
        number = self._came if others else self._numbers.pop(pair, self._came)
        attempt = Attempt(pair, secret, Standing(not known, failures, others, number))
        self._count(attempt, 1)
        self._at_hash.setdefault(phc, []).append(attempt)
        if not known and self._of_crowd[phc] > places.of_crowd_at_hash:
            self._give_up(max(self._at_hash[phc], key=lambda waiting: waiting.standing))
        if self._of_address.total() > places.all:
            self._give_up(max((each for waiting in self._at_hash.values() for each in waiting), key=self._burden))
        if attempt.verdict.done():
            attempt.verdict.exception()  # it is told here
            raise NoPlace
        return attempt

    def take(self) -> Attempt | None:
        """The next attempt that is still waited for."""
        while self._at_hash:
            phc, waiting = self._at_hash.popitem(last=False)
            attempt = min(waiting, key=lambda each: each.standing)
            waiting.remove(attempt)
            if waiting:
                self._at_hash[phc] = waiting  # behind the other hashes
            if not attempt.verdict.done():  # nobody has gone away in this very turn of the loop
                return attempt
        return None

    def leave(self, attempt: Attempt) -> None:
        """The attempt has its verdict, or nobody waits for it any more; no harm is done by saying so twice."""
        if attempt.counted:
            attempt.counted = False
            self._count(attempt, -1)
            waiting = self._at_hash.get(attempt.pair[1], [])
            if attempt in waiting:
                waiting.remove(attempt)
                if not waiting:
                    del self._at_hash[attempt.pair[1]]

    def _burden(self, attempt: Attempt) -> tuple[bool, int, int, Standing]:
        """How much is won where the attempt gives way."""
        address, phc = attempt.pair
        return attempt.standing.is_unknown, len(self._at_hash[phc]), self._of_address[address], attempt.standing

    def _give_way(self, pair: Pair, *, known: bool, at_hash: bool) -> None:
        """Have the worst attempt of a full address give way to one that is known. Raises NoPlace where none does."""
        if not known:
            raise NoPlace
        address, phc = pair
        rooms = [self._at_hash.get(phc, [])] if at_hash else self._at_hash.values()
        at_address = (each for waiting in rooms for each in waiting if each.pair[0] == address)
        strangers = [each for each in at_address if each.standing.is_unknown]
        if not strangers:
            raise NoPlace
        self._give_up(max(strangers, key=self._burden))

    def _give_up(self, attempt: Attempt) -> None:
        """Refuse an attempt that waits; its address keeps its number for when it comes again."""
        self.leave(attempt)
        if not attempt.standing.others:
            self._numbers[attempt.pair] = attempt.standing.number
            if len(self._numbers) > MAX_REMEMBERED:
                self._numbers.popitem(last=False)
        if not attempt.verdict.done():
            attempt.verdict.set_exception(NoPlace())

    def _count(self, attempt: Attempt, number: int) -> None:
        address, phc = attempt.pair
        _add(self._of_address, address, number)
        _add(self._of_pair, attempt.pair, number)
        _add(self._of_crowd, phc, number if attempt.standing.is_unknown else 0)


def _add(counter: "Counter[Any]", key: Any, number: int) -> None:
    counter[key] += number
    if not counter[key]:
        del counter[key]
