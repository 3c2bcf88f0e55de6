"""One pod, simulated request by request: a loop with one core, clients before it, Redis behind it.

How the loop works, and so the simulation: it wakes when something is there, takes everything that has arrived, and
answers one request after the other. A request that the cache cannot answer adds its lookup to the batch that leaves
when all of the turn are done; the batch's reply is another event, after which its requests are answered one by one.

Rules:
- Time is in seconds, the clock starts at 0, chance comes from a seeded generator: the same numbers each time.
- A loop that had nothing to do pays for waking up (the system's share, cold caches): that is why a request costs more
  CPU the fewer of them come, in the simulation as in the measurement.
- What a pod does besides requests (collecting garbage, scrapes, timers) are stalls of the loop at random instants.
"""

import heapq
import math
import random
from collections import deque

import msgspec

_ARRIVAL, _REPLY, _STALL = 0, 1, 2


class Costs(msgspec.Struct, frozen=True):
    """What things take of the pod's core, in seconds."""

    wake: float
    """A turn that begins after the loop had nothing to do."""
    hit: float
    """An introspection answered from the cache, all of it."""
    ask: float
    """A miss until its lookup is in the batch."""
    answer: float
    """A miss from its reply on."""


class Redis(msgspec.Struct, frozen=True):
    """What the pod sees of Redis."""

    trip: float = 0.0
    """Network there and back, and the system's share on both sides, for each batch."""
    lookup: float = 0.0
    """Redis' own time for each lookup of a batch."""
    busy: float = 0.0
    """The part of its time that Redis gives to others, below 1: batches wait for it as in an M/M/1 queue."""


class Arrivals(msgspec.Struct, frozen=True):
    """How requests come: independently of each other and of the answers (Poisson)."""

    rate: float
    """Requests a second."""
    tick: float = 0.0
    """0, or the grain of the sender's clock: requests of one grain leave together, as wrk's do (1 ms)."""
    gap: float = 0.0
    """How far apart the requests of one grain leave at least: what the sender takes for one."""


class Stalls(msgspec.Struct, frozen=True):
    """Work of the pod that is no request."""

    every: float = math.inf
    """Mean seconds between two, exponential."""
    seconds: float = 0.0
    """Mean length of one, exponential."""


class Outcome(msgspec.Struct, frozen=True):
    """What a simulated run came to."""

    requests: int
    rate: float
    busy: float
    """The part of the core that was used."""
    wakes: float
    """A second."""
    mean: float
    p50: float
    p95: float
    p99: float
    mean_batch: float
    """Lookups in a batch; 0 without any."""


def simulate(  # noqa: C901, PLR0912, PLR0915 - one loop, in the order in which the real one does it
    costs: Costs,
    arrivals: Arrivals,
    *,
    hit_ratio: float = 1.0,
    redis: Redis = Redis(),  # noqa: B008 - frozen
    stalls: Stalls = Stalls(),  # noqa: B008
    seconds: float = 2.0,
    seed: int = 1,
) -> Outcome:
    """Requests of ``seconds``, of which the first tenth is not counted."""
    chance = random.Random(seed)  # noqa: S311 - a simulation
    requests = _arrival_times(arrivals, seconds, chance)
    waiting: deque[tuple[int, float, int]] = deque()  # kind, when it came (a stall: how long), number of the request
    replies: list[tuple[float, int, list[int]]] = []
    next_stall = chance.expovariate(1 / stalls.every) if stalls.every < math.inf else math.inf
    took: list[float] = []
    now = used = redis_free = 0.0
    arrived = batches = looked_up = wakes = 0
    warm = seconds / 10
    idle = True
    while True:
        while arrived < len(requests) and requests[arrived] <= now:
            waiting.append((_ARRIVAL, requests[arrived], arrived))
            arrived += 1
        while replies and replies[0][0] <= now:
            for number in heapq.heappop(replies)[2]:
                waiting.append((_REPLY, requests[number], number))
        while next_stall <= now:
            waiting.append((_STALL, chance.expovariate(1 / stalls.seconds), 0))
            next_stall += chance.expovariate(1 / stalls.every)
        if not waiting:
            upcoming = requests[arrived] if arrived < len(requests) else math.inf
            upcoming = min(upcoming, replies[0][0] if replies else math.inf)
            if upcoming == math.inf:
                break
            now = upcoming
            idle = True
            continue
        began = now
        if idle:
            wakes += 1
            now += costs.wake
            idle = False
        batch: list[int] = []
        while waiting:
            kind, since, number = waiting.popleft()
            if kind == _STALL:
                now += since
            elif kind == _ARRIVAL and hit_ratio < 1 and chance.random() >= hit_ratio:
                now += costs.ask
                batch.append(number)
            else:
                now += costs.hit if kind == _ARRIVAL else costs.answer
                if since >= warm:
                    took.append(now - since)
        if batch:
            batches += 1
            looked_up += len(batch)
            at = max(now + redis.trip / 2, redis_free)
            if redis.busy > 0 and chance.random() < redis.busy:  # M/M/1: who waits, waits exponentially
                at += chance.expovariate((1 - redis.busy) / max(redis.lookup * len(batch), 1e-9))
            redis_free = at + redis.lookup * len(batch)
            heapq.heappush(replies, (redis_free + redis.trip / 2, batches, batch))
        used += now - began
    took.sort()
    return Outcome(
        requests=len(took),
        rate=len(requests) / seconds,
        busy=used / max(now, seconds),
        wakes=wakes / max(now, seconds),
        mean=sum(took) / len(took),
        p50=quantile(took, 0.50),
        p95=quantile(took, 0.95),
        p99=quantile(took, 0.99),
        mean_batch=looked_up / batches if batches else 0.0,
    )


def quantile(ordered: list[float], share: float) -> float:
    """The least value that so many are at most."""
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def _arrival_times(arrivals: Arrivals, seconds: float, chance: random.Random) -> list[float]:
    times: list[float] = []
    at = last = 0.0
    while True:
        at += chance.expovariate(arrivals.rate)
        if at >= seconds:
            return times
        leaves = at if arrivals.tick == 0 else math.ceil(at / arrivals.tick) * arrivals.tick
        last = max(leaves, last + arrivals.gap) if times else leaves
        times.append(last)


def mean_by_formula(rate: float, service: float) -> float:
    """The mean time in an M/D/1 queue (Pollaczek-Khinchine): the simulation without waking or Redis."""
    load = rate * service
    return service + load * service / (2 * (1 - load))
