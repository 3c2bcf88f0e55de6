"""How many requests of one connection are answered in one turn of the loop, beside those of all others."""

from typing import Any

import pytest

from app.web.hot_connections import HotConnection


@pytest.mark.parametrize(
    ("connections", "share"), [(0, 16), (1, 16), (64, 16), (65, 15), (192, 5), (1024, 1), (1025, 1), (20_000, 1)]
)
def test_many_connections_get_fewer_answers_each(connections: int, share: int) -> None:
    connection: Any = object.__new__(HotConnection)
    connection.connections = range(connections)  # their number is all that counts
    assert connection._share() == share
