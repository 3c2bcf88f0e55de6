"""The simulation of one pod against what is known of queues, and against conservation."""

import math

import pytest

from loadtest.model.pod import Arrivals, Costs, Redis, Stalls, mean_by_formula, quantile, simulate

SERVICE = 20e-6
PLAIN = Costs(wake=0.0, hit=SERVICE, ask=SERVICE / 2, answer=SERVICE / 2)


@pytest.mark.parametrize("load", [0.2, 0.6, 0.85])
def test_without_turns_or_redis_it_is_the_queue_of_the_textbook(load: float) -> None:
    outcome = simulate(PLAIN, Arrivals(load / SERVICE), seconds=4)
    assert outcome.mean == pytest.approx(mean_by_formula(load / SERVICE, SERVICE), rel=0.03)
    assert outcome.busy == pytest.approx(load, rel=0.03)


def test_nothing_is_faster_than_its_own_work() -> None:
    outcome = simulate(PLAIN, Arrivals(1000), seconds=2)
    assert outcome.p50 == pytest.approx(SERVICE, rel=0.01)


def test_waking_makes_a_request_cheaper_the_more_of_them_come() -> None:
    costs = Costs(wake=30e-6, hit=SERVICE, ask=0, answer=0)
    slow, fast = (simulate(costs, Arrivals(rate), seconds=2) for rate in (1000, 45_000))
    assert slow.busy / slow.rate == pytest.approx(50e-6, rel=0.05)
    assert fast.busy / fast.rate < 23e-6
    assert fast.busy == pytest.approx(fast.wakes * 30e-6 + fast.rate * SERVICE, rel=0.02)


def test_a_miss_takes_the_way_to_redis_and_back() -> None:
    outcome = simulate(PLAIN, Arrivals(1000), hit_ratio=0, redis=Redis(trip=500e-6, lookup=3e-6), seconds=2)
    assert outcome.p50 == pytest.approx(SERVICE + 503e-6, rel=0.02)
    assert outcome.mean_batch == pytest.approx(1, abs=0.1)


def test_lookups_of_a_turn_leave_together() -> None:
    costs = Costs(wake=10e-6, hit=10e-6, ask=10e-6, answer=10e-6)
    outcomes = [simulate(costs, Arrivals(rate), hit_ratio=0, redis=Redis(2e-4, 1e-6)) for rate in (5_000, 40_000)]
    assert outcomes[0].mean_batch < 1.5 < outcomes[1].mean_batch


def test_a_busy_redis_makes_misses_slower_and_hits_not() -> None:
    redis = Redis(trip=200e-6, lookup=50e-6)
    busy = Redis(trip=200e-6, lookup=50e-6, busy=0.8)
    misses, slower = (simulate(PLAIN, Arrivals(2000), hit_ratio=0, redis=one) for one in (redis, busy))
    assert slower.mean > misses.mean * 1.3
    hits, same = (simulate(PLAIN, Arrivals(2000), redis=one) for one in (redis, busy))
    assert hits == same


def test_stalls_are_seen_in_the_tail_and_not_in_the_middle() -> None:
    calm = simulate(PLAIN, Arrivals(10_000), seconds=4)
    stalled = simulate(PLAIN, Arrivals(10_000), stalls=Stalls(every=0.2, seconds=5e-3), seconds=4)
    assert stalled.p50 == pytest.approx(calm.p50, rel=0.05)
    assert stalled.p99 > 10 * calm.p99


def test_crowds_wait_for_each_other() -> None:
    spread, crowded = (simulate(PLAIN, Arrivals(20_000, tick=tick), seconds=2) for tick in (0.0, 1e-3))
    assert crowded.p99 > 4 * spread.p99


def test_the_same_seed_gives_the_same_figures() -> None:
    first, again, other = (simulate(PLAIN, Arrivals(5_000), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_quantiles_are_values_that_were_seen(share: float, value: float) -> None:
    assert quantile([float(n) for n in range(1, 101)], share) == value


def test_overload_is_full_and_late() -> None:
    outcome = simulate(PLAIN, Arrivals(1.5 / SERVICE), seconds=1)
    assert outcome.busy == pytest.approx(1, abs=0.01)
    assert outcome.p99 > 0.1
    assert math.isfinite(outcome.p99)
