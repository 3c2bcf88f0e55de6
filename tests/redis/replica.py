"""A replica in a process of its own, so that a test can stop and continue it: ``python replica.py URL PREFIX``.

It says ``ready`` once its cache has a lease. For each line on its standard input (tag and hexadecimal digest of an
access token) it answers ``active`` or ``inactive`` or the name of an error, then ``hit`` or ``asked``.
"""

import asyncio
import sys

from app.clock import monotonic, stopwatch, unix_now
from app.model.tokens import TokenRef
from app.randomness import random_bytes
from app.storage.interface import StoreError
from app.storage.observer import Unobserved
from app.storage.redis.opening import redis_store
from app.storage.redis_options import parse_redis_url
from tests.conformance.issued import look_up


class Lookups(Unobserved):
    last = ""

    def lookup(self, result: str) -> None:
        self.last = result


async def answer_lines(url: str, prefix: str) -> None:
    lookups = Lookups()
    store = redis_store(
        parse_redis_url(url),
        prefix,
        now=unix_now,
        stopwatch=stopwatch,
        random_bytes=random_bytes,
        monotonic=monotonic,
        cache_observer=lookups,
    )
    await store.open()
    while lookups.last != "miss":
        await asyncio.sleep(0.01)
        await look_up(store, TokenRef("0000", bytes(32)))
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while line := await lines.readline():
        tag, digest = line.decode().split()
        try:
            record = await look_up(store, TokenRef(tag, bytes.fromhex(digest)))
            verdict = "inactive" if record is None else "active"
        except StoreError as error:
            verdict = type(error).__name__
        sys.stdout.write(f"{verdict} {lookups.last}\n")
        sys.stdout.flush()
    await store.close()


if __name__ == "__main__":
    asyncio.run(answer_lines(*sys.argv[1:3]))
