"""Three ways for replicas to hear of a revocation, measured: ``python -m tests.redis.compare_channels PORT``.

The server on PORT of 127.0.0.1 is emptied. Ten replicas read 16 random keys of 200,000 every 4 ms; one key at a time
is deleted, and it is measured when the last replica has heard of it, counted from the reply to whoever deleted it.
"""

import asyncio
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import hiredis
import uvloop

REPLICAS, KEYS, DELETIONS, VALUE = 10, 200_000, 1_000, b"v" * 150
NOTE = {
    "pub/sub": "redis.call('GETDEL', KEYS[1]) redis.call('PUBLISH', 'ended', KEYS[1])",
    "stream": "redis.call('GETDEL', KEYS[1]) redis.call('XADD', 'ended', 'MAXLEN', '~', 1000, '*', 'k', KEYS[1])",
    "client tracking": "redis.call('GETDEL', KEYS[1])",
}


class Connection(asyncio.Protocol):
    """Replies in order, messages to whoever hears them."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.reader = hiredis.Reader()
        self.waiting: list[asyncio.Future[Any]] = []
        self.hear: Callable[[Any], None] = print

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        while (reply := self.reader.gets()) is not False:
            if isinstance(reply, list) and reply and reply[0] == b"message":
                self.hear(reply[2])
            else:
                self.waiting.pop(0).set_result(reply)

    def call(self, *arguments: Any) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        self.transport.write(hiredis.pack_command(arguments))
        return future


async def connect(port: int) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


async def information(connection: Connection, section: str) -> dict[str, str]:
    lines = (await connection.call("INFO", section)).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


async def cpu_seconds(connection: Connection) -> float:
    values = await information(connection, "cpu")
    return float(values["used_cpu_sys"]) + float(values["used_cpu_user"])


async def subscribe(way: str, ears: Connection, reader: Connection, heard: Callable[[bytes], None]) -> None:
    def hear(message: Any) -> None:
        for key in message if isinstance(message, list) else [message]:
            heard(key)

    ears.hear = hear
    if way == "pub/sub":
        await ears.call("SUBSCRIBE", "ended")
    elif way == "client tracking":
        identity = await ears.call("CLIENT", "ID")
        await ears.call("SUBSCRIBE", "__redis__:invalidate")
        await reader.call("CLIENT", "TRACKING", "ON", "REDIRECT", identity)


async def follow_stream(ears: Connection, heard: Callable[[bytes], None]) -> None:
    last = b"$"
    while True:
        for _, entries in await ears.call("XREAD", "BLOCK", 0, "STREAMS", "ended", last):
            for identity, fields in entries:
                last = identity
                heard(fields[1])


async def read_along(reader: Connection, counted: list[int]) -> None:
    while True:
        await reader.call("MGET", *(b"key:%d" % random.randrange(KEYS) for _ in range(16)))
        counted[0] += 16
        await asyncio.sleep(0.004)


async def measure(way: str, port: int) -> str:
    operator = await connect(port)
    await operator.call("FLUSHALL")
    for start in range(0, KEYS, 1000):
        pairs = [part for number in range(start, start + 1000) for part in (b"key:%d" % number, VALUE)]
        await operator.call("MSET", *pairs)
    readers = [await connect(port) for _ in range(REPLICAS)]
    ears = [await connect(port) for _ in range(REPLICAS)]
    arrivals: list[float] = []
    for reader, ear in zip(readers, ears, strict=True):
        await subscribe(way, ear, reader, lambda _: arrivals.append(time.perf_counter()))
    counted = [0]
    tasks = [asyncio.create_task(read_along(reader, counted)) for reader in readers]
    if way == "stream":
        tasks += [
            asyncio.create_task(follow_stream(ear, lambda _: arrivals.append(time.perf_counter()))) for ear in ears
        ]
    await asyncio.sleep(1)
    cpu, reads, started, delays = await cpu_seconds(operator), counted[0], time.perf_counter(), []
    for number in range(DELETIONS):
        key = b"key:%d" % (number * 7)
        await asyncio.gather(*(reader.call("GET", key) for reader in readers))
        arrivals.clear()
        await operator.call("EVAL", NOTE[way], 1, key)
        replied = time.perf_counter()
        while len(arrivals) < REPLICAS and time.perf_counter() - replied < 1:  # noqa: ASYNC110 - is what is measured
            await asyncio.sleep(0.001)
        delays.append(max(0.0, max(arrivals) - replied) if len(arrivals) >= REPLICAS else 1.0)
    cpu, reads = await cpu_seconds(operator) - cpu, counted[0] - reads
    memory = int((await information(operator, "memory"))["used_memory"])
    for task in tasks:
        task.cancel()
    for connection in (operator, *readers, *ears):
        connection.transport.abort()
    delays.sort()
    p50, p99, longest = (delays[int((len(delays) - 1) * part)] * 1000 for part in (0.5, 0.99, 1))
    return (
        f"{way:16} p50 {p50:5.2f} ms  p99 {p99:5.2f} ms  max {longest:6.2f} ms  "
        f"Redis: {cpu / reads * 1e6:5.2f} us of CPU a read, {memory / 1e6:5.1f} MB  "
        f"({reads / (time.perf_counter() - started):,.0f} reads/s)"
    )


async def compare(port: int) -> None:
    for _ in range(3):
        for way in NOTE:
            print(await measure(way, port))


if __name__ == "__main__":
    uvloop.run(compare(int(sys.argv[1])))
