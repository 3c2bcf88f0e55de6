"""The arithmetic of the benchmark: spreads, ratios within a round, and how certain a change is.

Rules:
- Samples of one round belong together: round *i* of one thing is only ever divided by round *i* of another.
- Chance comes from a generator with a fixed seed: the same samples give the same verdict.
"""

import math
import random
import statistics
from collections.abc import Sequence

import msgspec

RESAMPLES = 10_000
CONFIDENCE = 0.95
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


def change(candidate: Sequence[float], base: Sequence[float], *, seed: int = 1) -> Interval:
    """How many times as much the candidate does, by bootstrap over rounds.

    The samples are rates, or anything of which more is better. The estimate is the geometric mean of the rounds'
    quotients (twice as fast and half as fast cancel out), the interval its percentiles over :data:`RESAMPLES` draws
    of as many rounds with replacement (Efron and Tibshirani, An Introduction to the Bootstrap, section 13.3).
    """
    logs = [math.log(ratio) for ratio in round_ratios(candidate, base)]
    if not logs:
        raise ValueError("there are no rounds")
    draw = random.Random(seed)  # noqa: S311 - statistics, not secrets
    means = sorted(statistics.fmean(draw.choices(logs, k=len(logs))) for _ in range(RESAMPLES))
    tail = (1 - CONFIDENCE) / 2
    low, high = means[int(tail * RESAMPLES)], means[math.ceil((1 - tail) * RESAMPLES) - 1]
    return Interval(math.exp(statistics.fmean(logs)), math.exp(low), math.exp(high))


def is_certain_loss(interval: Interval) -> bool:
    """Whether the interval excludes a loss of less than :data:`TOLERATED_LOSS`."""
    return interval.high < 1 - TOLERATED_LOSS
