"""One limit over several replicas: never more than it, and hardly less, mostly without asking."""

import asyncio
from collections.abc import Awaitable

import pytest

from app.ratelimit.leases import AWAY_SECONDS, UNASKED_SECONDS, LeasedLimiter, slice_of
from app.ratelimit.limiter import WINDOW_SECONDS
from app.storage.interface import StoreUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Budget:
    """What replicas share, in memory; it answers in the loop's next turn, as a store would."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.empty_at: dict[str, float] = {}
        self.away = False
        self.asked = 0

    def clock(self) -> float:
        return self.now

    def borrow(self, key: str, requests: int, per_minute: int) -> asyncio.Future[tuple[int, float]]:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("away")
        interval = WINDOW_SECONDS / per_minute
        empty = max(self.empty_at.get(key, 0.0), self.now)
        free = int((WINDOW_SECONDS + self.now - empty + 0.1 * interval) / interval)
        granted = min(requests, free)
        self.empty_at[key] = empty = empty + granted * interval
        wait = max(0.0, empty + interval - self.now - WINDOW_SECONDS)
        answer: asyncio.Future[tuple[int, float]] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: None if answer.done() else answer.set_result((granted, wait)))
        return answer


def replicas(budget: Budget, count: int, told: list[bool] | None = None) -> list[LeasedLimiter]:
    told = [] if told is None else told
    return [LeasedLimiter("client", budget, budget.clock, told.append) for _ in range(count)]


async def decide(limiter: LeasedLimiter, per_minute: int, now: float, key: str = "billing") -> float:
    wait = limiter.decide(key, per_minute, now)
    return await wait if isinstance(wait, Awaitable) else wait


@pytest.mark.parametrize("per_minute", [1, 5, 60, 600, 60_000])
@pytest.mark.parametrize("count", [1, 3])
async def test_all_replicas_together_never_admit_more_than_the_limit_and_hardly_less(
    per_minute: int, count: int
) -> None:
    budget = Budget()
    limiters = replicas(budget, count)
    admitted = 0
    for number in range(2 * per_minute + 10 * count):
        if await decide(limiters[number % count], per_minute, budget.now) == 0:
            admitted += 1
    assert per_minute - count * slice_of(per_minute) <= admitted <= per_minute
    if slice_of(per_minute) == 1:
        assert admitted == per_minute  # small limits are exact


async def test_parallel_requests_share_one_question() -> None:
    budget = Budget()
    (limiter,) = replicas(budget, 1)
    waits = await asyncio.gather(*(decide(limiter, 60_000, budget.now) for _ in range(90)))
    assert waits == [0.0] * 90
    assert budget.asked <= 2


async def test_more_parallel_requests_than_a_slice_are_all_answered() -> None:
    budget = Budget()
    (limiter,) = replicas(budget, 1)
    waits = await asyncio.gather(*(decide(limiter, 60, budget.now) for _ in range(100)))
    assert sum(wait == 0 for wait in waits) == 60


async def test_at_a_steady_rate_no_request_waits_for_the_store() -> None:
    budget = Budget()
    (limiter,) = replicas(budget, 1)
    waited = 0
    for _ in range(5000):
        budget.now += 0.002
        wait = limiter.decide("billing", 60_000, budget.now)
        if isinstance(wait, Awaitable):
            waited += 1
            wait = await wait
        assert wait == 0
        await asyncio.sleep(0)
    assert waited <= 2
    assert limiter.round_trips < 5000 / 40


async def test_a_refused_client_is_refused_from_memory_until_its_time_comes() -> None:
    budget = Budget()
    (limiter,) = replicas(budget, 1)
    for _ in range(6):
        await decide(limiter, 6, budget.now)
    asked = budget.asked
    for _ in range(100):
        assert await decide(limiter, 6, budget.now) == pytest.approx(10.0)
    assert budget.asked <= asked + 1
    budget.now += 10.1
    assert await decide(limiter, 6, budget.now) == 0


async def test_while_the_store_is_away_the_process_counts_for_itself_and_says_so() -> None:
    budget, told = Budget(), list[bool]()
    (limiter,) = replicas(budget, 1, told)
    budget.away = True
    waits = [await decide(limiter, 5, budget.now) for _ in range(7)]
    assert [wait == 0 for wait in waits] == [True] * 5 + [False] * 2
    assert budget.asked == 1  # not at every request
    assert told == [True]
    budget.away = False
    budget.now += AWAY_SECONDS + 0.1
    assert await decide(limiter, 5, budget.now) == 0
    assert told == [True, False]


async def test_who_is_not_asked_for_a_while_is_alone_no_more() -> None:
    budget, told = Budget(), list[bool]()
    (limiter,) = replicas(budget, 1, told)
    budget.away = True
    await decide(limiter, 5, budget.now)
    for later, expected in ((0, [True]), (UNASKED_SECONDS, [True]), (UNASKED_SECONDS + AWAY_SECONDS, [True, False])):
        limiter.sweep(budget.now + later)
        assert told == expected


async def test_a_client_that_counts_in_two_classes_has_a_budget_in_each() -> None:
    budget = Budget()
    both = [LeasedLimiter(name, budget, budget.clock, lambda _alone: None) for name in ("client", "introspection")]
    for limiter in both:
        waits = [await decide(limiter, 5, budget.now) for _ in range(6)]
        assert [wait == 0 for wait in waits] == [True] * 5 + [False]


async def test_who_goes_away_while_it_waits_leaves_the_others_alone() -> None:
    budget = Budget()
    (limiter,) = replicas(budget, 1)
    first, second = limiter.decide("billing", 60, budget.now), limiter.decide("billing", 60, budget.now)
    assert isinstance(first, asyncio.Future)
    assert isinstance(second, asyncio.Future)
    first.cancel()
    assert await second == 0


async def test_any_number_of_clients_takes_a_bounded_place() -> None:
    budget = Budget()
    limiter = LeasedLimiter("client", budget, budget.clock, lambda _alone: None, max_leases=100)
    for number in range(2000):
        await decide(limiter, 60, budget.now, f"client-{number}")
        assert len(limiter._leases) <= 101


async def test_a_full_table_costs_a_new_client_a_look_at_a_few() -> None:
    """Who fills it with clients that are refused for a minute must not have each request look at a thousand."""
    budget = Budget()
    limiter = LeasedLimiter("client", budget, budget.clock, lambda _alone: None, max_leases=2000)
    for number in range(2000):
        assert await decide(limiter, 1, budget.now, f"client-{number}") == 0
        assert await decide(limiter, 1, budget.now, f"client-{number}") > 0
    before = list(limiter._leases)
    budget.now += 2
    await decide(limiter, 1, budget.now, "new")
    looked_at = next(place for place, key in enumerate(before) if key == next(iter(limiter._leases)))
    assert 0 < looked_at <= 50
    assert len(limiter._leases) == 2000
