"""When this store was first used: JWTs that are older may have been revoked in a Redis that has lost its data.

Rules:
- It is learnt on every connection before anything else is asked there: a Redis that came back empty is noticed before
  it answers for a JWT.
- A process that was up before it first reached Redis proposes its own start: what it issued meanwhile, without Redis,
  stays valid. Afterwards it proposes the present.
- The name lives BORN_LIFE_SECONDS from the last contact; tokens do not live that long.
"""

from collections.abc import Callable

from app.storage.interface import StoreUnavailable
from app.storage.redis.keyspace import Keyspace
from app.storage.redis.link import RedisLink
from app.storage.redis.scripts import BORN

BORN_LIFE_SECONDS = 90 * 86_400


class Birth:
    """The birth of the store behind a keyspace."""

    def __init__(self, keyspace: Keyspace, now: Callable[[], float]) -> None:
        self._key = keyspace.born_at()
        self._now = now
        self._opened_at = int(now())
        self._born_at: int | None = None

    def is_older(self, issued_at: int) -> bool:
        """Whether something issued then (Unix seconds) is older than the store. Raises StoreUnavailable if unknown."""
        if self._born_at is None:
            raise StoreUnavailable("Redis has not been reached yet")
        return issued_at < self._born_at

    async def learn(self, link: RedisLink) -> None:
        """Ask over a new connection. Raises StoreError."""
        proposal = self._opened_at if self._born_at is None else int(self._now())
        born_at = await link.call("EVAL", BORN.source, 1, self._key, proposal, BORN_LIFE_SECONDS)
        if not born_at.isdigit():
            raise StoreUnavailable("what Redis has as the store's birth is no time")
        self._born_at = int(born_at)
