"""What is measured with Redis as the store: the server on one core, Redis and the load on the other.

Rules:
- A million tokens lie in Redis, a hundred times what the cache holds: asked uniformly, every one is a miss.
- Where two things are compared, they run in the same rounds.
"""

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from app import clock, randomness
from app.model.tokens import RECORD_VERSION, AccessTokenRecord, TokenKind
from app.protocol.opaque_token import new_tag, new_token, token_ref
from app.storage import bulk
from app.storage.interface import Issuance
from app.storage.redis.opening import redis_store
from app.storage.redis_options import parse_redis_url
from benchmarks import clients, rows
from benchmarks.load import Load, LoadError, Script
from benchmarks.machine import split_cores
from benchmarks.rounds import Arm, progress
from benchmarks.rows import Row
from benchmarks.servers import Server, bare_server, free_port, service

REDIS_TOKENS = 1_000_000
KEY_PREFIX = "benchmark"
TOKEN_SECONDS = 86_400
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
QUARTER_IN_MEMORY = "memory: a quarter of the rate"


@contextlib.contextmanager
def redis_server(cores: Sequence[int]) -> Iterator[str]:
    """A redis-server that keeps nothing on disk; its URL. Raises LoadError where there is none."""
    program = shutil.which("redis-server")
    if program is None:
        raise LoadError("redis-server is not on the PATH: sudo apt-get install -y redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="benchmarks-redis-") as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        pinned = ["taskset", "-c", ",".join(map(str, cores)), program, *options]
        process = subprocess.Popen(pinned, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(10)


async def fill(url: str, file: Path, count: int) -> None:
    """Put ``count`` live opaque tokens into Redis and into a file, one a line. Raises StoreError."""
    store = redis_store(
        parse_redis_url(url),
        KEY_PREFIX,
        now=clock.unix_now,
        stopwatch=clock.stopwatch,
        random_bytes=randomness.random_bytes,
        deadline_seconds=10.0,
        connect_seconds=10.0,
    )
    for _ in range(100):
        with contextlib.suppress(Exception):
            await store.open()
            break
        await asyncio.sleep(0.05)
    now = int(clock.unix_now())
    record = AccessTokenRecord(
        RECORD_VERSION,
        clients.OPAQUE,
        clients.OPAQUE,
        "read write",
        ("https://api.example.com",),
        now,
        now + TOKEN_SECONDS,
    )
    with file.open("w") as lines:

        def issuances() -> Iterator[Issuance]:
            for _ in range(count):
                token = new_token(TokenKind.ACCESS, new_tag(randomness.random_bytes), randomness.random_bytes)
                lines.write(token + "\n")
                yield Issuance(access=(token_ref(token), record))

        # Nobody else is there to leave room for.
        await bulk.save_all(store, issuances(), lambda: 0.0, size=500)
    await store.close()


@contextlib.contextmanager
def arms(
    folder: Path, only: Sequence[str] = (), count: int = REDIS_TOKENS
) -> Iterator[tuple[list[Arm], dict[str, float | None]]]:
    """Everything that takes turns, the bare server first, and the targets by name; ``count`` tokens lie in Redis.

    Raises LoadError or ServerError.
    """
    server_cores, load_cores = split_cores()
    with contextlib.ExitStack() as running:
        url = running.enter_context(redis_server(load_cores))
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
        quarter = partial(_misses, pause_ms=QUARTER_PAUSE_MS, tries=1)
        measured: list[tuple[Row, Server]] = [
            (rows.introspection(asgi, ASGI_HIT, one, target=0.60), asgi),
            (_misses(asgi, ASGI_MISS, tokens, target=0.40), asgi),
            (rows.issuance(asgi, ASGI_ISSUING, clients.OPAQUE, target=0.40), asgi),
            (rows.introspection(first, HIT, one), first),
            (_misses(first, MISS, tokens), first),
            (rows.issuance(first, ISSUING, clients.OPAQUE), first),
            (_misses(unbatched, UNBATCHED, tokens), unbatched),
            (quarter(first, QUARTER, tokens), first),
            (quarter(memory, QUARTER_IN_MEMORY, in_memory), memory),
        ]
        wanted = [Arm(rows.YARDSTICK, _runner(rows.yardstick(bare), bare, load_cores))]
        wanted += [
            Arm(row.name, _runner(row, server, load_cores)) for row, server in measured if _is_wanted(row.name, only)
        ]
        for name, pause_ms in ((PAIR, QUARTER_PAUSE_MS), (FULL_PAIR, 0)):
            if _is_wanted(name, only):
                row = partial(_misses, name=name, tokens=tokens, pause_ms=pause_ms, tries=1)
                wanted.append(Arm(name, partial(_both, (first, second), row, load_cores)))
        yield wanted, {row.name: row.target for row, _ in measured}


def _misses(
    server: Server,
    name: str,
    tokens: Path,
    *,
    pause_ms: int = 0,
    tries: int = rows.TRIES,
    target: float | None = None,
) -> Row:
    script = Script("wide.lua", (clients.authorization(clients.OPAQUE), str(tokens.absolute()), str(pause_ms)))
    check = partial(rows.check_introspection, server, clients.OPAQUE, rows.last_line(tokens))
    return Row(name, "/oauth/introspect", script, check, tries=tries, target=target)


def _runner(row: Row, server: Server, cores: list[int]) -> Callable[[float], Load]:
    return lambda seconds: rows.run(row, server, seconds=seconds, cores=cores)


def _both(servers: Sequence[Server], row: Callable[[Server], Row], cores: list[int], seconds: float) -> Load:
    """Two processes on one core and one Redis, loaded at once: what they came to together."""
    with ThreadPoolExecutor(len(servers)) as at_once:
        loads = list(
            at_once.map(
                lambda server: rows.run(row(server), server, seconds=seconds, cores=cores),
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
