"""Faults of the store, of clients and of what is around the service, until their alerts fire and are resolved again."""

import hashlib
import time
from pathlib import Path

import httpx
import pytest
import redis as redis_client

from tests.conftest import StartRedis
from tests.livefire.conftest import CableTo, Range, Repeatedly
from tests.livefire.shortened import CLOSE_REVOCATIONS, QUICK_CERTIFICATES
from tests.programs.certificates import issue
from tests.programs.ports import free_port
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC, LIMITED, REFRESHER

pytestmark = [pytest.mark.live_fire, pytest.mark.timeout(600)]


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
    firing_range.start("two")  # so that something is scraped before the process starts
    with firing_range.incident(
        "started while Redis is away, `STORE_FALLBACK=memory`", "StoreDegraded", "RateLimiterFailingOpen"
    ):
        redis.kill()
        firing_range.traffic(firing_range.start("one", **settings))
    redis.restart()
    firing_range.over()


def test_redis_is_slow(firing_range: Range, redis_process: StartRedis, cable_to: CableTo) -> None:
    redis = redis_process()
    cable = cable_to(redis.port)
    firing_range.start(REDIS_URL=cable.url, CACHE_MAX_ENTRIES="0")
    firing_range.traffic(pause=0.005)
    with firing_range.incident("Redis answers 150 ms late", "StoreSlow", "HighResponseTime"):
        cable.delay_seconds = 0.15
    cable.delay_seconds = 0.0
    firing_range.over()


@pytest.mark.parametrize("overrides", [CLOSE_REVOCATIONS], ids=["0.1 s"])
def test_what_redis_publishes_is_late(firing_range: Range, redis_process: StartRedis, cable_to: CableTo) -> None:
    redis = redis_process()
    cable = cable_to(redis.port)
    firing_range.start(REDIS_URL=cable.url)
    firing_range.traffic()
    with firing_range.incident("messages of Redis come 150 ms late", "RevocationPropagationSlow"):
        cable.delay_seconds = 0.15
    cable.delay_seconds = 0.0
    firing_range.over()


def test_what_redis_publishes_does_not_come(firing_range: Range, redis_process: StartRedis, cable_to: CableTo) -> None:
    redis = redis_process()
    cable = cable_to(redis.port)
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


def test_secrets_are_guessed(firing_range: Range, repeatedly: Repeatedly) -> None:
    service = firing_range.start()

    client = httpx.Client(base_url=service.base_url, auth=(BASIC.id, "guess"))

    def guess() -> None:
        client.post("/oauth/token", data={"grant_type": "client_credentials"})

    with firing_range.incident("a wrong secret twenty times a second", "BruteForce"):
        stop = repeatedly(guess, 0.04)
    stop()
    client.close()
    firing_range.over()


def test_a_client_is_over_its_limit(firing_range: Range, repeatedly: Repeatedly) -> None:
    service = firing_range.start()

    def ask() -> None:
        httpx.post(f"{service.base_url}/oauth/token", auth=LIMITED.basic, data={"grant_type": "client_credentials"})

    with firing_range.incident("a client of 5 requests a minute asks twenty times a second", "ManyRequestsLimited"):
        stop = repeatedly(ask, 0.04)
    stop()
    firing_range.over()


def test_refresh_tokens_are_used_twice(
    firing_range: Range, redis_process: StartRedis, repeatedly: Repeatedly, tmp_path: Path
) -> None:
    settings = {"REDIS_URL": redis_process().url, "AUDIT_LOG": str(tmp_path / "audit.jsonl")}
    calls = ServiceCalls(firing_range.start(**settings))

    def reuse() -> None:
        token = str(calls.token(REFRESHER)["refresh_token"])
        calls.refresh(REFRESHER, token)
        calls.refresh(REFRESHER, token)
        firing_range.operators_environment["DIGEST"] = hashlib.sha256(token.encode()).hexdigest()

    with firing_range.incident("refresh tokens come a second time, three a second", "RefreshTokenReuseSpike"):
        stop = repeatedly(reuse, 0.3)
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


@pytest.mark.parametrize("overrides", [QUICK_CERTIFICATES], ids=["2 s"])
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
