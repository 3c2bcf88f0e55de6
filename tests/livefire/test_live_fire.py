"""Every fault that can be made here, until its alert fires and is resolved again."""

import asyncio
import fcntl
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import jwt
import pytest
import redis as redis_client
from cryptography.hazmat.primitives.asymmetric import ec

from tests.alerts.rule_files import ROOT
from tests.conftest import RequireProgram, StartRedis
from tests.livefire.conftest import Range
from tests.programs.certificates import issue
from tests.programs.ports import free_port
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC, LIMITED, REFRESHER
from tests.programs.service_process import wait_until
from tests.redis.cable import Cable

pytestmark = [pytest.mark.live_fire, pytest.mark.timeout(600)]
Repeatedly = Callable[[Callable[[], object], float], Callable[[], None]]


@pytest.fixture(autouse=True)
def programs(require_program: RequireProgram) -> None:
    for name in ("prometheus", "prometheus-alertmanager"):
        require_program(name)


@contextmanager
def cable_to(port: int) -> Iterator[Cable]:
    """A cable on a loop of its own; its switches may be set from here."""
    made: Future[tuple[Cable, asyncio.Event, asyncio.AbstractEventLoop]] = Future()

    async def lay() -> None:
        ended = asyncio.Event()
        async with Cable(port) as cable:
            made.set_result((cable, ended, asyncio.get_running_loop()))
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(lay()), daemon=True)
    thread.start()
    cable, ended, loop = made.result(timeout=10)
    try:
        yield cable
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()


def test_redis_is_killed(firing_range: Range, redis_process: StartRedis) -> None:
    redis = redis_process()
    firing_range.start(REDIS_URL=redis.url, STORE_FALLBACK="fail", PROBE_INTERVAL_SECONDS="0.5")
    firing_range.traffic()
    expected = ("StoreDown", "HighErrorRate", "StoreErrors", "SyntheticProbeFailing", "ErrorBudgetBurnFast")
    with firing_range.incident("Redis killed, `STORE_FALLBACK=fail`", *expected):
        redis.kill()
    redis.restart()
    firing_range.over()


def test_a_process_starts_while_redis_is_away_and_memory_stands_in(
    firing_range: Range, redis_process: StartRedis
) -> None:
    redis = redis_process()
    settings = {"REDIS_URL": redis.url, "STORE_FALLBACK": "memory", "RATE_LIMIT_BACKEND": "redis"}
    firing_range.start(**settings)
    with firing_range.incident(
        "started while Redis is away, `STORE_FALLBACK=memory`", "StoreDegraded", "RateLimiterFailingOpen"
    ):
        redis.kill()
        firing_range.start(**settings)
        firing_range.traffic()
    redis.restart()
    firing_range.over()


def test_redis_is_slow(firing_range: Range, redis_process: StartRedis) -> None:
    redis = redis_process()
    with cable_to(redis.port) as cable:
        firing_range.start(REDIS_URL=cable.url, CACHE_MAX_ENTRIES="0")
        firing_range.traffic(pause=0.005)
        with firing_range.incident("Redis answers 150 ms late", "StoreSlow", "HighResponseTime"):
            cable.delay_seconds = 0.15
        cable.delay_seconds = 0.0
        firing_range.over()


def test_what_redis_publishes_is_late(firing_range: Range, redis_process: StartRedis) -> None:
    redis = redis_process()
    with cable_to(redis.port) as cable:
        firing_range.start(REDIS_URL=cable.url)
        firing_range.traffic()
        with firing_range.incident("messages of Redis come 150 ms late", "RevocationPropagationSlow"):
            cable.delay_seconds = 0.15
        cable.delay_seconds = 0.0
        firing_range.over()


def test_what_redis_publishes_does_not_come(firing_range: Range, redis_process: StartRedis) -> None:
    redis = redis_process()
    with cable_to(redis.port) as cable:
        firing_range.start(REDIS_URL=cable.url)
        firing_range.traffic()
        with firing_range.incident("no messages of Redis come", "CacheLeaseLost"):
            cable.silent_subscriptions = True
        cable.silent_subscriptions = False
        cable.cut()
        firing_range.over()


def test_redis_comes_and_goes(firing_range: Range, redis_process: StartRedis, repeatedly: Repeatedly) -> None:
    redis = redis_process()

    def flap() -> None:
        redis.stop()
        time.sleep(1.0)
        redis.restart()

    firing_range.start(REDIS_URL=redis.url, STORE_FALLBACK="memory")
    firing_range.traffic()
    with firing_range.incident("Redis stops and starts again every two seconds", "StoreFlapping"):
        stop = repeatedly(flap, 1.0)
    stop()
    firing_range.over()


def test_redis_is_full(firing_range: Range, redis_process: StartRedis) -> None:
    redis = redis_process()
    firing_range.start(REDIS_URL=redis.url)
    firing_range.traffic()
    with redis_client.Redis.from_url(redis.url) as operator:
        with firing_range.incident("Redis has 5 % of its memory left", "StoreMemoryFull"):
            operator.config_set("maxmemory", int(operator.info("memory")["used_memory"] * 1.05))
        operator.config_set("maxmemory", 0)
    firing_range.over()


