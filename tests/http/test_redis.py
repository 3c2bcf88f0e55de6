"""Redis: several processes are one service; what happens without it."""

import asyncio
import os
import secrets
import signal
import socket
import time
from binascii import crc32
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.http.test_refreshing import use_in_parallel
from tests.programs.ports import free_port
from tests.programs.redis_process import RedisProcess
from tests.programs.service_calls import ASSERTION_TYPE, ServiceCalls, assert_refused, client_assertion, good_json
from tests.programs.service_clients import AUDITOR, BASIC, CANARY, JWT, REFRESHER, REFRESHER_JWT, RegisteredClient
from tests.programs.service_fixtures import FAST_PATHS, StartService
from tests.programs.service_process import ServiceProcess, wait_until

CallsOf = Callable[[ServiceProcess], ServiceCalls]
StartRedis = Callable[..., RedisProcess]
ISSUER = "https://auth.example.com"
SOON = 2.0
"""Seconds within which a revocation counts in every process."""


@pytest.fixture(scope="module")
def fast_path() -> str:
    """One mode will do: the endpoints' own tests meet Redis in every mode."""
    return FAST_PATHS[0]


@pytest.fixture
def replicas(
    start_service: StartService, calls_of: CallsOf, redis_url: str, redis_key_prefix: str, tmp_path: Path
) -> tuple[ServiceCalls, ServiceCalls]:
    """Two processes on one Redis, with one key ring and one issuer."""
    settings = {
        "REDIS_URL": redis_url,
        "REDIS_KEY_PREFIX": redis_key_prefix,
        "KEYS_FILE": str(tmp_path / "keyring.json"),
        "EXTERNAL_BASE_URL": ISSUER,
    }
    return calls_of(start_service(**settings)), calls_of(start_service(**settings))


def is_dead(service: ServiceCalls, client: RegisteredClient, token: str) -> bool:
    return service.introspect(client, token) == {"active": False}


@pytest.mark.parametrize("client", [BASIC, JWT], ids=["opaque", "jwt"])
def test_what_one_process_issues_all_know_and_what_one_revokes_is_dead_for_all(
    replicas: tuple[ServiceCalls, ServiceCalls], client: RegisteredClient
) -> None:
    one, other = replicas
    token = one.access_token(client)
    assert one.introspect(AUDITOR, token) == other.introspect(AUDITOR, token)
    assert other.is_active(client, token)
    assert other.revoke(client, token).status_code == 200
    assert not other.is_active(client, token)
    wait_until(partial(is_dead, one, client, token), "the revocation to arrive", SOON)


@pytest.mark.parametrize("client", [REFRESHER, REFRESHER_JWT], ids=["opaque", "jwt"])
def test_a_family_is_one_in_all_processes(
    replicas: tuple[ServiceCalls, ServiceCalls], client: RegisteredClient
) -> None:
    one, other = replicas
    first = one.token(client)
    second = good_json(other.refresh(client, first["refresh_token"]))
    assert one.is_active(client, second["access_token"])
    assert_refused(one.refresh(client, first["refresh_token"]), 400, "invalid_grant")
    for service in replicas:
        for token in (first["access_token"], second["access_token"], second["refresh_token"]):
            wait_until(partial(is_dead, service, client, token), "the family to end", SOON)


def test_of_parallel_uses_in_all_processes_one_succeeds(replicas: tuple[ServiceCalls, ServiceCalls]) -> None:
    refresh_token = replicas[0].token(REFRESHER)["refresh_token"]

    async def use_everywhere() -> list[httpx.Response]:
        uses = (use_in_parallel(service.process, refresh_token, 25) for service in replicas)
        return [response for responses in await asyncio.gather(*uses) for response in responses]

    responses = asyncio.run(use_everywhere())
    assert Counter(response.status_code for response in responses) == {200: 1, 400: 49}
    winner = next(response.json() for response in responses if response.status_code == 200)
    for service in replicas:
        wait_until(partial(is_dead, service, REFRESHER, winner["access_token"]), "the family to end", SOON)


def test_an_assertion_is_good_once_in_all_processes_together(replicas: tuple[ServiceCalls, ServiceCalls]) -> None:
    assertion = client_assertion(ISSUER)
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    }
    assert [service.http.post("/oauth/token", data=form).status_code for service in replicas] == [200, 401]


