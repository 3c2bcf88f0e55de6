"""A redis-server of the benchmark's own, and live tokens in it."""

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from app import clock, randomness
from app.model.tokens import RECORD_VERSION, AccessTokenRecord, TokenKind
from app.protocol.opaque_token import new_tag, new_token, token_ref
from app.storage import bulk
from app.storage.interface import Issuance
from app.storage.redis.opening import redis_store
from app.storage.redis_options import parse_redis_url
from benchmarks import clients
from benchmarks.children import pin
from benchmarks.load import LoadError
from benchmarks.servers import free_port

KEY_PREFIX = "benchmark"
TOKEN_SECONDS = 86_400


class Redis(msgspec.Struct, frozen=True):
    """A running redis-server."""

    url: str
    pid: int
    port: int


@contextlib.contextmanager
def redis_server(cores: Sequence[int], more: Sequence[str] = ()) -> Iterator[Redis]:
    """A redis-server that keeps nothing on disk. Raises LoadError where there is none.

    ``more``: of its command line, such as ``("--replicaof", "127.0.0.1", "6379")``.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise LoadError("redis-server is not on the PATH: sudo apt-get install -y redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="benchmarks-redis-") as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, *more]
        process = subprocess.Popen(
            [program, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: pin(cores),
        )
        try:
            yield Redis(f"redis://127.0.0.1:{port}/0", process.pid, port)
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