def test_redis_evicts(firing_range: Range, redis_process: StartRedis) -> None:
    redis = redis_process()
    firing_range.start(REDIS_URL=redis.url)
    firing_range.traffic()
    with redis_client.Redis.from_url(redis.url) as operator:
        with firing_range.incident("Redis is made to evict, and full", "StoreEvicting"):
            for number in range(2_000):
                operator.set(f"other-{number}", b"x" * 1000)
            operator.config_set("maxmemory-policy", "allkeys-random")
            operator.config_set("maxmemory", int(operator.info("memory")["used_memory"] * 0.9))
        operator.config_set("maxmemory-policy", "noeviction")
        operator.config_set("maxmemory", 0)
        firing_range.over()


def test_the_event_loop_is_blocked(firing_range: Range, repeatedly: Repeatedly) -> None:
    service = firing_range.start()
    firing_range.traffic(pause=0.005)

    def stall() -> None:
        os.kill(service.pid, signal.SIGSTOP)
        time.sleep(0.5)
        os.kill(service.pid, signal.SIGCONT)

    expected = ("EventLoopBlocked", "HighResponseTime")
    with firing_range.incident("the process stands still for half of each second", *expected):
        stop = repeatedly(stall, 0.5)
    stop()
    firing_range.over()


def test_the_cpu_is_overloaded(firing_range: Range, require_program: RequireProgram) -> None:
    wrk = require_program("wrk")
    service = firing_range.start()
    load = [wrk, "-t1", "-c32", "-d100s", f"{service.base_url}/jwks.json"]
    with ExitStack() as until_over, firing_range.incident("more requests than one core can answer", "HighCPUUsage"):
        process = until_over.enter_context(subprocess.Popen(load, stdout=subprocess.DEVNULL))
        until_over.callback(process.terminate)
    firing_range.over()


def test_secrets_are_guessed(firing_range: Range, repeatedly: Repeatedly) -> None:
    service = firing_range.start()

    def guess() -> None:
        httpx.post(
            f"{service.base_url}/oauth/token", auth=(BASIC.id, "guess"), data={"grant_type": "client_credentials"}
        )

    with firing_range.incident("a wrong secret twenty times a second", "BruteForce"):
        stop = repeatedly(guess, 0.04)
    stop()
    firing_range.over()


def test_a_client_is_over_its_limit(firing_range: Range, repeatedly: Repeatedly) -> None:
    service = firing_range.start()

    def ask() -> None:
        httpx.post(f"{service.base_url}/oauth/token", auth=LIMITED.basic, data={"grant_type": "client_credentials"})

    with firing_range.incident("a client of 5 requests a minute asks twenty times a second", "ManyRequestsLimited"):
        stop = repeatedly(ask, 0.04)
    stop()
    firing_range.over()


def test_refresh_tokens_are_used_twice(firing_range: Range, repeatedly: Repeatedly) -> None:
    calls = ServiceCalls(firing_range.start())

    def reuse() -> None:
        token = str(calls.token(REFRESHER)["refresh_token"])
        calls.refresh(REFRESHER, token)
        calls.refresh(REFRESHER, token)

    with firing_range.incident("refresh tokens come a second time, three a second", "RefreshTokenReuseSpike"):
        stop = repeatedly(reuse, 0.3)
    stop()
    calls.close()
    firing_range.over()


def test_jwts_of_unknown_keys_come(firing_range: Range, repeatedly: Repeatedly) -> None:
    calls = ServiceCalls(firing_range.start())
    claims = {"iss": calls.process.base_url, "sub": "a", "exp": int(time.time()) + 3600}
    key = ec.generate_private_key(ec.SECP256R1())
    stranger = jwt.encode(claims, key, "ES256", headers={"kid": "unknown", "typ": "at+jwt"})
    with firing_range.incident("JWTs of a key that nobody knows, ten a second", "UnknownKid"):
        stop = repeatedly(lambda: calls.request_introspection(BASIC, stranger), 0.1)
    stop()
    calls.close()
    firing_range.over()


def test_the_clients_file_is_broken(firing_range: Range) -> None:
    service = firing_range.start()
    file = service.folder / "clients.yaml"
    good = file.read_text()
    with firing_range.incident("the clients file has a mistake", "ConfigReloadFailing"):
        file.write_text("version: 1\nclients: nonsense\n")
    file.write_text(good)
    firing_range.over()


def test_one_of_two_is_gone(firing_range: Range) -> None:
    firing_range.start("one")
    other = firing_range.start("two")
    with firing_range.incident("one of two processes is killed", "TargetDown"):
        other.kill()
    firing_range.start("two")
    firing_range.over()


def test_all_are_gone(firing_range: Range) -> None:
    service = firing_range.start(PROBE_INTERVAL_SECONDS="0.5")
    with firing_range.incident("the only process is killed", "TargetAbsent"):
        service.kill()
    firing_range.start()
    firing_range.over()


