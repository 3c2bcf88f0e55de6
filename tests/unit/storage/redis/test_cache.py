"""The read cache is believed under a lease alone, forgets what it must, and stays within its bounds."""

from hypothesis import given
from hypothesis import strategies as st

from app.storage.redis.cache import ENTRY_BYTES, CacheLimits, Lease, ReadCache


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def leased_cache(limits: CacheLimits | None = None) -> tuple[ReadCache, Lease, Clock]:
    clock, lease = Clock(), Lease()
    lease.until = clock.now + 2
    return ReadCache(limits or CacheLimits(), lease, clock), lease, clock


def read(cache: ReadCache, name: bytes, value: bytes | None) -> None:
    cache.settle(cache.begin(name), name, value)


def test_what_was_read_is_believed_until_the_lease_ends() -> None:
    cache, lease, clock = leased_cache()
    read(cache, b"a", b"1")
    assert cache.get(b"a") == b"1"
    clock.now += 1.999
    assert cache.get(b"a") == b"1"
    clock.now += 0.001
    assert not cache.has_lease
    assert cache.get(b"a") is None
    lease.until = clock.now + 2
    assert cache.get(b"a") == b"1"


def test_nothing_is_believed_for_longer_than_its_time() -> None:
    cache, lease, clock = leased_cache(CacheLimits(seconds=10))
    lease.until = clock.now + 100
    read(cache, b"a", b"1")
    clock.now += 10
    assert cache.get(b"a") is None
    assert (len(cache), cache.bytes_held) == (0, 0)


def test_a_fresh_cache_has_no_lease() -> None:
    cache = ReadCache(CacheLimits(), Lease(), Clock())
    read(cache, b"a", b"1")
    assert cache.get(b"a") is None
    assert len(cache) == 0


def test_not_found_is_not_kept() -> None:
    cache, _, _ = leased_cache()
    read(cache, b"a", None)
    assert len(cache) == 0


def test_a_read_that_its_invalidation_overtook_fills_nothing() -> None:
    cache, _, _ = leased_cache()
    first, second = cache.begin(b"a"), cache.begin(b"a")
    cache.settle(first, b"a", b"old")
    cache.drop([b"a", b"unknown"])
    cache.settle(second, b"a", b"old")
    assert cache.get(b"a") is None
    read(cache, b"a", b"new")
    assert cache.get(b"a") == b"new"


def test_a_read_that_a_flush_overtook_fills_nothing() -> None:
    cache, _, _ = leased_cache()
    reading = cache.begin(b"a")
    cache.flush()
    cache.settle(reading, b"a", b"old")
    assert cache.get(b"a") is None


def test_a_read_begun_without_a_lease_fills_nothing() -> None:
    cache, lease, clock = leased_cache()
    lease.until = clock.now
    reading = cache.begin(b"a")
    lease.until = clock.now + 2
    cache.settle(reading, b"a", b"1")
    assert cache.get(b"a") is None


def test_who_was_not_asked_for_the_longest_leaves_first() -> None:
    cache, _, _ = leased_cache(CacheLimits(max_entries=3))
    for name in (b"a", b"b", b"c"):
        read(cache, name, b"1")
    cache.get(b"a")
    read(cache, b"d", b"1")
    assert [cache.get(name) is not None for name in (b"a", b"b", b"c", b"d")] == [True, False, True, True]


@given(
    st.lists(
        st.tuples(st.sampled_from(["read", "drop", "get", "flush", "later"]), st.integers(0, 9), st.integers(0, 400)),
        max_size=80,
    )
)
def test_the_bounds_hold_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    limits = CacheLimits(max_entries=4, max_bytes=3 * ENTRY_BYTES + 300, seconds=5)
    cache, lease, clock = leased_cache(limits)
    lease.until = clock.now + 10_000
    truth: dict[bytes, bytes] = {}
    for action, number, size in steps:
        name = b"%d" % number
        if action == "read":
            truth[name] = bytes(size)
            read(cache, name, truth[name])
        elif action == "drop":
            truth.pop(name, None)
            cache.drop([name])
        elif action == "get":
            assert cache.get(name) in (None, truth.get(name))
        elif action == "flush":
            truth.clear()
            cache.flush()
        else:
            clock.now += size / 100
        assert len(cache) <= 4
        assert 0 <= cache.bytes_held <= limits.max_bytes
    for number in range(10):
        cache.drop([b"%d" % number])
    assert (len(cache), cache.bytes_held) == (0, 0)
