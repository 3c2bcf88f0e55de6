"""Several processes on one Redis: what a request costs by their number, and what a second core brings.

Rules:
- Replicas share the server's core, Redis and the load have the other. Each replica has the same load, so that the
  batches of a loop's tick are as large in each; together they leave the core room, so that none waits for another.
- For the cores everything is doubled: on one core a process and its load, on two cores such a pair on each. Redis is
  the one thing that both share.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import clients, rows
from benchmarks.http_rounds import Schedule
from benchmarks.load import Load
from benchmarks.machine import split_cores
from benchmarks.redis_process import KEY_PREFIX, Redis, fill, redis_server
from benchmarks.redis_rows import misses, together
from benchmarks.rounds import Arm, interleave, progress
from benchmarks.rows import Row
from benchmarks.servers import Server, cpu_seconds, service
from benchmarks.statistics import Spread, round_ratios, spread

REPLICAS = (1, 2, 3, 4)
TOKENS = 200_000
"""Twenty times what the cache of a process holds."""
PAUSE_MS = 14
"""64 connections that wait so long between two requests make over 4,000 a second."""
HIT, MISS, ISSUING = "introspection, cache hit", "introspection, a miss each", "client_credentials, opaque"


class Replicas(msgspec.Struct, frozen=True):
    """So many processes, each with the same load of misses."""

    count: int
    rate: Spread
    """Requests a second, all together."""
    service_us: Spread
    """CPU time of the processes a request, in µs."""
    redis_us: Spread
    """CPU time of Redis a request, in µs."""
    p99_ms: float


class Cores(msgspec.Struct, frozen=True):
    """One kind of request on one core and on two."""

    name: str
    one: Spread
    """Requests a second where a process and its load have one core."""
    two: Spread
    """Where two such pairs have a core each."""
    times: Spread
    """The second over the first, round by round."""


class Processes(msgspec.Struct, frozen=True):
    replicas: tuple[Replicas, ...]
    cores: tuple[Cores, ...]


def measure(schedule: Schedule, folder: Path) -> Processes:
    """Replicas first, then cores. Raises LoadError or ServerError."""
    with contextlib.ExitStack() as running:
        server_cores, load_cores = split_cores()
        redis = running.enter_context(redis_server(load_cores))
        tokens = folder / "tokens-of-replicas"
        progress(f"putting {TOKENS:,} tokens into Redis")
        asyncio.run(fill(redis.url, tokens, TOKENS))
        settings = _settings(folder, redis)
        replicas = [running.enter_context(service(server_cores, settings)) for _ in REPLICAS]
        of_redis: dict[int, list[float]] = {count: [] for count in REPLICAS}
        arms = [
            Arm(str(count), partial(_paced, replicas[:count], tokens, redis, of_redis[count], load_cores))
            for count in REPLICAS
        ]
        loads = interleave(
            arms, rounds=schedule.rounds, seconds=schedule.seconds, warm_up_seconds=schedule.warm_up_seconds
        )
    found = tuple(replicas_of(count, loads[str(count)], of_redis[count][1:]) for count in REPLICAS)
    return Processes(found, _measure_cores(schedule, folder))


def replicas_of(count: int, loads: Sequence[Load], redis_seconds: Sequence[float]) -> Replicas:
    """The figures of so many processes from their rounds; ``redis_seconds``: Redis's CPU time in each of them."""
    return Replicas(
        count=count,
        rate=spread([load.rate for load in loads]),
        service_us=spread([1e6 / load.rate_on_cpu for load in loads]),
        redis_us=spread([seconds / load.requests * 1e6 for load, seconds in zip(loads, redis_seconds, strict=True)]),
        p99_ms=spread([load.p99_ms for load in loads]).median,
    )


def _measure_cores(schedule: Schedule, folder: Path) -> tuple[Cores, ...]:
    first, second = (cores[0] for cores in split_cores())
    with contextlib.ExitStack() as running:
        redis = running.enter_context(redis_server([first, second]))
        tokens = folder / "tokens-of-cores"
        asyncio.run(fill(redis.url, tokens, TOKENS))
        settings = _settings(folder, redis)
        pair = [(running.enter_context(service([core], settings)), [core]) for core in (first, second)]
        one = rows.issue(pair[0][0], clients.OPAQUE)
        kinds: dict[str, Callable[[Server], Row]] = {
            HIT: lambda server: rows.introspection(server, HIT, one),
            MISS: lambda server: misses(server, MISS, tokens),
            ISSUING: lambda server: rows.issuance(server, ISSUING, clients.OPAQUE),
        }
        arms = [
            Arm(f"{name}, {count}", partial(together, pair[:count], row))
            for name, row in kinds.items()
            for count in (1, 2)
        ]
        loads = interleave(
            arms, rounds=schedule.rounds, seconds=schedule.seconds, warm_up_seconds=schedule.warm_up_seconds
        )
    return tuple(_cores_of(name, loads[f"{name}, 1"], loads[f"{name}, 2"]) for name in kinds)


def _cores_of(name: str, one: Sequence[Load], two: Sequence[Load]) -> Cores:
    rates = [[load.rate for load in loads] for loads in (two, one)]
    return Cores(name, spread(rates[1]), spread(rates[0]), spread(round_ratios(*rates)))


def _paced(  # noqa: PLR0917 - partial gives all but the last
    servers: Sequence[Server], tokens: Path, redis: Redis, of_redis: list[float], cores: list[int], seconds: float
) -> Load:
    before = cpu_seconds(redis.pid)
    row = partial(misses, name=MISS, tokens=tokens, pause_ms=PAUSE_MS)
    load = together([(server, cores) for server in servers], row, seconds)
    of_redis.append(cpu_seconds(redis.pid) - before)
    return load


def _settings(folder: Path, redis: Redis) -> dict[str, str]:
    return {
        **rows.settings(folder),
        "REDIS_URL": redis.url,
        "REDIS_KEY_PREFIX": KEY_PREFIX,
        "KEYS_FILE": str(folder / f"keyring-{redis.pid}.json"),
    }
