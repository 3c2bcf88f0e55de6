"""Events that come in rows of the same: the first of a minute are told, and how many more there were.

Rules:
- A row has a key. Of its events in a minute so many are told one by one; the others are counted, and their number is
  told with the first of a later minute.
- The number of rows is bounded; the oldest go, and what they counted is handed to whoever counts what is lost.
- Belongs to the event loop.
"""

from collections.abc import Callable, Hashable

ROW_SECONDS = 60.0
_MAX_ROWS = 10_000


class Repetition:
    """Says which events are told."""

    def __init__(self, one_by_one: int = 1, on_lost: Callable[[int], None] = lambda _: None) -> None:
        """``one_by_one``: how many of a row are told in a minute.

        ``on_lost`` is given the number of events of a row that went before they could be told of.
        """
        self._one_by_one = one_by_one
        self._on_lost = on_lost
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
        self._rows.pop(key, None)
        self._rows[key] = [now, 1]
        if len(self._rows) > _MAX_ROWS:
            lost = self._untold_of(self._rows.pop(next(iter(self._rows))))
            if lost:
                self._on_lost(lost)
        return 0 if row is None else self._untold_of(row)

    def _untold_of(self, row: list[float]) -> int:
        return max(0, int(row[1]) - self._one_by_one)