def test_tokens_outlive_the_process(
    start_service: StartService, calls_of: CallsOf, redis_url: str, redis_key_prefix: str
) -> None:
    settings = {"REDIS_URL": redis_url, "REDIS_KEY_PREFIX": redis_key_prefix}
    before = calls_of(start_service(**settings))
    token = before.access_token(BASIC)
    assert before.process.stop() == 0
    assert calls_of(start_service(**settings)).is_active(BASIC, token)


def test_the_key_prefix_keeps_installations_apart(
    start_service: StartService, calls_of: CallsOf, redis_url: str, redis_key_prefix: str
) -> None:
    one, other = (
        calls_of(start_service(REDIS_URL=redis_url, REDIS_KEY_PREFIX=redis_key_prefix + name)) for name in ("a", "b")
    )
    assert not other.is_active(AUDITOR, one.access_token(BASIC))


def test_health_and_stats_say_where_the_tokens_are(
    start_service: StartService, calls_of: CallsOf, redis_process: StartRedis
) -> None:
    service = calls_of(start_service(REDIS_URL=redis_process().url))
    assert good_json(service.http.get("/health"))["store"] == {"kind": "redis", "degraded": False}
    assert good_json(service.http.get("/health/ready"))["checks"]["store"] == "ok"
    service.token(BASIC)
    wait_until(lambda: service.metric("active_tokens") == 1, "the gauge to be brought up to date", 15)
    assert service.metric("store_operation_duration_seconds_count", backend="redis") > 0


def test_the_password_of_redis_is_nowhere_to_be_read(
    start_service: StartService, calls_of: CallsOf, redis_process: StartRedis
) -> None:
    password = f"{CANARY}-password-of-redis"
    redis = redis_process("--requirepass", password)
    for settings in ({"REDIS_PASSWORD": password}, {"REDIS_URL": redis.url.replace("//", f"//:{password}@")}):
        service = calls_of(start_service(**{"REDIS_URL": redis.url, "LOG_LEVEL": "debug", **settings}))
        assert service.is_active(BASIC, service.access_token(BASIC))
        assert CANARY not in httpx.get(f"{service.process.metrics_url}/metrics").text


# ---------------------------------------------------------------------------------------------- without Redis


def unreachable() -> str:
    return f"redis://127.0.0.1:{free_port()}/0"


