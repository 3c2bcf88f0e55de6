"""The limit on each client's requests: 429 with Retry-After (RFC 6585 section 4)."""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.programs.redis_process import RedisProcess
from tests.programs.service_calls import ServiceCalls, assert_refused
from tests.programs.service_clients import AUDITOR, BASIC, CANARY, CHOSEN, OTHER, RegisteredClient, with_secret
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ServiceProcess, wait_until

CallsOf = Callable[[ServiceProcess], ServiceCalls]


def few(number: int) -> RegisteredClient:
    """A client with a low limit of its own: one for each test, because they share a service."""
    return with_secret(f"few-{number}", rate_limit_per_minute=5)


QUICK = with_secret("quick", rate_limit_per_minute=120)
UNLIMITED = with_secret("unlimited", rate_limit_per_minute="unlimited")
DEFAULT, OTHER_DEFAULT = with_secret("default"), with_secret("other-default")
GENERATED = "ascs_" + hashlib.sha256(CANARY.encode()).hexdigest()[:43]
MADE_UP = with_secret("made-up", secret=GENERATED)
CLIENTS = (*map(few, range(4)), QUICK, UNLIMITED, DEFAULT, OTHER_DEFAULT)


@pytest.fixture(scope="module")
def service(start_module_service: StartService) -> Iterator[ServiceCalls]:
    calls = ServiceCalls(start_module_service(clients=CLIENTS, RATE_LIMIT_REQUESTS_PER_MINUTE="10"))
    yield calls
    calls.close()


def statuses(service: ServiceCalls, client: RegisteredClient, count: int) -> list[int]:
    return [service.request_token(client).status_code for _ in range(count)]


def test_a_client_over_its_limit_is_told_when_to_come_again(service: ServiceCalls) -> None:
    results = ("allowed", "limited")
    before = [service.metric("rate_limit_decisions_total", result=result) for result in results]
    assert statuses(service, few(0), 7) == [200] * 5 + [429] * 2
    refused = service.request_token(few(0))
    assert_refused(refused, 429, "slow_down")
    assert 1 <= int(refused.headers["retry-after"]) <= 12  # one more each 12 seconds
    assert refused.headers["ratelimit-policy"] == '"client";q=5;w=60'
    assert refused.headers["ratelimit"] == f'"client";r=0;t={refused.headers["retry-after"]}'
    after = [service.metric("rate_limit_decisions_total", result=result) for result in results]
    assert after == [before[0] + 5, before[1] + 3]


def test_who_has_no_limit_of_its_own_has_the_services(service: ServiceCalls) -> None:
    assert statuses(service, DEFAULT, 11) == [200] * 10 + [429]
    assert statuses(service, UNLIMITED, 100) == [200] * 100


def test_one_clients_limit_is_no_others_business(service: ServiceCalls) -> None:
    statuses(service, few(1), 6)
    assert statuses(service, OTHER_DEFAULT, 10) == [200] * 10


def test_the_endpoints_share_the_limit(service: ServiceCalls) -> None:
    def ask(path: str) -> httpx.Response:
        return service.http.post(path, auth=few(2).basic, data={"token": "x", "grant_type": "client_credentials"})

    paths = ["/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/introspect", "/oauth/token"]
    assert [ask(path).status_code for path in paths] == [200] * 5
    for path in set(paths):
        assert_refused(ask(path), 429, "slow_down")


def test_nobody_can_use_up_anothers_limit(service: ServiceCalls) -> None:
    for _ in range(20):
        form = {"grant_type": "client_credentials"}
        assert service.http.post("/oauth/token", auth=(few(3).id, "wrong"), data=form).status_code == 401
    assert statuses(service, few(3), 5) == [200] * 5


def test_after_the_wait_it_may_go_on(service: ServiceCalls) -> None:
    answers = (service.request_token(QUICK) for _ in range(1000))
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"] == "1"
    time.sleep(1.05)
    assert service.request_token(QUICK).status_code == 200


