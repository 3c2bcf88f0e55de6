"""Wishes to revoke tokens that cannot be read now: each client's are its own.

Rules:
- A wish is its client's alone: whoever else wishes the same token gone, or any other, takes nothing from it. Which of
  them owns the token is known only when it can be read.
- Bounded over all, and for each client by a share, because a client need not be authenticated (RFC 7009 section 2.1).
  Beyond: StoreFull, never a wish acknowledged and dropped.
- A wish about an access token ends when no such token can live any more. One about a refresh token does not end:
  refresh tokens may live for longer than Redis is away.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from app.model.tokens import TokenKind, TokenRef
from app.storage.interface import StoreFull

MOST_OF_A_CLIENT = 10_000
SHARES = 10
"""A client has room for one of so many parts of the whole, and for no more than ``MOST_OF_A_CLIENT`` wishes."""

_SWEEP_SLICE = 256


class Wish(NamedTuple):
    """Who wishes to revoke which token."""

    kind: TokenKind
    ref: TokenRef
    client_id: str


class DeferredRevocations:
    """The wishes, until they are carried out or have ended."""

    def __init__(self, max_wishes: int, now: Callable[[], float], longest_access_token_seconds: int) -> None:
        """``now`` gives Unix seconds."""
        self._max_wishes = max_wishes
        self._share = max(1, min(max_wishes // SHARES, MOST_OF_A_CLIENT))
        self._now = now
        self._longest_access_token_seconds = longest_access_token_seconds
        self._access: OrderedDict[Wish, float] = OrderedDict()
        """Each with its end (Unix seconds), the first to end first."""
        self._others: dict[Wish, None] = {}
        self._held: dict[str, int] = {}
        """How many of each client."""

    def __len__(self) -> int:
        return len(self._access) + len(self._others)

    def add(self, wish: Wish) -> None:
        """Keep a wish. Raises StoreFull where its client's share, or everything, is used up."""
        now = self._now()
        self._sweep(now)
        if wish not in self._access and wish not in self._others:
            held = self._held.get(wish.client_id, 0)
            if held >= self._share or len(self) >= self._max_wishes:
                raise StoreFull("no room for another revocation to be carried out later")
            self._held[wish.client_id] = held + 1
        if wish.kind is TokenKind.ACCESS:
            self._access[wish] = now + self._longest_access_token_seconds
            self._access.move_to_end(wish)
        else:
            self._others[wish] = None

    def items(self) -> list[Wish]:
        """All that are held."""
        return [*self._access, *self._others]

    def remove(self, wish: Wish) -> None:
        """Forget a wish, if it is held."""
        if wish in self._access:
            del self._access[wish]
        elif wish in self._others:
            del self._others[wish]
        else:
            return
        left = self._held[wish.client_id] - 1
        if left:
            self._held[wish.client_id] = left
        else:
            del self._held[wish.client_id]

    def _sweep(self, now: float) -> None:
        for _ in range(_SWEEP_SLICE):
            if not self._access:
                return
            first = next(iter(self._access))
            if self._access[first] > now:
                return
            self.remove(first)