def test_without_redis_memory_stands_in_and_says_so(start_service: StartService, calls_of: CallsOf) -> None:
    service = calls_of(start_service(REDIS_URL=unreachable()))
    assert good_json(service.http.get("/health"))["status"] == "degraded"
    assert good_json(service.http.get("/health"))["store"]["degraded"] is True
    assert good_json(service.http.get("/health/ready"))["checks"]["store"] == "degraded"
    wait_until(lambda: service.metric("store_degraded") == 1, "the gauge to be brought up to date", 15)
    warnings = [r["message"] for r in service.process.log_records() if r["level"] == "warning"]
    assert any("Redis is unreachable" in warning for warning in warnings)
    tokens = service.token(REFRESHER)
    assert service.is_active(REFRESHER, tokens["access_token"])
    assert good_json(service.refresh(REFRESHER, tokens["refresh_token"]))
    # It may be a token that another process issued: nobody may be told that it is dead.
    unknown = "asa_1" + "0000" + "A" * 43
    answer = service.request_introspection(BASIC, f"{unknown}{crc32(unknown.encode()):08x}")
    assert_refused(answer, 503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert service.introspect(BASIC, "nonsense") == {"active": False}


def test_where_memory_may_not_stand_in_it_waits_for_redis(
    start_service: StartService, calls_of: CallsOf, redis_process: StartRedis, tmp_path: Path, fast_path: str
) -> None:
    redis = redis_process()
    redis.stop()
    settings = {"REDIS_URL": redis.url, "STORE_FALLBACK": "fail", "FAST_PATH": fast_path}
    settings["CLIENT_CREDENTIALS"] = f"{BASIC.id}:{BASIC.secret}"
    process = ServiceProcess(tmp_path, settings, ready_path="/health/live")
    try:
        service = calls_of(process)
        ready = service.http.get("/health/ready")
        assert (ready.status_code, ready.json()["checks"]["store"]) == (503, "unreachable")
        assert_refused(service.request_token(BASIC), 503, "temporarily_unavailable")
        assert service.http.get("/jwks.json").status_code == 200
        redis.restart()
        wait_until(lambda: service.http.get("/health/ready").status_code == 200, "Redis to be found", 15)
        assert service.is_active(BASIC, service.access_token(BASIC))
    finally:
        assert process.stop() == 0
    assert CANARY not in process.logs


def test_redis_lost_while_running_is_an_outage_and_not_a_refusal(
    start_service: StartService, calls_of: CallsOf, redis_process: StartRedis
) -> None:
    redis = redis_process()
    service = calls_of(start_service(REDIS_URL=redis.url))
    assert service.token(BASIC)
    redis.kill()
    began = time.monotonic()
    refused = service.request_token(BASIC)
    assert_refused(refused, 503, "temporarily_unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert time.monotonic() - began < 5
    unknown = service.request_introspection(BASIC, "asa_1" + "0" * 55)
    assert unknown.status_code == 200  # garbage is garbage, with or without Redis
    # All replicas would leave at once, and take the keys with them.
    for path in ("/health/ready", "/health/live", "/jwks.json"):
        assert service.http.get(path).status_code == 200
    signed_elsewhere = service.http.post("/oauth/token", data={"grant_type": "x"}, auth=(BASIC.id, "wrong"))
    assert_refused(signed_elsewhere, 401, "invalid_client")
    redis.restart()
    wait_until(lambda: service.request_token(BASIC).status_code == 200, "Redis to be found again", 15)


# ---------------------------------------------------------------------------------------------- several workers


def ports_in_a_row(count: int) -> int:
    """The first of ``count`` neighbouring ports that were free a moment ago.

    Below those that the system gives to connections (ip(7), ``ip_local_port_range``), or one may be taken meanwhile.
    """
    for _ in range(100):
        first = 20_000 + secrets.randbelow(10_000)
        if all(is_free(first + offset) for offset in range(count)):
            return first
    raise AssertionError(f"no {count} neighbouring ports are free")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@pytest.fixture
def workers(
    start_service: StartService, redis_url: str, redis_key_prefix: str, tmp_path: Path
) -> tuple[ServiceProcess, list[str]]:
    """A service of two workers, and their metrics listeners."""
    metrics = ports_in_a_row(4)
    admin = metrics + 2
    process = start_service(
        "--workers",
        "2",
        REDIS_URL=redis_url,
        REDIS_KEY_PREFIX=redis_key_prefix,
        KEYS_FILE=str(tmp_path / "keyring.json"),
        METRICS_ADDR=f"127.0.0.1:{metrics}",
        ADMIN_ADDR=f"127.0.0.1:{admin}",
    )
    urls = [f"http://127.0.0.1:{metrics + index}" for index in range(2)]
    for url in urls:
        wait_until(partial(answers, f"{url}/health/ready"), "the worker")
    return process, urls


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def is_silent(url: str) -> bool:
    return not answers(url)


def test_workers_are_one_service(workers: tuple[ServiceProcess, list[str]], calls_of: CallsOf) -> None:
    process, urls = workers
    service = calls_of(process)
    tokens = [service.access_token(client) for client in (BASIC, JWT)]
    for _ in range(20):  # each on a connection of its own, so that both workers are asked
        for token in tokens:
            with httpx.Client(base_url=process.base_url) as http:
                answer = http.post("/oauth/introspect", auth=AUDITOR.basic, data={"token": token})
                assert good_json(answer)["active"]
    for url in urls:
        assert httpx.get(f"{url}/metrics").status_code == 200
    assert process.stop() == 0
    assert not any(answers(f"{url}/health/live") for url in [*urls, process.base_url])


def test_a_worker_that_dies_is_replaced(workers: tuple[ServiceProcess, list[str]], calls_of: CallsOf) -> None:
    process, urls = workers
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(children) == 2
    os.kill(children[0], signal.SIGKILL)
    wait_until(lambda: "started again" in process.logs, "the death to be noticed")
    for url in urls:
        wait_until(partial(answers, f"{url}/health/ready"), "the new worker", 20)
    assert calls_of(process).token(BASIC)
    assert process.stop() == 0


def test_workers_end_with_the_process_that_watches_them(workers: tuple[ServiceProcess, list[str]]) -> None:
    """Killed without a chance to pass it on: nobody is left to hold the port and serve on unwatched."""
    process, urls = workers
    process.kill()
    for url in [*urls, process.base_url]:
        wait_until(partial(is_silent, f"{url}/health/live"), "the worker to end")
