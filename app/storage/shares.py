"""Room that clients share: however much one of them takes, the others find some.

A client may hold :data:`TIMES_FREE` times as much as is free. Alone it gets nine tenths of all; of n that take whatever
they get each has 9/(9n + 1), and one more still finds room. Nothing is taken from anybody: who holds too much waits
until some of it ends. (Dynamic thresholds: Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory
Packet Switches", IEEE/ACM Transactions on Networking 6(2), 1998.)
"""

TIMES_FREE = 9


class Shares:
    """How much each client holds of a room that has ``places``."""

    def __init__(self, places: int) -> None:
        self._places = places
        self.free_for_all = places - places // (TIMES_FREE + 1)
        """So many places are given to whoever comes: among so few nobody can hold more than its share."""
        self._held: dict[str, int] = {}

    def take(self, client_id: str) -> None:
        """A client holds one more."""
        self._held[client_id] = self._held.get(client_id, 0) + 1

    def give_back(self, client_id: str) -> None:
        """A client holds one less."""
        left = self._held[client_id] - 1
        if left:
            self._held[client_id] = left
        else:
            del self._held[client_id]

    def is_used_up(self, client_id: str, wanted: int, taken: int) -> bool:
        """Whether a client may not have ``wanted`` places more, where ``taken`` are taken by all together."""
        if taken + wanted <= self.free_for_all:
            return False
        return self._held.get(client_id, 0) + wanted > TIMES_FREE * (self._places - taken)

    def __len__(self) -> int:
        return len(self._held)
