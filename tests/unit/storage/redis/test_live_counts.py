"""Counting by when tokens end is right to a sixtieth of their lives."""

from hypothesis import given
from hypothesis import strategies as st

from app.storage.redis.live_counts import LiveCounts, alive
from tests.conformance.issued import access_record

NOW = 1_800_000_000
LIVES = st.integers(1, 86_400)


def taken(counts: LiveCounts) -> dict[bytes, bytes]:
    changes = counts.take(NOW)
    return {} if changes is None else {field: b"%d" % number for field, number in changes[1].items()}


@given(st.lists(st.tuples(st.integers(-100_000, 0), LIVES), max_size=50), st.integers(0, 90_000))
def test_the_count_is_near_the_truth_at_any_time(tokens: list[tuple[int, int]], later: int) -> None:
    counts = LiveCounts()
    for issued, life in tokens:
        counts.add(access_record(NOW + issued, life))
    total, _ = alive(taken(counts), NOW + later)
    surely = sum(issued + life - later > 0 for issued, life in tokens)
    perhaps = sum(issued + life - later > -60 for issued, life in tokens)
    assert surely - sum(0 < issued + life - later <= 60 for issued, life in tokens) - 1 <= total <= perhaps + 1


@given(st.lists(LIVES, max_size=50))
def test_what_is_added_and_removed_leaves_nothing(lives: list[int]) -> None:
    counts = LiveCounts()
    for life in lives:
        counts.add(access_record(NOW, life))
    first = taken(counts)
    assert alive(first, NOW)[0] == len(lives)
    for life in lives:
        counts.add(access_record(NOW, life), -1)
    second = taken(counts)
    assert {field: int(number) for field, number in first.items()} == {
        field: -int(number) for field, number in second.items()
    }


@given(LIVES)
def test_there_are_at_most_some_hundred_fields_for_lives_of_one_length(life: int) -> None:
    counts = LiveCounts()
    for second in range(0, life, max(1, life // 2_000)):
        counts.add(access_record(NOW + second, life))
    assert len(taken(counts)) <= 1_442


def test_short_lives_are_counted_to_the_second() -> None:
    counts = LiveCounts()
    for life in range(1, 60):
        counts.add(access_record(NOW, life))
    fields = taken(counts)
    assert [alive(fields, NOW + second)[0] for second in (0, 1, 30, 59)] == [59, 58, 29, 0]


def test_what_could_not_be_added_is_kept() -> None:
    counts = LiveCounts()
    counts.add(access_record(NOW, 600))
    changes = counts.take(NOW)
    assert changes is not None
    assert counts.take(NOW) is None
    counts.add(access_record(NOW, 600))
    counts.put_back(changes[1])
    assert list(taken(counts).values()) == [b"2"]


def test_fields_whose_time_has_passed_are_named() -> None:
    counts = LiveCounts()
    counts.add(access_record(NOW, 10))
    counts.add(access_record(NOW, 20))
    total, past = alive(taken(counts), NOW + 15)
    assert (total, past) == (1, [b"%d/1" % (NOW + 10)])
