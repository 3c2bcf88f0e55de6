"""The share of hits by the formula against a cache that is really filled and emptied."""

import itertools
import random
from bisect import bisect

import pytest

from app.storage.redis.cache import CacheLimits, Lease, ReadCache
from loadtest.model.popularity import Cache, hit_ratio, popularity

ASKED = 60_000


def share_of_the_real_cache(rate: float, tokens: int, exponent: float, cache: Cache) -> float:
    """Tokens drawn at random from the popularity, through the service's own cache, its clock ours."""
    chance = random.Random(7)
    weights = list(itertools.accumulate(rank**-exponent for rank in range(1, tokens + 1)))
    now = 0.0
    lease = Lease()
    lease.until = float("inf")
    held = ReadCache(CacheLimits(max_entries=cache.entries, seconds=cache.seconds), lease, lambda: now)
    hits = 0
    for number in range(ASKED):
        now += 1 / rate
        name = b"%d" % bisect(weights, chance.random() * weights[-1])
        if held.get(name) is not None:
            hits += number >= ASKED // 2
        else:
            held.settle(held.begin(name), name, b"record")
    return hits / (ASKED - ASKED // 2)


@pytest.mark.parametrize(
    ("rate", "tokens", "exponent", "cache"),
    [
        pytest.param(1000, 10_000, 1.0, Cache(1000, 300), id="Zipf"),
        pytest.param(1000, 10_000, 0.8, Cache(1000, 300), id="a flatter Zipf"),
        pytest.param(1000, 5_000, 0.0, Cache(1000, 300), id="uniform"),
        pytest.param(1000, 10_000, 1.0, Cache(1000, 5), id="Zipf, entries die young"),
        pytest.param(1000, 500, 0.9, Cache(1000, 1), id="all fit, entries die young"),
        pytest.param(1000, 10_000, 1.2, Cache(1000, 2), id="a steeper Zipf, entries die young"),
    ],
)
def test_the_formula_says_what_the_service_s_cache_does(
    rate: float, tokens: int, exponent: float, cache: Cache
) -> None:
    seen = share_of_the_real_cache(rate, tokens, exponent, cache)
    assert hit_ratio(rate, tokens, exponent, cache) == pytest.approx(seen, abs=0.02)


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0, 1.3])
@pytest.mark.parametrize("tokens", [1, 7, 1_000, 100_000])
def test_shares_are_those_of_each_rank_summed(tokens: int, exponent: float) -> None:
    groups = popularity(tokens, exponent)
    assert sum(count for count, _ in groups) == tokens
    assert sum(count * share for count, share in groups) == pytest.approx(1)
    whole = sum(rank**-exponent for rank in range(1, tokens + 1))
    assert groups[0][1] == pytest.approx(1 / whole, rel=0.001)


def test_more_popular_and_larger_is_better_and_more_tokens_are_worse() -> None:
    usual = hit_ratio(10_000, 1_000_000, 1.0)
    assert hit_ratio(10_000, 1_000_000, 1.2) > usual > hit_ratio(10_000, 1_000_000, 0.8)
    assert hit_ratio(10_000, 1_000_000, 1.0, Cache(50_000)) > usual > hit_ratio(10_000, 10_000_000, 1.0)
    assert hit_ratio(10_000, 1_000_000, 0.0) == pytest.approx(0.01, rel=0.02)


def test_the_cache_drops_what_was_not_asked_for_the_longest_time() -> None:
    """The formula is one of "longest not asked": the cache's rule, told here by its own code."""
    lease = Lease()
    lease.until = float("inf")
    held = ReadCache(CacheLimits(max_entries=2), lease, lambda: 0.0)
    for name in (b"a", b"b"):
        held.settle(held.begin(name), name, name)
    assert held.get(b"a") == b"a"
    held.settle(held.begin(b"c"), b"c", b"c")
    assert [held.get(name) for name in (b"a", b"b", b"c")] == [b"a", None, b"c"]
