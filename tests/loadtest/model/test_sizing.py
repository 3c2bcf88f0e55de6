"""From a demand to a fleet: what grows with what, and what gives way."""

import random
from collections import Counter

import pytest
from msgspec import structs

from loadtest.model.calibration import Model, calibrate, predicted
from loadtest.model.measurements import read
from loadtest.model.sizing import Demand, Fleet, Infeasible, Policy, busiest_share, most, plan

SMALL = Demand("small", 100_000, 1_000_000)


@pytest.fixture(scope="module")
def model() -> Model:
    return calibrate(read())


@pytest.fixture(scope="module")
def small(model: Model) -> Fleet:
    return plan(SMALL, model)


def test_the_calibrated_simulation_is_as_busy_as_the_service_was(model: Model) -> None:
    for point in model.measured.hits:
        assert predicted(model, point, 1.0).busy == pytest.approx(point.core_share, abs=0.1)


def test_a_fleet_is_within_its_policy_and_one_pod_less_is_not(model: Model, small: Fleet) -> None:
    policy = small.policy
    assert small.pod_load <= policy.pod_load
    assert small.master_busy <= policy.redis_busy
    assert small.pods == small.serving + policy.spare
    assert small.pod.busy < 1
    tighter = structs.replace(SMALL, introspections=SMALL.introspections * (small.serving + 1) / small.serving)
    assert plan(tighter, model).pods > small.pods


def test_ten_times_the_demand_takes_about_ten_times_the_pods(model: Model, small: Fleet) -> None:
    large = plan(Demand("large", 1_000_000, 1_000_000), model)
    assert 7 * small.serving <= large.serving <= 13 * small.serving


def test_uniform_tokens_cost_more_pods_and_more_of_redis(model: Model, small: Fleet) -> None:
    uniform = plan(structs.replace(SMALL, exponent=0.0), model)
    assert uniform.hit_ratio < 0.2 < small.hit_ratio
    assert uniform.lookups > small.lookups
    assert uniform.pod_load * uniform.serving > small.pod_load * small.serving


def test_masters_share_lookups_and_not_deliveries(small: Fleet) -> None:
    twice = structs.replace(small, masters=2 * small.masters)
    assert twice.fan_out == small.fan_out
    assert twice.deliveries == 2 * small.deliveries
    assert twice.master_busy < small.master_busy


def test_too_many_revocations_are_no_matter_of_more_masters(model: Model) -> None:
    demand = Demand("sign-outs", 1_000_000, 100_000_000, revoked=1.0)
    with pytest.raises(Infeasible, match="however many"):
        plan(demand, model)


def test_the_most_revocations_take_what_a_master_is_planned_at(small: Fleet) -> None:
    demand = structs.replace(SMALL, revoked=small.most_revocations / SMALL.issuances)
    assert structs.replace(small, demand=demand).fan_out == pytest.approx(small.policy.redis_busy)


def test_the_most_is_carried_and_a_tenth_more_is_not(model: Model) -> None:
    rate = most(SMALL, model)
    for factor, feasible in ((1.0, True), (1.1, False)):
        scale = factor * rate / SMALL.introspections
        demand = structs.replace(
            SMALL, introspections=rate * factor, live_tokens=round(SMALL.live_tokens * scale), connections=1000
        )
        if feasible:
            assert plan(demand, model).demand == demand
        else:
            with pytest.raises(Infeasible):
                plan(demand, model)


def test_limits_stand_with_the_tightest_first(small: Fleet) -> None:
    used = [limit.used for limit in small.limits]
    assert used == sorted(used, reverse=True)
    assert {limit.what for limit in small.limits} >= {"what a pod can do", "a master's core", "a pod's network"}


def test_more_room_means_more_pods(model: Model, small: Fleet) -> None:
    assert plan(SMALL, model, Policy(pod_load=0.3)).serving > small.serving
    assert plan(SMALL, model, Policy(spare=5)).pods == small.pods + 3


@pytest.mark.parametrize(("pods", "connections"), [(10, 50), (40, 100), (100, 20)])
def test_the_busiest_pod_is_that_of_connections_spread_by_chance(pods: int, connections: int) -> None:
    chance = random.Random(1)
    seen = []
    for _ in range(50):
        placed = Counter(chance.randrange(pods) for _ in range(pods * connections))
        seen.append(max(placed.values()) / connections)
    assert busiest_share(pods, connections) == pytest.approx(sum(seen) / len(seen), abs=0.06)


def test_one_pod_has_the_mean() -> None:
    assert busiest_share(1, 10) == 1
