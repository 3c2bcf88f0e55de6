"""Revocation (RFC 7009)."""

import pytest

from tests.programs.service_calls import ServiceCalls, assert_refused, good_json
from tests.programs.service_clients import AUDITOR, BASIC, JWT, OTHER, REFRESHER, REFRESHER_JWT, RegisteredClient

INACTIVE = {"active": False}


@pytest.fixture(scope="session")
def service(service_on_each_store: ServiceCalls) -> ServiceCalls:
    return service_on_each_store


@pytest.mark.parametrize("client", [BASIC, JWT], ids=["opaque", "jwt"])
def test_a_revoked_token_is_dead_for_everyone(service: ServiceCalls, client: RegisteredClient) -> None:
    token = service.access_token(client)
    assert service.is_active(AUDITOR, token)
    response = service.revoke(client, token)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["cache-control"] == "no-store"
    for caller in (client, AUDITOR):
        assert service.introspect(caller, token) == INACTIVE


@pytest.mark.parametrize("client", [BASIC, JWT], ids=["opaque", "jwt"])
def test_one_token_is_revoked_and_no_other(service: ServiceCalls, client: RegisteredClient) -> None:
    revoked, kept = service.access_token(client), service.access_token(client)
    service.revoke(client, revoked)
    assert service.is_active(client, kept)


@pytest.mark.parametrize("client", [REFRESHER, REFRESHER_JWT], ids=["opaque", "jwt"])
@pytest.mark.parametrize("use_first", [False, True], ids=["unused", "used"])
def test_a_refresh_token_takes_its_access_tokens_with_it(
    service: ServiceCalls, client: RegisteredClient, use_first: bool
) -> None:
    first = service.token(client)
    dead = [first["access_token"], first["refresh_token"]]
    if use_first:
        second = good_json(service.refresh(client, first["refresh_token"]))
        dead += [second["access_token"], second["refresh_token"]]
    elsewhere = service.token(client)
    assert service.revoke(client, first["refresh_token"]).status_code == 200
    for token in dead:
        assert service.introspect(client, token) == INACTIVE
    assert_refused(service.refresh(client, dead[-1]), 400, "invalid_grant")
    assert service.is_active(client, elsewhere["access_token"])


def test_an_access_token_leaves_its_refresh_token_alone(service: ServiceCalls) -> None:
    """RFC 7009 section 2.1 lets a server take it along; here a client may end one token without ending its session."""
    tokens = service.token(REFRESHER)
    service.revoke(REFRESHER, tokens["access_token"])
    assert service.introspect(REFRESHER, tokens["access_token"]) == INACTIVE
    assert good_json(service.refresh(REFRESHER, tokens["refresh_token"]))


NEVER_LIVED = ["nonsense", "asa_1" + "0" * 55, "eyJhbGciOiJub25lIn0.e30.", "x" * 60_000]


@pytest.mark.parametrize("token", NEVER_LIVED, ids=["nonsense", "opaque", "jwt", "long"])
def test_a_token_that_never_lived_is_dead_already(service: ServiceCalls, token: str) -> None:
    assert service.revoke(BASIC, token).status_code == 200


def test_revoking_twice_is_as_good_as_once(service: ServiceCalls) -> None:
    token = service.access_token(BASIC)
    assert [service.revoke(BASIC, token).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
def test_the_hint_is_not_needed(service: ServiceCalls, hint: str) -> None:
    tokens = service.token(REFRESHER)
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert service.revoke(REFRESHER, token, token_type_hint=hint).status_code == 200
        assert service.introspect(REFRESHER, token) == INACTIVE


@pytest.mark.parametrize("owner", [BASIC, JWT], ids=["opaque", "jwt"])
def test_another_clients_token_stays_untouched(service: ServiceCalls, owner: RegisteredClient) -> None:
    """RFC 7009 section 2.1: "the request is refused and the client is informed of the error"."""
    token = service.access_token(owner)
    assert_refused(service.revoke(OTHER, token), 400, "invalid_grant")
    assert_refused(service.revoke(AUDITOR, token), 400, "invalid_grant")
    assert service.is_active(owner, token)


def test_another_clients_refresh_token_stays_untouched(service: ServiceCalls) -> None:
    tokens = service.token(REFRESHER)
    assert_refused(service.revoke(OTHER, tokens["refresh_token"]), 400, "invalid_grant")
    assert service.is_active(REFRESHER, tokens["access_token"])
    assert good_json(service.refresh(REFRESHER, tokens["refresh_token"]))
