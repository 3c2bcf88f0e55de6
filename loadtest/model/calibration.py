"""From what was measured to the parameters of the simulation.

What a request costs is what it was measured to cost at full load. One thing is fitted, on CPU time, not on latency:
what waking costs a loop that had nothing to do (the CPU of a request falls as the rate rises). Latency is then what the
simulation says, and is compared with what was measured; only the constant part of it (the system, the network, the
load's own program) is taken from the slowest point.

Rules:
- The simulation is loaded as the real service was: wrk's timers have whole milliseconds, so requests come in crowds.
- Of a miss the half is spent before the lookup leaves. CPU alone cannot tell; latency hardly depends on it.
"""

from collections.abc import Sequence

import msgspec

from loadtest.model.measurements import Measured, Point
from loadtest.model.pod import Arrivals, Costs, Outcome, Redis, Stalls, simulate

WRK_TICK = 1e-3
"""Seconds: wrk's timers have whole milliseconds."""
WRK_GAP = 6e-6
"""Seconds from one request of a crowd to the next: what wrk takes for one."""
MISS_HIT_RATIO = 10_000 / 300_000
"""Of the measurement with misses: so many of its tokens the cache held."""
FIT_ROUNDS = 3
_SECONDS = 1.5


class Model(msgspec.Struct, frozen=True):
    """What the simulations run with."""

    measured: Measured
    costs: Costs
    redis: Redis
    stalls: Stalls
    offset: float
    """Seconds that a client sees beyond the pod's own time: the system on both sides, and the load's program."""
    redis_each: float
    """Redis' seconds for a lookup in a large batch."""
    redis_batch: float
    """Redis' seconds for a batch as such."""

    def redis_lookup(self, batch: float) -> float:
        """Redis' seconds for each lookup where batches are so large."""
        return self.redis_each + self.redis_batch / max(1.0, batch)


def calibrate(measured: Measured) -> Model:
    """The parameters that fit a measurement."""
    half = measured.miss_cpu / 2
    costs = Costs(0.0, measured.hit_cpu, half, half)
    for _ in range(FIT_ROUNDS):
        costs = msgspec.structs.replace(costs, wake=_wake(costs, measured.hits))
    each, batch = _redis_costs(measured)
    link = Redis(trip=0.0, lookup=each)
    first = measured.hits[0]
    offset = max(0.0, first.p50_ms / 1e3 - _simulated(costs, first, 1.0, link).p50)
    first = measured.misses[0]
    trip = max(0.0, first.p50_ms / 1e3 - offset - _simulated(costs, first, MISS_HIT_RATIO, link).p50)
    return Model(measured, costs, Redis(trip, each), Stalls(), offset, each, batch)


def _wake(costs: Costs, points: Sequence[Point]) -> float:
    """The cost of waking with which the simulation is as busy as the service was (least squares over all points)."""
    over = below = 0.0
    for point in points:
        outcome = _simulated(costs, point, 1.0, Redis())
        over += outcome.wakes * (point.core_share - point.rate * costs.hit)
        below += outcome.wakes**2
    return max(0.0, over / below)


def _simulated(costs: Costs, point: Point, hit_ratio: float, redis: Redis) -> Outcome:
    arrivals = Arrivals(point.rate, WRK_TICK, WRK_GAP)
    return simulate(costs, arrivals, hit_ratio=hit_ratio, redis=redis, seconds=_SECONDS)


def _redis_costs(measured: Measured) -> tuple[float, float]:
    """What a lookup and a batch cost Redis: two measurements, of full batches and of batches of one."""
    alone, full, size = measured.redis_lookup_alone_cpu, measured.redis_lookup_cpu, max(2.0, measured.full_batch)
    batch = max(0.0, (alone - full) / (1 - 1 / size))
    return max(0.0, alone - batch), batch


def measured_curves(measured: Measured) -> Sequence[tuple[str, Sequence[Point], float]]:
    """What was measured at several rates: name, points, and the share of hits."""
    return (("hits", measured.hits, 1.0), ("misses", measured.misses, MISS_HIT_RATIO))


def predicted(model: Model, point: Point, hit_ratio: float) -> Outcome:
    """What the simulation says of a point that was measured, the client's offset in its latencies."""
    outcome = _simulated(model.costs, point, hit_ratio, model.redis)
    return msgspec.structs.replace(
        outcome,
        mean=outcome.mean + model.offset,
        p50=outcome.p50 + model.offset,
        p95=outcome.p95 + model.offset,
        p99=outcome.p99 + model.offset,
    )
