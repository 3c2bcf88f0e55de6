"""How many connections there are, where several nodes have some."""

from app.storage.observer import StoreObserver


class ConnectionCounts:
    """The sums over all nodes, for one observer."""

    def __init__(self, observer: StoreObserver) -> None:
        self._observer = observer
        self._counts: dict[str, dict[object, int]] = {}

    def of(self, node: object) -> "NodeObserver":
        """What one node reports to."""
        return NodeObserver(self, self._observer, node)

    def set(self, backend: str, node: object, state: str, count: int) -> None:
        """A node has so many connections in this state."""
        counts = self._counts.setdefault(state, {})
        counts[node] = count
        self._observer.connections(backend, state, sum(counts.values()))

    def forget(self, node: object) -> None:
        """A node is no more."""
        for counts in self._counts.values():
            counts.pop(node, None)


class NodeObserver:
    """A :class:`~app.storage.observer.StoreObserver` for one node of several."""

    def __init__(self, counts: ConnectionCounts, observer: StoreObserver, node: object) -> None:
        self._counts = counts
        self._node = node
        self.operation = observer.operation
        self.error = observer.error
        self.batch = observer.batch
        self.memory = observer.memory

    def connections(self, backend: str, state: str, count: int) -> None:
        self._counts.set(backend, self._node, state, count)
