"""Refreshing (RFC 6749 section 6) with rotation and reuse detection (RFC 9700 section 4.14.2)."""

import asyncio
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from tests.programs.service_calls import ServiceCalls, assert_refused, good_json
from tests.programs.service_clients import (
    API,
    BASIC,
    OTHER,
    OTHER_API,
    REFRESHER,
    REFRESHER_JWT,
    RegisteredClient,
    with_secret,
)
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ServiceProcess

PARALLEL = 50
BOTH_FORMATS = pytest.mark.parametrize("client", [REFRESHER, REFRESHER_JWT], ids=["opaque", "jwt"])


@pytest.fixture(scope="session")
def service(service_on_each_store: ServiceCalls) -> ServiceCalls:
    return service_on_each_store


@BOTH_FORMATS
def test_a_refresh_gives_new_tokens_and_ends_the_used_one(service: ServiceCalls, client: RegisteredClient) -> None:
    first = service.token(client)
    second = good_json(service.refresh(client, first["refresh_token"]))
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert second["scope"] == first["scope"]
    assert service.introspect(client, first["refresh_token"]) == {"active": False}
    assert service.is_active(client, second["refresh_token"])
    # The first access token lives on: rotation is no revocation.
    assert service.is_active(client, first["access_token"])
    assert service.is_active(client, second["access_token"])


@BOTH_FORMATS
def test_a_second_use_ends_the_whole_family(service: ServiceCalls, client: RegisteredClient) -> None:
    reuses = service.metric("refresh_token_reuse_total")
    first = service.token(client)
    second = good_json(service.refresh(client, first["refresh_token"]))
    assert_refused(service.refresh(client, first["refresh_token"]), 400, "invalid_grant")
    assert service.metric("refresh_token_reuse_total") == reuses + 1
    for dead in (first["access_token"], second["access_token"], second["refresh_token"]):
        assert service.introspect(client, dead) == {"active": False}
    assert_refused(service.refresh(client, second["refresh_token"]), 400, "invalid_grant")


def test_of_parallel_uses_one_succeeds_and_the_family_ends(service: ServiceCalls) -> None:
    refresh_token = service.token(REFRESHER)["refresh_token"]
    responses = asyncio.run(use_in_parallel(service.process, refresh_token))
    assert Counter(response.status_code for response in responses) == {200: 1, 400: PARALLEL - 1}
    assert {r.json()["error"] for r in responses if r.status_code == 400} == {"invalid_grant"}
    winner = next(response.json() for response in responses if response.status_code == 200)
    assert service.introspect(REFRESHER, winner["access_token"]) == {"active": False}
    assert_refused(service.refresh(REFRESHER, winner["refresh_token"]), 400, "invalid_grant")


def test_within_the_grace_a_second_use_ends_nothing(
    start_service: StartService, calls_of: Callable[[ServiceProcess], ServiceCalls]
) -> None:
    service = calls_of(start_service(REFRESH_REUSE_GRACE_SECONDS="300"))
    refresh_token = service.token(REFRESHER)["refresh_token"]
    responses = asyncio.run(use_in_parallel(service.process, refresh_token))
    assert Counter(response.status_code for response in responses) == {200: 1, 400: PARALLEL - 1}
    winner = next(response.json() for response in responses if response.status_code == 200)
    assert service.is_active(REFRESHER, winner["access_token"])
    assert good_json(service.refresh(REFRESHER, winner["refresh_token"]))


def test_a_refresh_narrows_the_scope_of_the_access_token_alone(service: ServiceCalls) -> None:
    first = service.token(REFRESHER)
    second = good_json(service.refresh(REFRESHER, first["refresh_token"], scope="read"))
    assert second["scope"] == "read"
    third = good_json(service.refresh(REFRESHER, second["refresh_token"]))
    assert third["scope"] == "read write"  # RFC 6749 section 6: the refresh token keeps the scope


def test_a_refused_widening_uses_nothing_up(service: ServiceCalls) -> None:
    first = service.token(REFRESHER, scope="read", resource=API)
    assert_refused(service.refresh(REFRESHER, first["refresh_token"], scope="read write"), 400, "invalid_scope")
    assert_refused(service.refresh(REFRESHER, first["refresh_token"], resource=OTHER_API), 400, "invalid_target")
    second = good_json(service.refresh(REFRESHER, first["refresh_token"]))
    assert second["scope"] == "read"
    assert service.introspect(REFRESHER, second["access_token"])["aud"] == API


def test_another_client_cannot_use_it_up(service: ServiceCalls) -> None:
    first = service.token(REFRESHER)
    assert_refused(service.refresh(REFRESHER_JWT, first["refresh_token"]), 400, "invalid_grant")
    assert service.is_active(REFRESHER, first["refresh_token"])


def test_a_client_without_refresh_tokens_is_told(service: ServiceCalls) -> None:
    refresh_token = service.token(REFRESHER)["refresh_token"]
    assert_refused(service.refresh(BASIC, refresh_token), 400, "unauthorized_client")


NOT_REFRESH_TOKENS = ["", "nonsense", "asr_1", "asr_1" + "0" * 55, "eyJhbGciOiJub25lIn0.e30."]


@pytest.mark.parametrize("presented", NOT_REFRESH_TOKENS)
def test_what_is_no_refresh_token_is_refused(service: ServiceCalls, presented: str) -> None:
    error = "invalid_grant" if presented else "invalid_request"
    assert_refused(service.refresh(REFRESHER, presented), 400, error)


def test_an_access_token_is_no_refresh_token(service: ServiceCalls) -> None:
    assert_refused(service.refresh(REFRESHER, service.access_token(REFRESHER)), 400, "invalid_grant")


def test_the_family_ends_at_its_time_however_often_it_was_rotated(
    start_service_once: StartService, calls_of: Callable[[ServiceProcess], ServiceCalls]
) -> None:
    settings = {"REFRESH_TOKEN_EXPIRY_SECONDS": "60", "REFRESH_FAMILY_MAX_SECONDS": "60"}
    client = with_secret(
        "family", grants=["client_credentials", "refresh_token"], refresh_token={"enabled": True}, introspect="own"
    )
    service = calls_of(start_service_once(clients=(client, OTHER), **settings))
    first = service.token(client)
    ends = service.introspect(client, first["refresh_token"])["exp"]
    assert first["expires_in"] == 60  # nothing outlives its family
    second = good_json(service.refresh(client, first["refresh_token"]))
    assert service.introspect(client, second["refresh_token"])["exp"] == ends
    assert service.introspect(client, second["access_token"])["exp"] == ends


async def use_in_parallel(process: ServiceProcess, refresh_token: str, times: int = PARALLEL) -> list[httpx.Response]:
    """Use one refresh token many times at once, each on a connection of its own."""
    limits = httpx.Limits(max_connections=times, max_keepalive_connections=times)
    async with httpx.AsyncClient(base_url=process.base_url, limits=limits, timeout=30) as http:
        await asyncio.gather(*(http.get("/health/live") for _ in range(times)))  # connections are open
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        uses = (http.post("/oauth/token", auth=REFRESHER.basic, data=form) for _ in range(times))
        return list(await asyncio.gather(*uses))
