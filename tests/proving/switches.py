"""What each rollback switch costs in the server's CPU time: ``python -m tests.proving.switches`` prints a table.

Every variant serves the same introspections of tokens in one Redis, 32 at a time, in interleaved rounds; the figure is
the median of CPU microseconds a request, which other load on the machine hardly moves, and its multiple of the default.
"""

import asyncio
import json
import os
import statistics
import tempfile
from itertools import cycle, islice
from pathlib import Path

import uvloop

from tests.programs.redis_process import RedisProcess
from tests.programs.service_clients import write_clients
from tests.programs.service_process import ServiceProcess
from tests.proving.traffic import OPAQUE, PROVERS, authorization
from tests.proving.wire import Wire

VARIANTS: dict[str, dict[str, str]] = {
    "everything on": {},
    "`CACHE_MAX_ENTRIES=0`": {"CACHE_MAX_ENTRIES": "0"},
    "`CACHE_MAX_ENTRIES=0 STORE_BATCHING=off`": {"CACHE_MAX_ENTRIES": "0", "STORE_BATCHING": "off"},
    "`FAST_PATH=asgi`": {"FAST_PATH": "asgi"},
    "`FAST_PATH=off`": {"FAST_PATH": "off"},
    "all of them": {"CACHE_MAX_ENTRIES": "0", "STORE_BATCHING": "off", "FAST_PATH": "off"},
}
ROUNDS, REQUESTS, AT_ONCE, TOKENS = 5, 3_000, 32, 1_000


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def introspect(wire: Wire, tokens: list[str]) -> None:
    waiting = iter(tokens)

    async def some() -> None:
        for token in waiting:
            answer = await wire.post("/oauth/introspect", authorization(OPAQUE), token=token)
            assert answer.status == 200
            assert json.loads(answer.body)["active"]

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def measure(folder: Path) -> None:
    server = RedisProcess("redis-server", folder)
    processes: dict[str, ServiceProcess] = {}
    try:
        shared = {
            "CLIENTS_FILE": str(write_clients(folder / "clients.yaml", PROVERS)),
            "REDIS_URL": server.url,
            "RATE_LIMIT_REQUESTS_PER_MINUTE": "0",
        }
        for number, (name, settings) in enumerate(VARIANTS.items()):
            (folder / str(number)).mkdir()
            processes[name] = ServiceProcess(folder / str(number), {**shared, **settings})
        wires = {name: Wire(process.address[1]) for name, process in processes.items()}
        issuer = wires["everything on"]
        tokens = []
        for _ in range(TOKENS):
            answer = await issuer.post(
                "/oauth/token", authorization(OPAQUE), grant_type="client_credentials", scope="bit0"
            )
            tokens.append(json.loads(answer.body)["access_token"])
        costs: dict[str, list[float]] = {name: [] for name in VARIANTS}
        for number in range(ROUNDS + 1):
            for name, wire in wires.items():
                before = cpu_seconds(processes[name].pid)
                await introspect(wire, list(islice(cycle(tokens), REQUESTS)))
                if number:  # the first round warms up
                    costs[name].append((cpu_seconds(processes[name].pid) - before) / REQUESTS * 1e6)
        least = statistics.median(costs["everything on"])
        print("| introspection | CPU a request | × everything on |\n|---|---|---|")
        for name, some in costs.items():
            print(f"| {name} | {statistics.median(some):.0f} µs | {statistics.median(some) / least:.2f} |")
        for wire in wires.values():
            wire.close()
    finally:
        for process in processes.values():
            process.kill()
        server.kill()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name_of_folder:
        uvloop.run(measure(Path(name_of_folder)))
