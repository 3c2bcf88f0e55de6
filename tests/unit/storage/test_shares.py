"""However much some clients take, one more finds room, and nobody alone is kept from most of it."""

import pytest

from app.storage.shares import Shares


class Room:
    """A room that gives what its shares allow."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.taken = 0
        self.shares = Shares(places)

    def takes(self, client_id: str, wanted: int = 1) -> bool:
        if self.taken + wanted > self.places or self.shares.is_used_up(client_id, wanted, self.taken):
            return False
        for _ in range(wanted):
            self.shares.take(client_id)
        self.taken += wanted
        return True

    def most_of(self, *client_ids: str) -> list[int]:
        """How much each has when all have taken turns until none gets more."""
        got = dict.fromkeys(client_ids, 0)
        while gets := [client_id for client_id in client_ids if self.takes(client_id)]:
            for client_id in gets:
                got[client_id] += 1
        return [*got.values()]


def test_who_is_alone_gets_nine_tenths_and_the_next_one_finds_room() -> None:
    room = Room(1000)
    assert room.most_of("greedy") == [900]
    assert room.takes("modest", 2)
    assert not room.takes("greedy")


@pytest.mark.parametrize("count", [2, 3, 10, 50])
def test_those_who_take_all_they_can_get_have_the_same_and_leave_room(count: int) -> None:
    room = Room(10_000)
    got = room.most_of(*(str(number) for number in range(count)))
    assert max(got) - min(got) <= 9
    assert min(got) >= 9 * 10_000 // (9 * count + 1) - 9
    assert room.takes("modest")


def test_what_is_given_back_counts_no_more() -> None:
    room = Room(100)
    assert room.most_of("greedy") == [90]
    for _ in range(90):
        room.shares.give_back("greedy")
    room.taken = 0
    assert len(room.shares) == 0
    assert room.most_of("greedy") == [90]


@pytest.mark.parametrize("places", [1, 2, 9])
def test_a_few_places_are_for_whoever_comes_first(places: int) -> None:
    assert Room(places).most_of("greedy") == [places]
