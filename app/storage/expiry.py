"""How the memory store forgets: names sorted into buckets by the time at which they end.

Rules:
- Nothing here walks all that is held, nor all of a bucket: expired names are taken in slices, and of a bucket that is
  compacted each call looks at LOOKS names at most. All that one client issues in a moment may lie in one bucket.
- Names dropped before their time leave hardly more stale entries than their bucket has live ones (a handful, and one in
  LOOKS of all its names), so the buckets stay bounded however often tokens are issued and revoked.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Generic, TypeVar

from app.storage.shares import Shares

Name = TypeVar("Name", bytes, str)

BUCKET_SECONDS = 4
"""Width of a bucket: how long after its end a name may still be held."""

MARK_SPARE_SECONDS = 120
"""How long a mark outlives what it marks: so far a clock may step back, or run behind other replicas', and revives
nothing."""

COMPACT_FROM = 16
"""Stale entries below which a bucket is compacted only if nothing in it is alive."""

LOOKS = 16
"""Names of a bucket that a call looks at for stale ones: while no more than half are stale, two of them are enough on
average, and a row of live ones is passed so fast that few become stale meanwhile."""


class ExpiryBuckets(Generic[Name]):
    """Names in the order of their expiry, to the width of a bucket."""

    def __init__(self, is_held: Callable[[Name], bool]) -> None:
        """``is_held`` tells whether a name is still wanted; it is asked while a bucket is compacted."""
        self._is_held: Callable[[Name], bool] = is_held
        self._names: dict[int, list[Name]] = {}
        self._stale: dict[int, int] = {}
        self._looked_at: dict[int, int] = {}
        """Where in a bucket the search for stale names goes on."""
        self._order: list[int] = []

    def add(self, name: Name, expires_at: int) -> None:
        """Note when a name ends (Unix seconds)."""
        bucket = expires_at // BUCKET_SECONDS
        names = self._names.get(bucket)
        if names is None:
            self._names[bucket] = [name]
            heappush(self._order, bucket)
        else:
            names.append(name)

    def note_dropped(self, expires_at: int) -> None:
        """To be told after a name with this expiry was dropped before its time."""
        bucket = expires_at // BUCKET_SECONDS
        names = self._names.get(bucket)
        if names is None:
            return
        stale = self._stale.get(bucket, 0) + 1
        if stale * 2 > len(names) and (stale >= COMPACT_FROM or stale >= len(names)):
            stale = self._compact(bucket, names, stale)
        self._stale[bucket] = stale

    def _compact(self, bucket: int, names: list[Name], stale: int) -> int:
        """Remove stale names until half are live, within LOOKS; how many are left by what is known."""
        at = self._looked_at.get(bucket, 0)
        for _ in range(LOOKS):
            if stale * 2 <= len(names) or not names:
                break
            if at >= len(names):
                at = 0
            if self._is_held(names[at]):
                at += 1
            else:
                names[at] = names[-1]
                names.pop()
                stale -= 1
        self._looked_at[bucket] = at
        return max(0, min(stale, len(names)))

    def take_due(self, now: float, limit: int) -> list[Name]:
        """Up to ``limit`` names that have ended, oldest first; they are no longer held here afterwards."""
        due: list[Name] = []
        while self._order and (self._order[0] + 1) * BUCKET_SECONDS <= now:
            names = self._names[self._order[0]]
            room = limit - len(due)
            if len(names) > room:
                if room > 0:
                    due.extend(names[-room:])
                    del names[-room:]
                break
            due.extend(names)
            bucket = heappop(self._order)
            del self._names[bucket]
            self._stale.pop(bucket, None)
            self._looked_at.pop(bucket, None)
        return due

    def __len__(self) -> int:
        return sum(map(len, self._names.values()))


class ExpiringMarks(Generic[Name]):
    """A bounded set of names, each with an end: revocations and one-time values.

    What is marked lives or counts until that end; the mark stays in force for MARK_SPARE_SECONDS longer.
    """

    def __init__(self, max_marks: int) -> None:
        self._until: dict[Name, int] = {}
        self._buckets: ExpiryBuckets[Name] = ExpiryBuckets(self._until.__contains__)
        self._max_marks = max_marks
        self._clients: dict[Name, str] = {}
        """Whose marks they are, of those that are some client's."""
        self._shares = Shares(max_marks)

    def is_marked(self, name: Name, now: float) -> bool:
        """Whether the name is marked and its mark has not ended."""
        until = self._until.get(name)
        return until is not None and until + MARK_SPARE_SECONDS > now

    def mark(self, name: Name, until: int, now: float, client_id: str | None = None) -> bool:
        """Mark the name until then, or longer if it is marked for longer. False where there is no room for it.

        A mark that takes none of a client's share (``client_id`` is None) has room for as long as there is any.
        """
        known = self._until.get(name)
        if known is None:
            if not self._has_room(client_id):
                self.sweep(now, 64)
                if not self._has_room(client_id):
                    return False
            if client_id is not None:
                self._clients[name] = client_id
                self._shares.take(client_id)
        elif known >= until:
            return True
        else:
            self._buckets.note_dropped(known)
        self._until[name] = until
        self._buckets.add(name, until)
        return True

    @property
    def is_full(self) -> bool:
        """Whether there is room for nobody's mark."""
        return len(self._until) >= self._max_marks

    def _has_room(self, client_id: str | None) -> bool:
        return not self.is_full and (client_id is None or not self._shares.is_used_up(client_id, 1, len(self._until)))

    def sweep(self, now: float, limit: int) -> int:
        """Forget up to ``limit`` marks that have ended; how many were looked at."""
        ended = now - MARK_SPARE_SECONDS
        due = self._buckets.take_due(ended, limit)
        for name in due:
            if self._until.get(name, ended + 1) <= ended:
                del self._until[name]
                client_id = self._clients.pop(name, None)
                if client_id is not None:
                    self._shares.give_back(client_id)
        if due and not self._until:
            self._until.clear()  # its table, too
            self._clients.clear()
        return len(due)

    def items(self) -> list[tuple[Name, int]]:
        """Every mark with its end, ended ones included."""
        return list(self._until.items())

    def __len__(self) -> int:
        return len(self._until)