def test_0_is_no_limit(start_service_once: StartService, calls_of: CallsOf) -> None:
    service = calls_of(start_service_once(clients=(BASIC, few(0)), RATE_LIMIT_REQUESTS_PER_MINUTE="0"))
    assert statuses(service, BASIC, 200) == [200] * 200
    assert statuses(service, few(0), 6) == [200] * 5 + [429]  # a limit of its own stays


# ---------------------------------------------------------------------------------------------- failed attempts

FAILING = {"TRUSTED_PROXIES": "127.0.0.0/8", "RATE_LIMIT_FAILURES_PER_MINUTE": "60"}
FORM = {"grant_type": "client_credentials"}


@pytest.fixture
def guarded(start_service: StartService, calls_of: CallsOf) -> ServiceCalls:
    """A service that counts failures, behind a proxy that it trusts."""
    return calls_of(start_service(clients=(BASIC, CHOSEN, MADE_UP), **FAILING))


def attempt(service: ServiceCalls, client: RegisteredClient, secret: str, address: str) -> httpx.Response:
    headers = {"x-forwarded-for": address}
    return service.http.post("/oauth/token", auth=(client.id, secret), data=FORM, headers=headers)


def test_a_thousand_spoofed_addresses_meet_one_limit(guarded: ServiceCalls) -> None:
    told = []
    for number in range(1000):
        spoofed = f"10.{number >> 8}.{number & 255}.1, 203.0.113.66"
        told.append(attempt(guarded, BASIC, "wrong", spoofed).status_code)
    assert told.count(401) <= 12  # five at once, then after 2, 4, 8 … seconds
    assert set(told) == {401, 429}
    refused = attempt(guarded, BASIC, "wrong", "203.0.113.66")
    assert_refused(refused, 429, "slow_down")
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["ratelimit-policy"] == '"failure";q=60;w=60'


def test_the_delays_do_not_tell_which_clients_exist(guarded: ServiceCalls) -> None:
    def told(client_id: str, address: str) -> list[tuple[int, list[str], str | None]]:
        answers = [attempt(guarded, BASIC._replace(id=client_id), "wrong", address) for _ in range(12)]
        return [(a.status_code, sorted(a.headers), a.headers.get("ratelimit-policy")) for a in answers]

    known = told(BASIC.id, "203.0.113.1")
    assert [status for status, *_ in known] == [401] * 6 + [429] * 6
    assert told("no-such-client", "203.0.113.2") == known
    assert told("x" * 1000, "203.0.113.3") == known


@pytest.mark.parametrize("client", [BASIC, CHOSEN], ids=["as given", "chosen"])
def test_the_real_client_gets_in_from_elsewhere_and_its_neighbours_too(
    guarded: ServiceCalls, client: RegisteredClient
) -> None:
    other = CHOSEN if client is BASIC else BASIC
    assert attempt(guarded, client, client.secret, "203.0.113.66").status_code == 200
    for _ in range(20):
        attempt(guarded, client, "wrong", "203.0.113.66")
    assert attempt(guarded, client, "wrong", "203.0.113.66").status_code == 429
    assert attempt(guarded, client, client.secret, "198.51.100.1").status_code == 200
    assert attempt(guarded, other, other.secret, "203.0.113.66").status_code == 200
    # Even beside the attacker: who was right from there before.
    assert attempt(guarded, client, client.secret, "203.0.113.66").status_code == 200


@pytest.mark.parametrize("client", [BASIC, CHOSEN], ids=["as given", "chosen"])
def test_a_right_guess_during_the_delay_is_refused_like_a_wrong_one(
    guarded: ServiceCalls, client: RegisteredClient
) -> None:
    assert attempt(guarded, client, client.secret, "198.51.100.1").status_code == 200  # the real client is at work
    for _ in range(10):
        attempt(guarded, client, "wrong", "203.0.113.66")
    for secret in ("wrong", client.secret):
        assert_refused(attempt(guarded, client, secret, "203.0.113.66"), 429, "slow_down")
    assert attempt(guarded, client, client.secret, "198.51.100.1").status_code == 200


