"""Measures the model's constants: the service on one core, Redis and the load on the other.

Rules:
- The costs of the service are CPU seconds of its process, those of Redis are what Redis says of itself (INFO): both
  hold where something else took a part of a core, which rates do not.
- A cost is measured at full load unless its name says otherwise.
- A point of a curve is tried up to :data:`TRIES` times, until others leave the machine alone; that in which they took
  the least counts, and says how much that was.
"""

import asyncio
import contextlib
import os
import resource
import selectors
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis

from benchmarks import clients, rows
from benchmarks.idle_cores import polling
from benchmarks.load import Load, Script, run_wrk
from benchmarks.machine import describe, split_cores
from benchmarks.redis_process import KEY_PREFIX, fill, redis_server
from benchmarks.rounds import progress
from benchmarks.servers import Server, free_port, service
from loadtest import scrape
from loadtest.model.measurements import Measured, Point

TOKENS = 300_000
"""Thirty times what the cache holds: asked uniformly, 3 % are hits, which is taken off."""
SECONDS = 3
CONNECTIONS = 64
CURVE_CONNECTIONS = 256
CURVE_PAUSES_MS = (100.0, 30.0, 15.0, 10.0, 7.5, 6.0, 5.0)
"""Mean pauses of 256 connections: 2,500 to 50,000 requests a second, as far as the service follows."""
TRIES = 4
UNDISTURBED = 0.08
"""Cores that others may take without a try being made again."""
IDLE_CONNECTIONS = 2_000
SUBSCRIBERS = 50
PUBLICATIONS = 4_000


class _Bench:
    """What runs, and what is asked of it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.server_cores, self.load_cores = split_cores()
        self.redis: redis.Redis = redis.Redis.from_url(url)
        self.tokens = folder / "tokens"
        self.url = url
        self.folder = folder
        self.metrics_port = free_port()

    def start(self, name: str, **more: str) -> contextlib.AbstractContextManager[Server]:
        settings = {
            **rows.settings(self.folder),
            "REDIS_URL": self.url,
            "REDIS_KEY_PREFIX": KEY_PREFIX,
            "KEYS_FILE": str(self.folder / "keyring.json"),
        }
        return service(self.server_cores, {**settings, **more}, name=name)

    def load(self, server: Server, path: str, script: Script, connections: int = CONNECTIONS) -> Load:
        before = server.cpu_seconds()
        load = run_wrk(server.url(path), script, seconds=SECONDS, connections=connections, cores=self.load_cores)
        cpu = server.cpu_seconds() - before
        if load.refused or load.failed or not load.requests:
            raise RuntimeError(f"{path}: of {load.requests} answers {load.refused} refused, {load.failed} failed")
        progress(f"{path}: {load.rate:,.0f}/s, {cpu / load.requests * 1e6:.1f} µs, p99 {load.p99_ms:.2f} ms")
        return Load(load.requests, load.seconds, load.p50_ms, load.p99_ms, 0, 0, cpu)

    def info(self) -> dict[str, float]:
        """Redis' CPU seconds, bytes of network and memory."""
        told: Any = self.redis.info("everything")
        return {
            "cpu": told["used_cpu_user"] + told["used_cpu_sys"],
            "bytes": told["total_net_input_bytes"] + told["total_net_output_bytes"],
            "memory": told["used_memory"],
        }

    def misses(self, pause_ms: int = 0) -> Script:
        authorization = clients.authorization(clients.OPAQUE)
        return Script("wide.lua", (authorization, str(self.tokens.absolute()), str(pause_ms)))


