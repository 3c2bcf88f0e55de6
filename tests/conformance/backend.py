"""The shared memory behind a conformance test, and its clock."""

import time
from collections.abc import Awaitable, Callable

from app.storage.interface import TokenStore


class SteppingClock:
    """The time of day, and as much later as a test says."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead

    def advance(self, seconds: float) -> None:
        self.ahead += seconds


class Backend:
    """One shared memory, seen by as many stores (replicas) as a test opens."""

    def __init__(self, clock: SteppingClock, open_replica: Callable[[str], Awaitable[TokenStore]], prefix: str) -> None:
        self.clock = clock
        self.prefix = prefix
        self._open_replica = open_replica

    async def open_store(self, prefix: str | None = None) -> TokenStore:
        """A store of a further replica; with another ``prefix``, of another installation."""
        return await self._open_replica(prefix or self.prefix)
