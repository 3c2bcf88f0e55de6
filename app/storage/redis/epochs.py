"""The epochs of all replicas: one hash in Redis, a copy in every process.

Rules:
- Every change gives the hash a new version, in the same step, and is published with the version before and after it.
  A copy that has the version before takes the change over; any other is read anew.
- A copy counts while the lease of the cache is valid and nothing was missed. Otherwise the version is read along with
  whatever else is read, and the hash if it is another: no decision is made on an older copy than its data.
"""

from collections.abc import Callable

from app.storage.epochs import Epoch, Epochs, EpochsWatcher, RevocationScope
from app.storage.interface import CorruptRecord
from app.storage.redis.cache import Lease
from app.storage.redis.keyspace import Keyspace

NO_VERSION = b"0"
"""The version of a hash that is not there, as messages have it."""


def epoch_field(epoch: Epoch) -> str:
    """The field of the hash that has an epoch: ``client:billing``."""
    return f"{epoch.scope.value}:{epoch.value}"


def read_epoch(field: bytes, instants: bytes) -> Epoch:
    """An epoch from its field and ``before until``. Raises CorruptRecord."""
    try:
        scope, _, value = field.decode().partition(":")
        before, until = instants.split()
        return Epoch(RevocationScope(scope), value, int(before), int(until))
    except ValueError:
        raise CorruptRecord("an epoch in Redis cannot be read") from None


class SharedEpochs:
    """This process's copy of the epochs, and how current it is."""

    def __init__(
        self, keyspace: Keyspace, lease: Lease, now: Callable[[], float], monotonic: Callable[[], float] | None
    ) -> None:
        """Without ``monotonic`` there is no lease: the version is read each time."""
        self._now = now
        self._lease = lease
        self._monotonic = monotonic
        self._epochs = Epochs()
        self._version: bytes | None = None
        self.heard = 0
        """How many times something was heard, or may have been missed."""
        self.hash_name = keyspace.epochs()
        self.version_name = keyspace.epochs_version()

    @property
    def version(self) -> str | None:
        """The version of the copy; None while it has to be read anew."""
        return None if self._version is None else self._version.decode(errors="replace")

    def watch(self, watcher: EpochsWatcher) -> None:
        """Tell ``watcher`` the copy: now, and after every change of it."""
        self._epochs.watch(watcher)

    def is_current(self) -> bool:
        """Whether decisions may be made on the copy as it is."""
        return self._version is not None and self._monotonic is not None and self._lease.until > self._monotonic()

    def is_whole(self) -> bool:
        """Whether nothing of the copy was missed: all of :meth:`is_current` for who has just looked at the lease."""
        return self._version is not None

    def has(self, version: bytes | None) -> bool:
        """Whether the copy is of this version; None where Redis has none."""
        return self._version == (version or NO_VERSION)

    def load(self, version: bytes | None, flat: list[bytes], heard: int) -> None:
        """Take the hash, read after this version of it was, and begun when ``heard`` was so. Raises CorruptRecord."""
        epochs = [read_epoch(field, instants) for field, instants in zip(flat[::2], flat[1::2], strict=True)]
        self._epochs.replace(epoch for epoch in epochs if epoch.until > self._now())
        # What was heard meanwhile may or may not be in it: good enough for this decision, not for the next.
        self._version = (version or NO_VERSION) if heard == self.heard else None

    def hear(self, message: bytes) -> None:
        """Take over a published change: versions before and after, instants, field."""
        self.heard += 1
        parts = message.split(b" ", 4)
        try:
            known_before, version, before, until, field = parts
            epoch = read_epoch(field, before + b" " + until)
        except (ValueError, CorruptRecord):
            self._version = None
            return
        # An epoch is never taken back: it holds here at once, whatever was missed before it.
        taken = self._epochs.add(epoch, self._now())
        self._version = version if taken and self._version == known_before else None

    def miss(self) -> None:
        """Something may have been missed: the copy does not count until it was read anew."""
        self.heard += 1
        self._version = None

    def end(self, client_id: str, subject: str, issued_at: int, key_id: str | None = None) -> bool:
        """Whether a token of this origin is dead, by the copy."""
        return self._epochs.end(client_id, subject, issued_at, key_id)