def measure() -> Measured:
    """All constants. Raises LoadError, ServerError or RuntimeError."""
    _, load_cores = split_cores()
    with polling() as polled, tempfile.TemporaryDirectory() as name, redis_server(load_cores) as store:
        bench = _Bench(Path(name), store.url)
        while True:
            with contextlib.suppress(redis.ConnectionError):
                empty = bench.info()["memory"]
                break
            time.sleep(0.05)
        asyncio.run(fill(store.url, bench.tokens, TOKENS))
        token_bytes = (bench.info()["memory"] - empty) / TOKENS
        deliveries = _deliveries(bench)
        with bench.start("the service", METRICS_ADDR=f"127.0.0.1:{bench.metrics_port}") as server:
            idle = server.resident_mb() * 1e6
            with bench.start("a second replica") as other:
                costs = _costs(bench, server, other)
            hits = _curve(bench, server, _same(server))
            misses = _curve(bench, server, None)
            sizes = _sizes(server)
            connection_bytes = _idle_connections(server)
    return Measured(
        machine=describe(idle_cores_polled=polled),
        when=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        redis_token_bytes=token_bytes,
        redis_delivery_cpu=deliveries,
        idle_bytes=idle,
        connection_bytes=connection_bytes,
        hits=hits,
        misses=misses,
        **sizes,
        **costs,
    )


def _same(server: Server) -> str:
    """A fresh opaque token."""
    return rows.issue(server, clients.OPAQUE)


def _costs(bench: _Bench, server: Server, other: Server) -> dict[str, float]:
    opaque, jwt = (clients.authorization(name) for name in (clients.OPAQUE, clients.JWT))
    grant = "grant_type=client_credentials"
    hit = bench.load(server, "/oauth/introspect", Script.same("POST", opaque, f"token={_same(server)}"))
    hit_cpu = hit.cpu_seconds / hit.requests

    before, batches = bench.info(), _batches(bench)
    miss = bench.load(server, "/oauth/introspect", bench.misses())
    after, batches_after = bench.info(), _batches(bench)
    share = min(1.0, 10_000 / TOKENS)
    missed = miss.requests * (1 - share)
    slow_before = bench.info()
    slow = bench.load(server, "/oauth/introspect", bench.misses(pause_ms=30))
    slow_after = bench.info()

    issue_before = bench.info()
    issued = bench.load(server, "/oauth/token", Script.same("POST", opaque, grant))
    issue_after = bench.info()
    signed = bench.load(server, "/oauth/token", Script.same("POST", jwt, grant))
    token = rows.issue(server, clients.JWT)
    verified = bench.load(server, "/oauth/introspect", Script.same("POST", jwt, f"token={token}"))

    # Beside it the second replica does nothing but hear; what it spends on beats is taken off.
    quiet = other.cpu_seconds()
    time.sleep(SECONDS)
    quiet = other.cpu_seconds() - quiet
    revoke_before, heard = bench.info(), other.cpu_seconds()
    revoked = bench.load(server, "/oauth/revoke", bench.misses())
    revoke_after, heard = bench.info(), other.cpu_seconds() - heard
    return {
        "hit_cpu": hit_cpu,
        "miss_cpu": (miss.cpu_seconds / miss.requests - share * hit_cpu) / (1 - share),
        "redis_lookup_cpu": (after["cpu"] - before["cpu"]) / missed,
        "redis_lookup_bytes": (after["bytes"] - before["bytes"]) / missed,
        "redis_lookup_alone_cpu": (slow_after["cpu"] - slow_before["cpu"]) / (slow.requests * (1 - share)),
        "full_batch": (batches_after[0] - batches[0]) / max(1.0, batches_after[1] - batches[1]),
        "issue_opaque_cpu": issued.cpu_seconds / issued.requests,
        "redis_issue_cpu": (issue_after["cpu"] - issue_before["cpu"]) / issued.requests,
        "redis_issue_bytes": (issue_after["bytes"] - issue_before["bytes"]) / issued.requests,
        "issue_jwt_cpu": signed.cpu_seconds / signed.requests,
        "introspect_jwt_cpu": verified.cpu_seconds / verified.requests,
        "revoke_cpu": revoked.cpu_seconds / revoked.requests,
        "redis_revoke_cpu": (revoke_after["cpu"] - revoke_before["cpu"]) / revoked.requests,
        "heard_cpu": max(0.0, heard - quiet) / revoked.requests,
    }


def _batches(bench: _Bench) -> tuple[float, float]:
    series = scrape.parse(scrape.fetch(f"http://127.0.0.1:{bench.metrics_port}/metrics"))
    return scrape.plain(series, "store_batch_size_sum") or 0.0, scrape.plain(series, "store_batch_size_count") or 0.0


