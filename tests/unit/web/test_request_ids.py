"""Request ids come from a pool, and none comes twice."""

from app.randomness import random_bytes
from app.web.request_ids import RequestIds


def test_ids_are_random_and_taken_in_bulk() -> None:
    asked: list[int] = []

    def counting(count: int) -> bytes:
        asked.append(count)
        return random_bytes(count)

    ids = RequestIds(counting)
    made = [ids.new() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(len(each) == 32 and int(each, 16) >= 0 for each in made)
    assert len(asked) == 8
