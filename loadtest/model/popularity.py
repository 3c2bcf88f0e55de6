"""Which share of introspections a pod's cache answers, by how popular tokens are.

The cache holds so many entries, drops the one that was not asked for the longest time, and believes an entry for so
many seconds after it was *read* (app/storage/redis/cache.py). The share follows from Che's approximation for LRU (Che,
Tung and Wang, "Hierarchical Web caching systems", 2002): there is one time T after which an entry that was not asked
again has left, the same for all, and the cache is full. With a life of the entry, from its reading, a token asked at
rate q that is held while asked within T is a renewal process: one miss, then hits until a pause longer than T or the
end of the life.

Rules:
- Each pod caches for itself: of n pods behind a balancer each sees an n-th of the requests of *every* token.
- Popularity is Zipf's with an exponent (0: uniform): the k-th token is asked in proportion to 1 / k ** exponent.
"""

import itertools
import math
from collections.abc import Sequence

import msgspec

GROUPS = 400
"""Into how many groups of neighbouring ranks a popularity is cut: a million terms are not summed one by one."""


class Cache(msgspec.Struct, frozen=True):
    """A pod's cache."""

    entries: int = 10_000
    seconds: float = 300.0


def hit_ratio(rate: float, tokens: int, exponent: float, cache: Cache = Cache()) -> float:  # noqa: B008 - frozen
    """The share of a pod's introspections that its cache answers.

    Args:
        rate: Introspections a second at this pod.
        tokens: Live tokens that are asked about.
    """
    groups = [(count, rate * share) for count, share in popularity(tokens, exponent)]
    leaves = math.inf
    if tokens > cache.entries:
        low, high = 1e-9, 1e9
        for _ in range(100):
            leaves = math.sqrt(low * high)
            if sum(count * _held(each, leaves) for count, each in groups) < cache.entries:
                low = leaves
            else:
                high = leaves
    return sum(count * each * _hit(each, leaves, cache.seconds) for count, each in groups) / rate


def popularity(tokens: int, exponent: float) -> Sequence[tuple[int, float]]:
    """Groups of ranks, the most popular first: how many tokens, and the share of requests that each of them gets."""
    edges = sorted({round(tokens ** (index / GROUPS)) for index in range(GROUPS + 1)} | {0, tokens})
    weights = []
    for first, last in itertools.pairwise(edges):
        count = last - first
        middle = (_power_sum(last, exponent) - _power_sum(first, exponent)) / count
        weights.append((count, middle))
    whole = sum(count * weight for count, weight in weights)
    return [(count, weight / whole) for count, weight in weights]


def _power_sum(last: int, exponent: float) -> float:
    """The sum of 1 / k ** exponent for k = 1 ... last (Euler-Maclaurin beyond the first fifty)."""
    exact = min(last, 50)
    total: float = sum(float(k) ** -exponent for k in range(1, exact + 1))
    if last == exact:
        return total
    low, high = exact + 0.5, last + 0.5
    if abs(exponent - 1) < 1e-9:
        return total + math.log(high / low)
    between: float = (high ** (1 - exponent) - low ** (1 - exponent)) / (1 - exponent)
    return total + between


def _hits_after_a_miss(rate: float, leaves: float, life: float) -> float:
    """How many hits follow a miss, in the mean: while no pause is longer than ``leaves``, within ``life``.

    Without a life: geometric, e^(rate * leaves) - 1. With one: at most what comes within it. The lesser of the two is
    an upper bound, and close where one of them rules, which the simulation in the tests shows.
    """
    within = rate * life
    if rate * leaves > 50:
        return within
    return min(within, math.expm1(rate * leaves))


def _hit(rate: float, leaves: float, life: float) -> float:
    hits = _hits_after_a_miss(rate, leaves, life)
    return hits / (1 + hits)


def _held(rate: float, leaves: float) -> float:
    """The part of the time that an entry is in the cache, dead ones included: they leave like others."""
    return -math.expm1(-rate * min(leaves, 1e9))
