"""What a store tells its surroundings about its own work: the source of the metrics about it and its cache."""

from typing import Protocol


class StoreObserver(Protocol):
    """Receives measurements. Its methods are called inline and must be quick; they never raise."""

    def operation(self, backend: str, operation: str, seconds: float) -> None:
        """One store operation was answered, or failed, after so long."""

    def error(self, backend: str, kind: str) -> None:
        """A StoreError of this kind (:attr:`~app.storage.interface.StoreError.kind`) was raised."""

    def batch(self, operations: int) -> None:
        """So many operations left as one pipeline."""

    def connections(self, backend: str, state: str, count: int) -> None:
        """How many connections are in this state: ``connected`` or ``connecting``."""

    def memory(self, used_bytes: int, max_bytes: int, evicted_keys: int) -> None:
        """How full the store says it is; ``max_bytes`` 0 for no limit, ``evicted_keys`` since it started."""


class CacheObserver(Protocol):
    """Receives what the read cache does. Its methods are called inline and must be quick; they never raise."""

    def lookup(self, result: str) -> None:
        """Something was looked up: ``hit``, ``miss``, or ``bypass`` where there is no valid lease."""

    def propagation(self, seconds: float) -> None:
        """What this replica published to itself took so long."""

    def subscribed(self, subscribed: bool) -> None:
        """The channel of invalidations was opened, or lost."""


class Unobserved:
    """Nobody measures."""

    def operation(self, backend: str, operation: str, seconds: float) -> None: ...

    def error(self, backend: str, kind: str) -> None: ...

    def batch(self, operations: int) -> None: ...

    def connections(self, backend: str, state: str, count: int) -> None: ...

    def memory(self, used_bytes: int, max_bytes: int, evicted_keys: int) -> None: ...

    def lookup(self, result: str) -> None: ...

    def propagation(self, seconds: float) -> None: ...

    def subscribed(self, subscribed: bool) -> None: ...
