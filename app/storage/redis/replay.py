"""What was revoked a moment ago, to be revoked once more after any connection is made anew.

Rules:
- Replication is asynchronous: a master that fails may take the last revocations with it. Whoever made them still knows
  them, and says them again to whoever is the master then. Revoking twice is revoking once.
- Bounded in time and in number; beyond the number the oldest are let go.
- What is kept is nothing that the garbage collector looks at: with six objects a revocation, full collections beside
  the revocation of 100,000 tokens stopped everything for up to 100 ms.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice

import msgspec

from app.cancellation import end_tasks
from app.storage.redis.scripts import Script

REPLAY_SECONDS = 60.0
MAX_REPLAYED = 100_000
SLICE = 100
"""Revocations said again at a time: the requests of the same moment wait for no more than these."""

Again = Callable[[], Awaitable[object]]
Call = Callable[[Script, Sequence[bytes], Sequence[bytes | str | int]], Awaitable[object]]


class Revocation(msgspec.Struct, frozen=True, gc=False):
    """A call of a script that ended something; to be called for calling it once more."""

    call: Call
    """The same object for all of them: a method taken anew each time would be one more for the collector."""
    script: Script
    keys: tuple[bytes, ...]
    arguments: tuple[bytes | str | int, ...]

    def __call__(self) -> Awaitable[object]:
        return self.call(self.script, self.keys, self.arguments)


class RecentRevocations:
    """The last minute's revocations of this process."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._times: deque[float] = deque(maxlen=MAX_REPLAYED)
        self._recent: deque[Again] = deque(maxlen=MAX_REPLAYED)
        self._replaying: asyncio.Task[None] | None = None
        self._once_more = False

    def note(self, again: Again) -> None:
        """Something was revoked; ``again`` revokes it once more."""
        self._forget()
        self._times.append(self._monotonic())
        self._recent.append(again)

    def on_connected(self) -> None:
        """A connection was made: say it all again, in the background."""
        self._forget()
        if not self._recent:
            return
        if self._replaying is None or self._replaying.done():
            self._replaying = asyncio.get_running_loop().create_task(self._replay())
        else:
            self._once_more = True

    async def stop(self) -> None:
        """End a replay that is under way."""
        if self._replaying is not None:
            await end_tasks([self._replaying])
            self._replaying = None

    def __len__(self) -> int:
        return len(self._recent)

    async def _replay(self) -> None:
        while True:
            self._once_more = False
            rest = iter(list(self._recent))
            while some := list(islice(rest, SLICE)):
                # What fails now fails for want of a connection: the next one begins anew.
                await asyncio.gather(*(again() for again in some), return_exceptions=True)
            if not self._once_more:
                return

    def _forget(self) -> None:
        oldest = self._monotonic() - REPLAY_SECONDS
        while self._times and self._times[0] < oldest:
            self._times.popleft()
            self._recent.popleft()
