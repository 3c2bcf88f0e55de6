"""Ending many tokens at once: an epoch says that whatever a scope was issued before an instant is dead.

Rules:
- One record, no index: no token is visited, and none carries more for it.
- An epoch is never taken back or moved to an earlier instant; it is forgotten when no token that it concerns can live.
- Every store looks at the epochs before it says that something is alive.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec

from app.storage.expiry import MARK_SPARE_SECONDS

MAX_EPOCHS = 10_000
"""So many at a time: a replica that missed some reads them all in one step, 1.4 ms of Redis' time."""


class RevocationScope(StrEnum):
    """Whose tokens end."""

    CLIENT = "client"
    """Those issued to a client."""
    SUBJECT = "subject"
    """Those of a resource owner."""
    KEY = "key"
    """JWTs signed with a key, by its ``kid``: all of them, for whoever holds a leaked key writes any time into them."""
    EVERYTHING = "everything"
    """All of them; its value is empty."""


class Epoch(msgspec.Struct, frozen=True):
    """The tokens of a scope that were issued before an instant are dead."""

    scope: RevocationScope
    value: str
    before: int
    """Unix seconds; what was issued at this second or later lives. Of a key nothing lives, whatever stands here."""
    until: int
    """Unix seconds from which no token issued before could live anyway."""


def end_of_key(kid: str, until: int) -> Epoch:
    """The epoch that ends every JWT of a key, kept until ``until`` (Unix seconds)."""
    return Epoch(RevocationScope.KEY, kid, before=until, until=until)


EpochsWatcher = Callable[[tuple[Epoch, ...]], None]
"""Is called with all epochs in force. It must be quick and not raise."""


class Epochs:
    """The epochs in force, held in memory."""

    def __init__(self) -> None:
        self._epochs: dict[tuple[RevocationScope, str], Epoch] = {}
        self._watchers: list[EpochsWatcher] = []

    def __len__(self) -> int:
        return len(self._epochs)

    def items(self) -> list[Epoch]:
        """All that are held."""
        return list(self._epochs.values())

    def add(self, epoch: Epoch, now: float) -> bool:
        """Put an epoch in force; with one already there for the scope, the later instants count.

        False where there is no room.
        """
        name = epoch.scope, epoch.value
        known = self._epochs.get(name)
        if known is None and len(self._epochs) >= MAX_EPOCHS:
            self._epochs = {name: held for name, held in self._epochs.items() if held.until + MARK_SPARE_SECONDS > now}
            if len(self._epochs) >= MAX_EPOCHS:
                return False
        self._epochs[name] = epoch if known is None else merged(known, epoch)
        if self._epochs[name] != known:
            self._tell()
        return True

    def replace(self, epochs: Iterable[Epoch]) -> None:
        """Forget what is held and hold these."""
        before, self._epochs = self._epochs, {(epoch.scope, epoch.value): epoch for epoch in epochs}
        if self._epochs != before:
            self._tell()

    def watch(self, watcher: EpochsWatcher) -> None:
        """Tell ``watcher`` what is held: now, and after every change."""
        self._watchers.append(watcher)
        watcher(tuple(self._epochs.values()))

    def _tell(self) -> None:
        held = tuple(self._epochs.values())
        for watcher in self._watchers:
            watcher(held)

    def end(self, client_id: str, subject: str, issued_at: int, key_id: str | None = None) -> bool:
        """Whether a token of this origin is dead."""
        if not self._epochs:
            return False
        names = [
            (RevocationScope.EVERYTHING, ""),
            (RevocationScope.CLIENT, client_id),
            (RevocationScope.SUBJECT, subject),
        ]
        if key_id is not None and (RevocationScope.KEY, key_id) in self._epochs:
            return True
        for name in names:
            epoch = self._epochs.get(name)
            if epoch is not None and issued_at < epoch.before:
                return True
        return False


def merged(known: Epoch, epoch: Epoch) -> Epoch:
    """Two epochs of one scope as one."""
    return Epoch(epoch.scope, epoch.value, max(known.before, epoch.before), max(known.until, epoch.until))
