"""What is measured with Redis as the store: the server on one core, Redis and the load on the other.

Rules:
- A million tokens lie in Redis, a hundred times what the cache holds: asked uniformly, every one is a miss.
- Where two things are compared, they run in the same rounds.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import clients, rows
from benchmarks.load import Load, Script
from benchmarks.machine import split_cores
from benchmarks.redis_process import KEY_PREFIX, fill, redis_server
from benchmarks.rounds import Arm, progress
from benchmarks.rows import Row
from benchmarks.servers import Server, bare_server, service

REDIS_TOKENS = 1_000_000
QUARTER_PAUSE_MS = 7
"""64 connections that wait so long between two requests make 8,000 a second, a quarter of what one core can do."""

ASGI_HIT = "Redis: FAST_PATH=asgi: introspection, cache hit"
ASGI_MISS = "Redis: FAST_PATH=asgi: introspection, a miss each"
ASGI_ISSUING = "Redis: FAST_PATH=asgi: client_credentials, opaque"
HIT = "Redis: introspection, cache hit"
MISS = "Redis: introspection, a miss each"
UNBATCHED = "Redis: a miss each, STORE_BATCHING=off"
ISSUING = "Redis: client_credentials, opaque"
PAIR = "Redis: a miss each, two processes, each at a quarter of the rate"
FULL_PAIR = "Redis: a miss each, two processes that share a core, as many as they can"
QUARTER = "Redis: a miss each, a quarter of the rate"
IN_MEMORY = "memory: introspection"
"""What a cache hit can come to at most: the same without a cache in front of anything."""
QUARTER_IN_MEMORY = "memory: a quarter of the rate"


@contextlib.contextmanager
def arms(
    folder: Path, only: Sequence[str] = (), count: int = REDIS_TOKENS
) -> Iterator[tuple[list[Arm], dict[str, float | None]]]:
    """Everything that takes turns, the bare server first, and the targets by name; ``count`` tokens lie in Redis.

    Raises LoadError or ServerError.
    """
    server_cores, load_cores = split_cores()
    with contextlib.ExitStack() as running:
        url = running.enter_context(redis_server(load_cores)).url
        tokens, in_memory = folder / "tokens-in-redis", folder / "tokens-in-memory"
        progress(f"putting {count:,} tokens into Redis")
        started = time.monotonic()
        asyncio.run(fill(url, tokens, count))
        progress(f"they are there after {time.monotonic() - started:.0f} s")
        common = {
            **rows.settings(folder),
            "REDIS_URL": url,
            "REDIS_KEY_PREFIX": KEY_PREFIX,
            "KEYS_FILE": str(folder / "keyring.json"),
        }

        def start(name: str, **more: str) -> Server:
            return running.enter_context(service(server_cores, {**common, **more}, name=name))

        bare = running.enter_context(bare_server(server_cores))
        first, second = start("the service"), start("a second process")
        unbatched = start("the unbatched service", STORE_BATCHING="off")
        asgi = start("FAST_PATH=asgi", FAST_PATH="asgi")
        memory = running.enter_context(service(server_cores, rows.settings(folder), name="the service in memory"))
        rows.collect_tokens(memory, in_memory, rows.LIVE_TOKENS, load_cores)

        one = rows.issue(first, clients.OPAQUE)
        quarter = partial(misses, pause_ms=QUARTER_PAUSE_MS, tries=1)
        measured: list[tuple[Row, Server]] = [
            (rows.introspection(asgi, ASGI_HIT, one, target=0.60), asgi),
            (misses(asgi, ASGI_MISS, tokens, target=0.40), asgi),
            (rows.issuance(asgi, ASGI_ISSUING, clients.OPAQUE, target=0.40), asgi),
            (rows.introspection(first, HIT, one, target=1.6), first),
            (rows.introspection(memory, IN_MEMORY, rows.issue(memory, clients.OPAQUE)), memory),
            (misses(first, MISS, tokens, target=0.6), first),
            (rows.issuance(first, ISSUING, clients.OPAQUE, target=0.6), first),
            (misses(unbatched, UNBATCHED, tokens), unbatched),
            (quarter(first, QUARTER, tokens), first),
            (quarter(memory, QUARTER_IN_MEMORY, in_memory), memory),
        ]
        wanted = [Arm(rows.YARDSTICK, _runner(rows.constant(bare), bare, load_cores))]
        wanted += [
            Arm(row.name, _runner(row, server, load_cores)) for row, server in measured if _is_wanted(row.name, only)
        ]
        for name, pause_ms in ((PAIR, QUARTER_PAUSE_MS), (FULL_PAIR, 0)):
            if _is_wanted(name, only):
                row = partial(misses, name=name, tokens=tokens, pause_ms=pause_ms, tries=1)
                wanted.append(Arm(name, partial(together, [(first, load_cores), (second, load_cores)], row)))
        yield wanted, {row.name: row.target for row, _ in measured}


def misses(
    server: Server,
    name: str,
    tokens: Path,
    *,
    pause_ms: int = 0,
    tries: int = rows.TRIES,
    target: float | None = None,
) -> Row:
    """Introspection of a file's tokens, each as likely as any other: the cache of a process hardly ever has them."""
    script = Script("wide.lua", (clients.authorization(clients.OPAQUE), str(tokens.absolute()), str(pause_ms)))
    check = partial(rows.check_introspection, server, clients.OPAQUE, rows.last_line(tokens))
    return Row(name, "/oauth/introspect", script, check, tries=tries, target=target)


def _runner(row: Row, server: Server, cores: list[int]) -> Callable[[float], Load]:
    return lambda seconds: rows.run(row, server, seconds=seconds, cores=cores)


def together(servers: Sequence[tuple[Server, list[int]]], row: Callable[[Server], Row], seconds: float) -> Load:
    """Several servers loaded at once, each from its cores: what they came to together."""
    with ThreadPoolExecutor(len(servers)) as at_once:
        loads = list(
            at_once.map(
                lambda pair: rows.run(
                    msgspec.structs.replace(row(pair[0]), tries=1), pair[0], seconds=seconds, cores=pair[1]
                ),
                servers,
            )
        )
    return Load(
        requests=sum(load.requests for load in loads),
        seconds=max(load.seconds for load in loads),
        p50_ms=max(load.p50_ms for load in loads),
        p99_ms=max(load.p99_ms for load in loads),
        refused=0,
        failed=0,
        cpu_seconds=sum(load.cpu_seconds for load in loads),
    )


def _is_wanted(name: str, only: Sequence[str]) -> bool:
    return not only or any(part in name for part in only)