def test_a_generated_secret_is_never_delayed(guarded: ServiceCalls) -> None:
    for _ in range(10):
        attempt(guarded, MADE_UP, "wrong", "203.0.113.66")
    assert attempt(guarded, MADE_UP, "wrong", "203.0.113.66").status_code == 429
    assert attempt(guarded, MADE_UP, MADE_UP.secret, "203.0.113.66").status_code == 200


def test_a_walk_over_many_clients_finds_no_secret_faster_than_the_bound_of_its_address(
    start_service: StartService, calls_of: CallsOf
) -> None:
    walked = [with_secret(f"walked-{number}", secret="a common word") for number in range(150)]
    guarded = calls_of(start_service(clients=walked, **FAILING))
    for number in range(60):
        attempt(guarded, BASIC._replace(id=f"nobody-{number}"), "wrong", "203.0.113.66")
    started, told = time.monotonic(), []
    for client in walked:
        attempt(guarded, BASIC._replace(id=f"not-{client.id}"), "wrong", "203.0.113.66")  # takes what flowed in
        told.append(attempt(guarded, client, client.secret, "203.0.113.66").status_code)
    assert set(told) <= {200, 429}
    assert told.count(200) <= 2 + time.monotonic() - started  # one a second may flow in just before a right one
    assert attempt(guarded, walked[-1], walked[-1].secret, "198.51.100.1").status_code == 200


def test_a_flood_of_guesses_at_a_chosen_secret_costs_no_hashes(guarded: ServiceCalls) -> None:
    for _ in range(10):
        attempt(guarded, CHOSEN, "wrong", "203.0.113.66")
    unknown = attempt(guarded, CHOSEN, CHOSEN.secret, "203.0.113.66")
    assert_refused(unknown, 429, "slow_down")  # not even looked at: nobody learns whether it was right


# ---------------------------------------------------------------------------------------------- malformed requests


def unreadable(service: ServiceCalls, number: int, address: str, **named: Any) -> httpx.Response:
    """Send a request that is refused before anybody is asked who they are."""
    path = ("/oauth/token", "/oauth/introspect", "/oauth/revoke")[number % 3]
    query, content_type, body = (
        ("?a=b", "application/x-www-form-urlencoded", "token=x"),
        ("", "text/plain", "token=x"),
        ("", "application/x-www-form-urlencoded", "token=x&token=y"),
        ("", "application/x-www-form-urlencoded", "x" * 70_000),
    )[number % 4]
    headers = {"x-forwarded-for": address, "content-type": content_type}
    return service.http.post(path + query, content=body, headers=headers, **named)


