"""How long a core stands still by itself: no server on it can answer faster than that.

On a virtual machine the host gives a core to others now and then, for milliseconds at a time. A busy loop sees that as
a gap between two looks at the clock.
"""

import os
import time
from collections.abc import Callable

import msgspec

SHORTEST_SECONDS = 0.0002
"""Shorter gaps are the loop's own and the kernel's timer."""
SECONDS = 5.0


class Standstill(msgspec.Struct, frozen=True):
    """What a busy loop saw of a core on which nothing else was run."""

    share: float
    """Of the time."""
    longest_ms: float

    def __str__(self) -> str:
        return f"{self.share:.1%} of the time, {self.longest_ms:.1f} ms at most"


def watch(core: int, seconds: float = SECONDS) -> Standstill:
    """Keep a core busy for so long, and see how long it stands still. Raises OSError for a core that is not there."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [core])
    try:
        return from_gaps(*gaps(seconds))
    finally:
        os.sched_setaffinity(0, allowed)


def from_gaps(found: list[float], seconds: float) -> Standstill:
    """What gaps of so many seconds come to in the whole time."""
    return Standstill(sum(found) / seconds, max(found, default=0.0) * 1e3)


def gaps(seconds: float, clock: Callable[[], float] = time.perf_counter) -> tuple[list[float], float]:
    """The gaps between looks at the clock, in seconds, and how long was looked, which the last gap may prolong."""
    found = []
    started = last = clock()
    while last < started + seconds:
        now = clock()
        if now - last > SHORTEST_SECONDS:
            found.append(now - last)
        last = now
    return found, last - started
