"""The arithmetic of the benchmark, on samples whose answer is known."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.statistics import LEAST_ROUNDS, Interval, Spread, change, is_certain_loss, round_ratios, spread

STEADY = [100.0, 101.0, 99.0, 100.5, 99.5, 100.0]
RATES = st.floats(1, 1e6)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([3.0], Spread(3, 3, 3)),
        ([1.0, 9.0, 2.0], Spread(2, 1, 9)),
        ([4.0, 1.0, 3.0, 2.0], Spread(2.5, 1, 4)),
    ],
)
def test_a_spread_is_the_median_and_the_extremes(samples: list[float], expected: Spread) -> None:
    assert spread(samples) == expected


def test_there_is_no_spread_of_nothing() -> None:
    with pytest.raises(ValueError, match="no samples"):
        spread([])


def test_ratios_are_taken_within_a_round() -> None:
    assert round_ratios([10, 40], [20, 40]) == [0.5, 1.0]
    with pytest.raises(ValueError, match="zip"):
        round_ratios([1, 2], [1])


def test_the_same_is_no_change() -> None:
    assert change(STEADY, STEADY) == Interval(1, 1, 1)


@given(st.lists(RATES, min_size=LEAST_ROUNDS, max_size=9), st.floats(0.1, 10))
def test_a_constant_factor_is_found_exactly(base: list[float], factor: float) -> None:
    found = change([rate * factor for rate in base], base)
    assert (found.low, found.estimate, found.high) == pytest.approx((factor, factor, factor))


@given(st.lists(st.tuples(RATES, RATES), min_size=LEAST_ROUNDS, max_size=9))
def test_the_interval_lies_within_the_rounds_and_around_the_estimate(rounds: list[tuple[float, float]]) -> None:
    candidate, base = ([pair[side] for pair in rounds] for side in (0, 1))
    found, ratios = change(candidate, base), round_ratios(candidate, base)
    # The tolerance is for the rounding of logarithms alone.
    assert min(ratios) * (1 - 1e-9) <= found.low <= found.estimate * (1 + 1e-9)
    assert found.estimate * (1 - 1e-9) <= found.high <= max(ratios) * (1 + 1e-9)


def test_twice_as_fast_and_half_as_fast_cancel_out() -> None:
    assert change([200, 50] * 3, [100] * 6).estimate == pytest.approx(1)


@pytest.mark.parametrize("rounds", range(LEAST_ROUNDS))
def test_too_few_rounds_have_no_interval(rounds: int) -> None:
    with pytest.raises(ValueError, match=f"{rounds} rounds say nothing with 95% confidence; {LEAST_ROUNDS} do"):
        change([80.0] * rounds, [100.0] * rounds)


def test_the_interval_of_the_fewest_rounds_is_all_of_them() -> None:
    found = change([90.0, 120.0, 95.0, 104.0, 99.0, 87.0], [100.0] * 6)
    assert (found.low, found.high) == pytest.approx((0.87, 1.2))


def test_the_interval_of_ten_rounds_ends_where_the_table_of_signed_ranks_says() -> None:
    """The ninth least and the ninth greatest of 55 means: 8 is the critical value of ten rounds at 5 %, two-sided."""
    ratios = [1.5**place for place in range(10)]
    means = sorted((a * b) ** 0.5 for a, b in itertools.combinations_with_replacement(ratios, 2))
    found = change(ratios, [1.0] * 10)
    assert (found.low, found.high) == pytest.approx((means[8], means[-9]))


@pytest.mark.parametrize("rounds", [6, 8, 12])
def test_the_interval_holds_the_truth_as_often_as_it_says(rounds: int) -> None:
    """Rounds with a fixed seed, some of them far off, as on a machine that others use."""
    draw = random.Random(1)
    held = 0
    for _ in range(1000):
        rates = [draw.lognormvariate(0, 0.02 if draw.random() < 0.8 else 0.5) for _ in range(rounds)]
        found = change(rates, [1.0] * rounds)
        held += found.low <= 1 <= found.high
    assert held >= 940  # 95 % but for the chance of 1,000 draws


def test_one_round_of_twelve_that_was_disturbed_hides_no_loss() -> None:
    steady = [80.0, 81.0, 79.0, 80.5, 79.5, 80.0, 80.2, 79.8, 80.3, 80.1, 79.9]
    assert is_certain_loss(change([*steady, 400.0], [100.0] * 12))


def test_more_rounds_make_the_interval_narrower() -> None:
    few, many = [80.0, 120.0] * 3, [80.0, 120.0] * 30
    of_few, of_many = change(few, [100.0] * 6), change(many, [100.0] * 60)
    assert of_many.high - of_many.low < (of_few.high - of_few.low) / 2


@pytest.mark.parametrize(
    ("candidate", "certain"),
    [
        ([80.0, 81.0, 79.0, 80.5, 79.5, 80.0], True),
        ([95.0, 96.0, 94.0, 95.5, 94.5, 95.0], False),  # a loss, of less than a tenth
        ([60.0, 130.0, 70.0, 120.0, 65.0, 75.0], False),  # perhaps a large loss, perhaps none
        ([120.0, 121.0, 119.0, 120.5, 119.5, 120.0], False),
    ],
)
def test_only_a_loss_that_is_certainly_over_a_tenth_counts(candidate: list[float], certain: bool) -> None:
    assert is_certain_loss(change(candidate, STEADY)) is certain
