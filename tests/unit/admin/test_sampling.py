"""Recent rates and gauges, brought up to date by looking."""

import asyncio

import pytest

from app.admin.latency import RATE_WINDOW_SECONDS
from app.admin.sampling import RecentRate, Sampler
from app.admin.stats import CounterStats, resident_bytes
from app.keys.keeper import KeyKeeper
from app.keys.memory import MemorySource
from app.keys.policy import RotationPolicy
from app.keys.ring import KeyState
from app.observability.metrics import Metrics
from app.randomness import random_bytes
from app.storage.interface import Issuance, StoreUnavailable
from app.storage.memory import MemoryStore
from tests.conformance.issued import access_record, new_ref
from tests.unit.endpoints.wiring import NOW, Clock

pytestmark = pytest.mark.anyio


class Counted:
    """A counter and the clock that it is sampled by."""

    def __init__(self) -> None:
        self.total = 0
        self.clock = Clock(1000.0)
        self.rate = RecentRate(lambda: self.total, self.clock)

    def go_on(self, seconds: float, per_second: float, every: float = 5.0) -> None:
        for _ in range(int(seconds / every)):
            self.clock.now += every
            self.total += round(per_second * every)
            self.rate.sample()


def test_nothing_has_no_rate() -> None:
    assert Counted().rate.stats() == CounterStats(0, 0.0)


@pytest.mark.parametrize("seconds", [5, 60, 65, 600, 86_400])
def test_a_steady_rate_is_the_rate(seconds: float) -> None:
    counted = Counted()
    counted.go_on(seconds, 10)
    assert counted.rate.stats() == CounterStats(round(10 * seconds), 10.0)


def test_what_lies_further_back_than_the_window_does_not_count() -> None:
    counted = Counted()
    counted.go_on(600, 100)
    counted.go_on(RATE_WINDOW_SECONDS, 0)
    assert counted.rate.stats() == CounterStats(60_000, 0.0)


def test_the_rate_moves_between_two_samples() -> None:
    counted = Counted()
    counted.go_on(60, 10)
    counted.total += 65
    counted.clock.now += 5
    assert counted.rate.stats() == CounterStats(665, round(665 / 65, 2))


def test_the_samples_are_bounded_by_the_window() -> None:
    counted = Counted()
    counted.go_on(100_000, 1)
    assert len(counted.rate._samples) <= RATE_WINDOW_SECONDS / 5 + 2


def test_after_a_long_silence_the_rate_is_that_of_the_silence() -> None:
    counted = Counted()
    counted.go_on(60, 10)
    counted.clock.now += 3600
    counted.rate.sample()
    counted.rate.sample()
    assert counted.rate.stats().per_second == 0.0


class LostStore(MemoryStore):
    lost = False

    async def count_live_tokens(self) -> int:
        if self.lost:
            raise StoreUnavailable("away")
        return await super().count_live_tokens()


async def test_the_gauges_follow_store_and_keys() -> None:
    clock = Clock(NOW)
    store = LostStore(100, clock)
    metrics = Metrics()
    policy = RotationPolicy(algorithms=("ES256",))
    keeper = KeyKeeper(MemorySource(), policy, kek=None, rotates=True, clock=clock, random_bytes=random_bytes)
    sampler = Sampler(metrics, store, keeper, monotonic=clock, now=clock)
    value = metrics.registry.get_sample_value
    await sampler.sample()
    for state in KeyState:
        assert value("signing_keys", {"algorithm": "ES256", "state": state}) == 0
        assert value("signing_key_age_seconds", {"algorithm": "ES256", "state": state}) is None
    await keeper.start()
    assert value("signing_keys", {"algorithm": "ES256", "state": "signing"}) == 1, "a change is seen at once"
    await store.save(Issuance(access=(new_ref(), access_record(NOW))))
    metrics.finished(("POST", "/oauth/introspect", 200, "introspect", "active"), 0.001)
    metrics.token_issued("client_credentials", jwt=False)
    clock.now += 10
    await sampler.sample()
    assert value("active_tokens") == 1
    assert value("store_degraded") == 0
    assert value("signing_keys", {"algorithm": "ES256", "state": "signing"}) == 1
    age = value("signing_key_age_seconds", {"algorithm": "ES256", "state": "signing"})
    assert age == pytest.approx(10, abs=0.01)
    switch = value("signing_key_next_rotation_timestamp_seconds", {"algorithm": "ES256"})
    assert switch == pytest.approx(NOW + policy.period_seconds, abs=policy.skew_seconds)
    [signing] = [key.kid for key in keeper.status(clock()) if key.state is KeyState.SIGNING]
    await keeper.revoke_locally([signing])
    assert value("signing_keys", {"algorithm": "ES256", "state": "revoked"}) == 1
    assert (sampler.issued.stats().total, sampler.introspected.stats().total) == (1, 1)
    store.lost = True
    await sampler.sample()
    assert value("active_tokens") == 1
    await keeper.stop()


async def test_it_samples_until_it_is_cancelled() -> None:
    clock = Clock(NOW)
    sampled = asyncio.Event()

    class Counting(MemoryStore):
        async def count_live_tokens(self) -> int:
            sampled.set()
            return 7

    policy = RotationPolicy(algorithms=("ES256",))
    keeper = KeyKeeper(MemorySource(), policy, kek=None, rotates=False, clock=clock, random_bytes=random_bytes)
    metrics = Metrics()
    task = asyncio.create_task(Sampler(metrics, Counting(1, clock), keeper, monotonic=clock, now=clock).run())
    await sampled.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert metrics.registry.get_sample_value("active_tokens") == 7


def test_the_resident_size_is_the_second_number_of_statm() -> None:
    assert resident_bytes("32000 15000 4000 1 0 20000 0\n", 4096) == 15_000 * 4096
