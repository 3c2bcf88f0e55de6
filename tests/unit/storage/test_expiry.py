"""Names are forgotten in time, in slices, and the buckets stay bounded."""

from hypothesis import given
from hypothesis import strategies as st

from app.storage.expiry import BUCKET_SECONDS, COMPACT_FROM, LOOKS, MARK_SPARE_SECONDS, ExpiringMarks, ExpiryBuckets


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=8), st.integers(0, 500)), max_size=60), st.integers(1, 7))
def test_names_come_due_after_their_end_and_each_exactly_once(names: list[tuple[bytes, int]], limit: int) -> None:
    buckets: ExpiryBuckets[bytes] = ExpiryBuckets(lambda name: True)
    for name, expires_at in names:
        buckets.add(name, expires_at)
    seen: list[bytes] = []
    for now in range(0, 520, 13):
        while due := buckets.take_due(now, limit):
            assert len(due) <= limit
            seen.extend(due)
        ended = [name for name, expires_at in names if expires_at <= now - BUCKET_SECONDS]
        alive = [name for name, expires_at in names if expires_at > now]
        assert len(ended) <= len(seen) <= len(names) - len(alive)
    assert sorted(seen) == sorted(name for name, _ in names)
    assert len(buckets) == 0


def test_issuing_and_revoking_forever_leaves_nothing_behind() -> None:
    held: set[bytes] = {b"resident"}
    buckets: ExpiryBuckets[bytes] = ExpiryBuckets(held.__contains__)
    buckets.add(b"resident", 1_000)
    for number in range(10_000):
        name = number.to_bytes(4, "big")
        held.add(name)
        buckets.add(name, 1_000)
        held.remove(name)
        buckets.note_dropped(1_000)
        assert len(buckets) <= 40
    assert buckets.take_due(2_000, 100).count(b"resident") == 1


def test_no_drop_looks_at_more_than_a_few_names_of_a_bucket_and_stale_ones_stay_bounded() -> None:
    held = {number.to_bytes(4, "big") for number in range(10_000)}
    looked = 0

    def is_held(name: bytes) -> bool:
        nonlocal looked
        looked += 1
        return name in held

    buckets: ExpiryBuckets[bytes] = ExpiryBuckets(is_held)
    for name in sorted(held):
        buckets.add(name, 1_000)
    # Those that were added last go first: the search begins among the live.
    for name in sorted(held, reverse=True):
        held.remove(name)
        looked = 0
        buckets.note_dropped(1_000)
        assert looked <= LOOKS
        assert len(buckets) <= 2 * len(held) + 10_000 // LOOKS + COMPACT_FROM
    assert len(buckets) == 0


def test_marks_outlive_their_second_by_the_spare_and_are_swept_later() -> None:
    marks: ExpiringMarks[str] = ExpiringMarks(10)
    end = 100 + MARK_SPARE_SECONDS
    assert marks.mark("a", 100, now=50)
    assert marks.items() == [("a", 100)]
    assert marks.sweep(end - 1, 10) == 0
    assert marks.is_marked("a", end - 0.1)
    assert not marks.is_marked("a", end)
    assert marks.sweep(end + BUCKET_SECONDS, 10) == 1
    assert len(marks) == 0


def test_a_mark_is_never_shortened() -> None:
    marks: ExpiringMarks[str] = ExpiringMarks(10)
    for until in (100, 90, 300, 200):
        assert marks.mark("a", until, now=50)
    assert marks.is_marked("a", 299)
    marks.sweep(299 + MARK_SPARE_SECONDS, 10)
    assert marks.is_marked("a", 299)


def test_marks_are_refused_beyond_their_bound_until_others_have_ended() -> None:
    marks: ExpiringMarks[bytes] = ExpiringMarks(2)
    assert marks.mark(b"a", 100, now=50)
    assert marks.mark(b"b", 900, now=50)
    assert not marks.mark(b"c", 900, now=50)
    assert marks.mark(b"b", 950, now=50)
    assert marks.mark(b"c", 900, now=100 + MARK_SPARE_SECONDS + BUCKET_SECONDS)


def test_no_client_takes_all_the_room_for_marks() -> None:
    marks: ExpiringMarks[str] = ExpiringMarks(100)
    granted = [marks.mark(f"greedy{number}", 100, 50, "greedy") for number in range(100)]
    assert granted == [True] * 90 + [False] * 10
    assert not marks.is_full
    assert marks.mark("greedy0", 200, 50, "greedy"), "what is marked already takes no more room"
    assert marks.mark("modest", 100, 50, "modest")
    operators = [marks.mark(f"operator{number}", 100, 50) for number in range(20)]
    assert operators == [True] * 9 + [False] * 11
    later = 200 + MARK_SPARE_SECONDS + BUCKET_SECONDS
    assert marks.sweep(later, 1000) >= 100
    assert all(marks.mark(f"again{number}", 300, later, "greedy") for number in range(90))