def _deliveries(bench: _Bench) -> float:
    """CPU seconds of Redis for each message to each subscriber, as the difference of many and none."""

    def published() -> float:
        before = bench.info()["cpu"]
        for _ in range(PUBLICATIONS):  # one by one: no two messages share a write
            bench.redis.publish("ended", b"\0" * 60)
        return bench.info()["cpu"] - before

    alone = published()
    with _subscribed(bench, SUBSCRIBERS):
        together = published()
    return (together - alone) / (PUBLICATIONS * SUBSCRIBERS)


@contextlib.contextmanager
def _subscribed(bench: _Bench, count: int) -> Iterator[None]:
    """Connections that subscribe, and a thread that takes what comes."""
    address = bench.redis.connection_pool.connection_kwargs
    ended = threading.Event()
    with contextlib.ExitStack() as opened, selectors.DefaultSelector() as selector:
        for _ in range(count):
            listener = opened.enter_context(socket.create_connection((address["host"], address["port"]), 5))
            listener.sendall(b"SUBSCRIBE ended\r\n")
            listener.recv(1 << 16)
            selector.register(listener, selectors.EVENT_READ, listener)

        def take() -> None:
            while not ended.is_set():
                for key, _ in selector.select(0.1):
                    key.data.recv(1 << 20)

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _curve(bench: _Bench, server: Server, token: str | None) -> tuple[Point, ...]:
    opaque = clients.authorization(clients.OPAQUE)
    points = []
    for pause in CURVE_PAUSES_MS:
        if token is None:
            script = Script("scattered.lua", (opaque, str(bench.tokens.absolute()), str(pause)))
        else:
            script = Script.paced(opaque, f"token={token}", pause)
        tries: list[Point] = []
        while len(tries) < TRIES and not any(point.others <= UNDISTURBED for point in tries):
            machine, wrk, own = _machine_seconds(), _children_seconds(), bench.info()["cpu"]
            load = bench.load(server, "/oauth/introspect", script, CURVE_CONNECTIONS)
            own = bench.info()["cpu"] - own + _children_seconds() - wrk + load.cpu_seconds
            others = max(0.0, _machine_seconds() - machine - own) / load.seconds
            tries.append(Point(load.rate, load.p50_ms, load.p99_ms, load.core_share, round(others, 3)))
        points.append(min(tries, key=lambda point: point.others))
    return tuple(points)


def _machine_seconds() -> float:
    """What all processors have worked so far (proc_stat(5): all of the first line but idle and waiting)."""
    user, nice, system, _, _, *more = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    return (user + nice + system + sum(more)) / os.sysconf("SC_CLK_TCK")


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _sizes(server: Server) -> dict[str, float]:
    """Bytes of requests and responses."""
    authorization = clients.authorization(clients.OPAQUE)
    token = _same(server)
    asked, answered = _exchange(server, "/oauth/introspect", authorization, f"token={token}")
    issue_asked, issue_answered = _exchange(server, "/oauth/token", authorization, "grant_type=client_credentials")
    return {
        "request_bytes": asked,
        "response_bytes": answered,
        "issue_request_bytes": issue_asked,
        "issue_response_bytes": issue_answered,
    }


def _exchange(server: Server, path: str, authorization: str, form: str) -> tuple[float, float]:
    request = (
        f"POST {path} HTTP/1.1\r\nHost: auth-service.auth.svc.cluster.local\r\nAccept: */*\r\n"
        f"User-Agent: a-client/1.0\r\nAuthorization: {authorization}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n{form}"
    ).encode()
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(request)
        time.sleep(0.2)
        return float(len(request)), float(len(connection.recv(1 << 16)))


def _idle_connections(server: Server) -> float:
    before = server.resident_mb()
    with contextlib.ExitStack() as opened:
        for _ in range(IDLE_CONNECTIONS):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", server.port), 5))
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
            connection.recv(1 << 16)
        return (server.resident_mb() - before) * 1e6 / IDLE_CONNECTIONS
