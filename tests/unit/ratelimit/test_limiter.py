"""The limiter: never more than its limit, always what it owes, and bounded."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ratelimit.limiter import WINDOW_SECONDS, RateLimiter

LIMITS = st.integers(1, 50) | st.sampled_from([60, 100, 1000, 60_000])
PAUSES = st.lists(st.floats(0, 30) | st.sampled_from([0.0, 0.0, 0.001, 1.0, 60.0, 1e6]), min_size=1, max_size=120)
# From a machine that just started to one that is up for four months: floats get coarser.
STARTS = st.sampled_from([0.0, 0.1, 12_345.678, 1e7 + 0.3])


def admissions(limiter: RateLimiter, per_minute: int, instants: list[float]) -> list[float]:
    return [now for now in instants if limiter.retry_after("key", per_minute, now) == 0]


@given(LIMITS, PAUSES, STARTS)
def test_no_window_ever_admits_more_than_the_burst_and_the_refill(
    per_minute: int, pauses: list[float], start: float
) -> None:
    """Of any length t: at most one bucket and what flows in meanwhile, so at most twice the limit in a minute."""
    instants = [start + elapsed for elapsed in itertools.accumulate(pauses)]
    admitted = admissions(RateLimiter(), per_minute, instants)
    for first, last in itertools.combinations_with_replacement(range(len(admitted)), 2):
        refill = (admitted[last] - admitted[first]) * per_minute / WINDOW_SECONDS
        assert last - first + 1 <= per_minute + refill + 0.11


@given(LIMITS, STARTS)
def test_a_minute_may_be_spent_at_once_and_no_more(per_minute: int, start: float) -> None:
    admitted = admissions(RateLimiter(), per_minute, [start] * (per_minute + 3))
    assert len(admitted) == per_minute


@given(LIMITS, PAUSES, STARTS)
def test_who_waits_as_long_as_told_is_admitted_and_not_much_earlier(
    per_minute: int, pauses: list[float], start: float
) -> None:
    limiter, now = RateLimiter(), start
    for pause in pauses:
        now += pause
        wait = limiter.retry_after("key", per_minute, now)
        interval = WINDOW_SECONDS / per_minute
        assert 0 <= wait <= interval * 1.1
        if wait > 0:
            # Told to the moment; a tenth of the time between two requests is given for the rounding.
            assert limiter.retry_after("key", per_minute, now + max(0.0, wait - interval * 0.11)) > 0
            now += wait
            assert limiter.retry_after("key", per_minute, now) == 0


@given(LIMITS)
def test_a_steady_pace_at_the_limit_is_never_refused(per_minute: int) -> None:
    limiter = RateLimiter()
    instants = [1000 + number * WINDOW_SECONDS / per_minute for number in range(per_minute * 2 + 5)]
    assert len(admissions(limiter, per_minute, instants[:500])) == len(instants[:500])


@given(LIMITS, st.sampled_from([60.0, 61.0, 3600.0, 86_400.0]))
def test_silence_gives_the_whole_minute_back_and_saves_nothing_up(per_minute: int, silence: float) -> None:
    limiter = RateLimiter()
    admissions(limiter, per_minute, [1000.0] * (per_minute + 1))
    assert len(admissions(limiter, per_minute, [1000.0 + silence] * (per_minute + 3))) == per_minute


def test_a_refused_request_costs_nothing() -> None:
    limiter = RateLimiter()
    admissions(limiter, 10, [0.0] * 10)
    for _ in range(1000):
        assert limiter.retry_after("key", 10, 0.0) == pytest.approx(6.0)
    assert limiter.retry_after("key", 10, 6.0) == 0


def test_keys_do_not_share_a_bucket() -> None:
    limiter = RateLimiter()
    assert [limiter.retry_after(key, 1, 0.0) > 0 for key in ("a", "b", "a", "b", "c")] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_unlimited_is_not_even_counted() -> None:
    limiter = RateLimiter()
    assert {limiter.retry_after("key", 0, 0.0) for _ in range(1000)} == {0.0}
    assert len(limiter) == 0


@pytest.mark.parametrize(("before", "after", "admitted"), [(10, 20, 10), (20, 10, 0), (10, 0, 50)])
def test_a_changed_limit_counts_at_once(before: int, after: int, admitted: int) -> None:
    """What was used is kept as a share of the minute: half a bucket of ten is half a bucket of twenty."""
    limiter = RateLimiter()
    spent = before if after < before else before // 2
    admissions(limiter, before, [0.0] * spent)
    assert len(admissions(limiter, after, [0.0] * 50)) == admitted


def test_a_clock_that_stands_or_steps_back_admits_nothing_extra() -> None:
    limiter = RateLimiter()
    assert len(admissions(limiter, 10, [1000.0] * 20)) == 10
    assert len(admissions(limiter, 10, [900.0] * 20)) == 0


@pytest.mark.parametrize("max_keys", [1, 2, 3, 10, 1000])
def test_any_number_of_keys_takes_a_bounded_place(max_keys: int) -> None:
    limiter = RateLimiter(max_keys)
    for number in range(20_000):
        limiter.retry_after(f"key {number}", 10, 1000 + number * 0.001)
        assert len(limiter) <= max_keys


def test_room_is_made_from_what_is_refilled_first() -> None:
    limiter = RateLimiter(3)
    admissions(limiter, 1, [0.0])
    limiter.retry_after("second", 1, 50.0)
    limiter.retry_after("third", 1, 50.0)
    limiter.retry_after("fourth", 1, 61.0)
    # Only "key" was refilled by then: the others are still known, and still refused.
    assert limiter.retry_after("second", 1, 61.0) > 0
    assert limiter.retry_after("third", 1, 61.0) > 0
    assert limiter.retry_after("fourth", 1, 61.0) > 0
    assert len(limiter) == 3


def test_known_keys_are_not_forgotten_while_nobody_new_comes() -> None:
    limiter = RateLimiter(2)
    for key in ("a", "b"):
        assert limiter.retry_after(key, 1, 0.0) == 0
    for _ in range(100):
        assert limiter.retry_after("a", 1, 1.0) > 0
        assert limiter.retry_after("b", 1, 1.0) > 0


@given(LIMITS, PAUSES, STARTS)
def test_it_can_be_asked_without_being_counted(per_minute: int, pauses: list[float], start: float) -> None:
    limiter = RateLimiter()
    for now in itertools.accumulate(pauses, initial=start):
        asked = [limiter.full_for("key", per_minute, now) for _ in range(3)]
        assert asked == [limiter.retry_after("key", per_minute, now)] * 3
    assert limiter.full_for("key", 0, start) == limiter.full_for("another", per_minute, start) == 0