def test_a_flood_that_cannot_be_read_meets_a_limit_that_nobody_else_feels(
    start_service: StartService, calls_of: CallsOf, tmp_path: Path
) -> None:
    clients = (BASIC, CHOSEN, MADE_UP, OTHER)
    guarded = calls_of(start_service(clients=clients, AUDIT_LOG=str(tmp_path / "audit"), **FAILING))
    for client in (BASIC, CHOSEN):
        assert attempt(guarded, client, client.secret, "203.0.113.66").status_code == 200
    told = [unreadable(guarded, number, "203.0.113.66").status_code for number in range(300)]
    assert set(told) == {400, 413, 415, 429}
    assert 60 <= len(told) - told.count(429) <= 75  # one more each second
    wait_until(
        lambda: unreadable(guarded, 0, "203.0.113.66").status_code == 400, "the one that is admitted each second"
    )
    refused = unreadable(guarded, 0, "203.0.113.66")
    assert_refused(refused, 429, "slow_down")
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["ratelimit-policy"] == '"failure";q=60;w=60'
    for client in (BASIC, CHOSEN, MADE_UP):
        for address in ("203.0.113.66", "198.51.100.1"):
            assert attempt(guarded, client, client.secret, address).status_code == 200
    # Behind the address of a flood a first attempt might be a guess.
    assert_refused(attempt(guarded, OTHER, OTHER.secret, "203.0.113.66"), 429, "slow_down")
    assert attempt(guarded, OTHER, OTHER.secret, "198.51.100.1").status_code == 200
    assert unreadable(guarded, 0, "198.51.100.1").status_code == 400
    # A client is known by its header: what it sends counts as its own, and is told for what it is.
    assert unreadable(guarded, 0, "203.0.113.66", auth=MADE_UP.basic).status_code == 400
    assert guarded.process.stop() == 0
    events = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    hits = [event for event in events if event["event"] == "limit.hit"]
    assert [(event["limit"], event["address"]) for event in hits] == [("failure", "203.0.113.66")]
    assert len([event for event in events if event["event"] == "token.refused"]) <= 75


# Where Redis does not answer in time the process decides by a budget of its own: then five more are admitted.
@pytest.mark.parametrize(("backend", "requests"), [("memory", 9), ("redis", 12)])
def test_a_client_that_sends_what_cannot_be_read_meets_its_own_limit(
    start_service_once: StartService, calls_of: CallsOf, redis_url: str, backend: str, requests: int
) -> None:
    client = with_secret("unreadable", secret=GENERATED, rate_limit_per_minute=5)
    other = with_secret("readable")
    settings = {"RATE_LIMIT_BACKEND": backend, "REDIS_URL": redis_url, "REDIS_KEY_PREFIX": secrets.token_hex(8)}
    service = calls_of(start_service_once(clients=(client, other), **settings, **FAILING))
    answers = [unreadable(service, 0, "203.0.113.66", auth=client.basic) for _ in range(requests)]
    assert {answer.status_code for answer in answers[:5]} == {400}
    assert_refused(answers[-1], 429, "slow_down")
    assert answers[-1].headers["ratelimit-policy"] == '"client";q=5;w=60'
    assert attempt(service, other, other.secret, "203.0.113.66").status_code == 200


def test_resource_servers_introspect_as_much_as_they_like(start_service_once: StartService, calls_of: CallsOf) -> None:
    service = calls_of(start_service_once(clients=(AUDITOR, BASIC), RATE_LIMIT_REQUESTS_PER_MINUTE="5"))
    token = service.access_token(BASIC)
    assert {service.request_introspection(AUDITOR, token).status_code for _ in range(50)} == {200}
    assert service.metric("rate_limit_decisions_total", **{"class": "introspection", "result": "allowed"}) == 50


# ---------------------------------------------------------------------------------------------- several replicas


def test_replicas_share_one_limit_and_count_for_themselves_while_redis_is_away(
    start_service_once: StartService, calls_of: CallsOf, redis_process: Callable[..., RedisProcess]
) -> None:
    redis = redis_process()
    client = with_secret("shared", rate_limit_per_minute=30)
    settings = {"RATE_LIMIT_BACKEND": "redis", "REDIS_URL": redis.url, "REDIS_KEY_PREFIX": "test:"}
    replicas = [calls_of(start_service_once(clients=(client,), **settings)) for _ in range(3)]
    told = [replicas[number % 3].request_token(client).status_code for number in range(60)]
    # A slice of so small a limit is one request, so nothing is lost; two more may flow in while this runs.
    assert 30 <= told.count(200) <= 32
    redis.kill()
    wait_until(lambda: replicas[0].request_introspection(client, "x").status_code == 200, "its own count")
    assert replicas[0].metric("rate_limit_fallback") == 1
    assert [replicas[0].request_introspection(client, "x").status_code for _ in range(40)].count(200) <= 30
