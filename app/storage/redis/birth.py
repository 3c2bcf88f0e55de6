"""When this store was first used: JWTs that are older may have been revoked in a Redis that has lost its data.

Rules:
- It is learnt on every connection before anything else is asked there: a Redis that came back empty is noticed before
  it answers for a JWT.
- A process that was up before it first reached Redis proposes its own start: what it issued meanwhile, without Redis,
  stays valid. Afterwards it proposes the present.
- The name lives BORN_LIFE_SECONDS from the last contact; tokens do not live that long.
- In a cluster each node can lose its data by itself. So the birth is kept under BIRTH_TAGS names, spread over the
  slots; a node is as old as the youngest of those that it serves. They move with their slots.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from app.storage.interface import StoreError, StoreUnavailable
from app.storage.redis.errors import Redirected
from app.storage.redis.link import RedisLink
from app.storage.redis.scripts import BORN

BORN_LIFE_SECONDS = 90 * 86_400


class Births(Protocol):
    """When the stores behind names were born."""

    def is_older(self, issued_at: int, name: bytes) -> bool:
        """Whether something issued then (Unix seconds) is older than the store that has a name.

        Raises StoreUnavailable where that is not known.
        """

    def names(self) -> list[bytes]:
        """The names that have to be kept alive."""


class Birth:
    """The birth of one server."""

    def __init__(self, names: Callable[[], list[bytes]], now: Callable[[], float], opened_at: int) -> None:
        """``names`` gives those that this server has; ``opened_at`` is when this process started to use the store."""
        self.names = names
        self._now = now
        self._opened_at = opened_at
        self._born_at: int | None = None

    def is_older(self, issued_at: int, name: bytes) -> bool:
        """As :meth:`Births.is_older`; one server has all names."""
        del name
        if self._born_at is None:
            raise StoreUnavailable("Redis has not been reached yet")
        return issued_at < self._born_at

    async def learn(self, link: RedisLink) -> None:
        """Ask over a new connection. Raises StoreError."""
        proposal = self._opened_at if self._born_at is None else int(self._now())
        answers = await asyncio.gather(
            *(link.call("EVAL", BORN.source, 1, name, proposal, BORN_LIFE_SECONDS) for name in self.names()),
            return_exceptions=True,
        )
        born_at = 0
        for answer in answers:
            if isinstance(answer, Redirected):
                continue  # its slot is on its way to another node
            if isinstance(answer, StoreError):
                raise answer
            if not isinstance(answer, bytes) or not answer.isdigit():
                raise StoreUnavailable("what Redis has as the store's birth is no time")
            born_at = max(born_at, int(answer))
        self._born_at = born_at