def test_a_process_starts_again_and_again(firing_range: Range) -> None:
    firing_range.start()
    with firing_range.incident("a process starts again every seven seconds", "InstanceRestarting"):
        for _ in range(5):
            firing_range.start()
            time.sleep(6)  # Prometheus looks for targets every five seconds
    firing_range.over()


def test_audit_events_cannot_be_written(firing_range: Range, repeatedly: Repeatedly) -> None:
    calls = ServiceCalls(firing_range.start(AUDIT_LOG="/dev/full"))
    with firing_range.incident("the disk of the audit log is full", "AuditEventsDropped"):
        stop = repeatedly(lambda: calls.token(BASIC), 0.1)
    stop()
    calls.close()
    firing_range.over()


def test_the_trace_collector_is_away(firing_range: Range, repeatedly: Repeatedly) -> None:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "200",
        "OTEL_TRACES_SAMPLER": "always_on",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    calls = ServiceCalls(firing_range.start(**settings))
    with firing_range.incident("the trace collector is away", "TracesDropped"):
        stop = repeatedly(lambda: calls.introspect(BASIC, "unknown"), 0.02)
    stop()
    calls.close()
    firing_range.over()


def test_a_certificate_ends_soon(firing_range: Range, tmp_path: Path) -> None:
    authority = issue(tmp_path, "authority", days=365)
    first, soon, later = (issue(tmp_path, name, authority, days=n) for name, n in (("a", 90), ("b", 7), ("c", 90)))
    pair = tmp_path / "tls.crt", tmp_path / "tls.key"

    def put(issued_pair: tuple[Path, Path]) -> None:
        for source, target in zip(issued_pair, pair, strict=True):
            target.write_bytes(source.read_bytes())

    put((first.certificate_file, first.key_file))
    firing_range.start(TLS_CERT_FILE=str(pair[0]), TLS_KEY_FILE=str(pair[1]))
    with firing_range.incident("the listener's certificate ends in a week", "CertificateExpiring"):
        put((soon.certificate_file, soon.key_file))
    put((later.certificate_file, later.key_file))
    firing_range.over()


ROTATING = {
    "JWKS_MAX_AGE_SECONDS": "1",
    "KEYS_PROPAGATION_SECONDS": "2",
    "KEY_CLOCK_SKEW_SECONDS": "0",
    "JWKS_ROTATION_SECONDS": "4",
    "JWKS_RETAIN_SECONDS": "60",
    "TOKEN_EXPIRY_SECONDS": "60",
}


def test_rotation_stops(firing_range: Range, tmp_path: Path) -> None:
    ring = tmp_path / "ring" / "keyring.json"
    ring.parent.mkdir()
    firing_range.start(KEYS_FILE=str(ring), **ROTATING)
    lock = ring.with_name(f".{ring.name}.lock")
    expected = ("KeyRotationFailing", "KeyRotationOverdue", "SigningKeyOld")
    with lock.open("ab") as held:
        with firing_range.incident("another process holds the lock of the key ring", *expected):
            fcntl.flock(held, fcntl.LOCK_EX)
        fcntl.flock(held, fcntl.LOCK_UN)
    firing_range.over()


LEAK = """
import pathlib, threading, time
def leak(kept=[]):
    while True:
        time.sleep(0.5)
        if pathlib.Path({switch!r}).exists():
            kept.append(bytearray(b"x") * 5_000_000)
threading.Thread(target=leak, daemon=True).start()
"""


def test_memory_leaks(firing_range: Range, tmp_path: Path) -> None:
    switch, folder = tmp_path / "leak", tmp_path / "customized"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(LEAK.format(switch=str(switch)))
    firing_range.start(PYTHONPATH=str(folder))
    with firing_range.incident("the process grows by 10 MB a second", "MemoryLeak"):
        switch.touch()
    switch.unlink()
    firing_range.start()
    firing_range.over()


def test_the_dead_mans_switch_is_told_all_the_time(firing_range: Range) -> None:
    firing_range.start()
    firing_range.quiet()
    told = firing_range.monitoring.notifications
    wait_until(
        lambda: sum(each.receiver == "dead-mans-switch" for each in told) >= 3, "three signs of life", seconds=60
    )
    assert {each.firing for each in told if each.receiver == "dead-mans-switch"} == {("Watchdog",)}


QUERY = re.compile(r"```promql\n(.*?)```", re.DOTALL)


def test_every_query_of_the_runbooks_runs(firing_range: Range) -> None:
    firing_range.start()
    firing_range.traffic()
    firing_range.quiet()
    queries = [
        line
        for page in sorted((ROOT / "docs/runbooks").glob("*.md"))
        for block in QUERY.findall(page.read_text())
        for line in block.splitlines()
        if line.strip() and not line.startswith("#")
    ]
    assert len(queries) > 60
    for query in queries:
        firing_range.monitoring.query(query)
