"""Events that come in rows of the same: the first of a minute are told, and how many more there were.

Rules:
- A row has a key. Of its events in a minute so many are told one by one; the others are counted, and their number is
  told with the first of a later minute.
- The number of rows is bounded; the oldest go. Belongs to the event loop.
"""

from collections.abc import Hashable

ROW_SECONDS = 60.0
_MAX_ROWS = 10_000


class Repetition:
    """Says which events are told."""

    def __init__(self, one_by_one: int = 1) -> None:
        """``one_by_one``: how many of a row are told in a minute."""
        self._one_by_one = one_by_one
        self._rows: dict[Hashable, list[float]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def untold(self, key: Hashable, now: float) -> int | None:
        """None if an event of this row is not to be told, else how many before it were not. ``now`` is any seconds."""
        row = self._rows.get(key)
        # A clock that was set back ends the row, too: it must not silence events for as long as it was set back.
        if row is not None and 0 <= now - row[0] < ROW_SECONDS:
            row[1] += 1
            return None if row[1] > self._one_by_one else 0
        untold = 0 if row is None else max(0, int(row[1]) - self._one_by_one)
        self._rows.pop(key, None)
        self._rows[key] = [now, 1]
        if len(self._rows) > _MAX_ROWS:
            del self._rows[next(iter(self._rows))]
        return untold
