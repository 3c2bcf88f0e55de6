"""How many access tokens are alive, without asking for each: counters of when they end, shared by all replicas.

Rules:
- Every replica adds to one hash in Redis once a second: a field for each stretch of time in which tokens end.
- A stretch is at most a sixtieth of a token's life wide (1 to 60 seconds), and within it tokens are taken to end
  evenly: that is the error, and the second that a replica holds back.
- Counts are for eyes: losing a second of them with a process is no fault, and nothing decides by them.
"""

import math
from collections.abc import Mapping

from app.model.tokens import AccessTokenRecord

WIDTHS = (1, 5, 20, 60)
"""Seconds. 86,400 s of lives in steps of 60 are 1,440 fields."""

HASH_SPARE_SECONDS = 3600
"""The hash outlives its last field by this, so that an idle service does not rebuild it."""


def stretch(issued_at: int, expires_at: int) -> bytes:
    """The field that counts a token of this life: the end of the stretch and its width."""
    life = expires_at - issued_at
    width = max((width for width in WIDTHS if width * 60 <= life), default=WIDTHS[0])
    return b"%d/%d" % (-(-expires_at // width) * width, width)


class LiveCounts:
    """What this replica has to add, and how the hash is read."""

    def __init__(self) -> None:
        self._pending: dict[bytes, int] = {}
        self._furthest = 0

    def add(self, record: AccessTokenRecord, number: int = 1) -> None:
        """An access token was remembered; -1: it ended before its time."""
        field = stretch(record.issued_at, record.expires_at)
        self._pending[field] = self._pending.get(field, 0) + number
        self._furthest = max(self._furthest, record.expires_at)

    def take(self, now: float) -> tuple[int, dict[bytes, int]] | None:
        """The life of the hash and what to add to which field; None for nothing."""
        pending, self._pending = self._pending, {}
        changes = {field: number for field, number in pending.items() if number}
        if not changes:
            return None
        return max(1, math.ceil(self._furthest - now)) + HASH_SPARE_SECONDS, changes

    def put_back(self, changes: Mapping[bytes, int]) -> None:
        """What was taken could not be added: keep it for the next time."""
        for field, number in changes.items():
            self._pending[field] = self._pending.get(field, 0) + number


def alive(fields: Mapping[bytes, bytes], now: float) -> tuple[int, list[bytes]]:
    """How many are alive by the hash, and the fields whose time has passed."""
    total, past = 0.0, []
    for field, number in fields.items():
        end, _, width = field.partition(b"/")
        if int(end) <= now:
            past.append(field)
        else:
            total += int(number) * min(1.0, (int(end) - now) / int(width))
    return max(0, round(total)), past
