"""The arithmetic of the benchmark: spreads, ratios within a round, and how certain a change is.

Rules:
- Samples of one round belong together: round *i* of one thing is only ever divided by round *i* of another.
- An interval holds for as few rounds as it is made of, whatever their distribution; where they are too few, there is
  none.
"""

import math
import statistics
from collections.abc import Sequence
from itertools import combinations_with_replacement

import msgspec

CONFIDENCE = 0.95
LEAST_ROUNDS = 6
"""With fewer, the rounds all lie on one side of the truth by chance more often than :data:`CONFIDENCE` allows."""
TOLERATED_LOSS = 0.10
"""How much slower (as a fraction) a release may be before it counts as a loss."""


class Spread(msgspec.Struct, frozen=True):
    """The middle of some samples and how far they lie apart."""

    median: float
    low: float
    high: float


class Interval(msgspec.Struct, frozen=True):
    """An estimate and the interval that holds the true value with :data:`CONFIDENCE`."""

    estimate: float
    low: float
    high: float


def spread(samples: Sequence[float]) -> Spread:
    """Median, least and greatest. Raises ValueError for no samples."""
    if not samples:
        raise ValueError("there are no samples")
    return Spread(statistics.median(samples), min(samples), max(samples))


def round_ratios(samples: Sequence[float], yardstick: Sequence[float]) -> list[float]:
    """Each sample divided by the yardstick's of the same round. Raises ValueError unless there are as many of each."""
    return [sample / measure for sample, measure in zip(samples, yardstick, strict=True)]


def change(candidate: Sequence[float], base: Sequence[float]) -> Interval:
    """How many times as much the candidate does, by Wilcoxon's signed ranks over rounds.

    The samples are rates, or anything of which more is better. The estimate is the Hodges-Lehmann one of the rounds'
    quotients: the median of the geometric means of all pairs of rounds, each with itself as well. The interval ends at
    two of these means (Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, sections 3.2 and 3.3). It is
    exact for any number of rounds, and assumes only that a round is as likely to be too high as too low by the same
    factor, which holds where two things take turns. Of twelve rounds one may be far off without making it wider.

    Raises ValueError for fewer than :data:`LEAST_ROUNDS` rounds.
    """
    logs = [math.log(ratio) for ratio in round_ratios(candidate, base)]
    if len(logs) < LEAST_ROUNDS:
        raise ValueError(f"{len(logs)} rounds say nothing with {CONFIDENCE:.0%} confidence; {LEAST_ROUNDS} do")
    means = sorted((one + other) / 2 for one, other in combinations_with_replacement(logs, 2))
    end = _least_rank(len(logs))
    return Interval(math.exp(statistics.median(means)), math.exp(means[end - 1]), math.exp(means[-end]))


def _least_rank(rounds: int) -> int:
    """The least sum of signed ranks that is not as rare as what the interval leaves out on one side."""
    ways = [1] + [0] * (rounds * (rounds + 1) // 2)  # to come to each sum with some of the ranks 1 to ``rounds``
    for rank in range(1, rounds + 1):
        for total in range(len(ways) - 1, rank - 1, -1):
            ways[total] += ways[total - rank]
    rare = (1 - CONFIDENCE) / 2 * 2**rounds
    return next(total for total in range(len(ways)) if sum(ways[: total + 1]) >= rare)


def is_certain_loss(interval: Interval) -> bool:
    """Whether the interval excludes a loss of less than :data:`TOLERATED_LOSS`."""
    return interval.high < 1 - TOLERATED_LOSS
