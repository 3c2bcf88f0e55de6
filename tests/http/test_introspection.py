"""Introspection (RFC 7662): who may see what of a token, and one answer for all else."""

import time

import pytest

from tests.programs.service_calls import ServiceCalls, assert_refused, good_json
from tests.programs.service_clients import (
    API,
    AUDITOR,
    BASIC,
    JWT,
    OPAQUE_FOR_API,
    OTHER,
    OTHER_API,
    PUBLIC,
    REFRESHER,
    RESOURCE,
    SHORT,
    SHORT_JWT,
    RegisteredClient,
)

INACTIVE = b'{"active":false}'
DIFFERS_BY_NATURE = {"date", "x-request-id"}


@pytest.fixture(scope="session")
def service(service_on_each_store: ServiceCalls) -> ServiceCalls:
    return service_on_each_store


def test_an_opaque_token_is_described_to_its_client(service: ServiceCalls) -> None:
    before = int(time.time())
    seen = service.introspect(BASIC, service.access_token(BASIC, scope="read"))
    assert seen == {
        "active": True,
        "client_id": "basic",
        "sub": "basic",
        "scope": "read",
        "token_type": "Bearer",
        "iss": service.process.base_url,
        "aud": service.process.base_url,
        "iat": seen["iat"],
        "exp": seen["iat"] + 3600,
    }
    assert before <= seen["iat"] <= time.time()


def test_a_jwt_is_described_by_its_claims(service: ServiceCalls) -> None:
    seen = service.introspect(JWT, service.access_token(JWT, scope="read"))
    assert (seen["active"], seen["client_id"], seen["sub"]) == (True, "jwt", "jwt")
    assert (seen["aud"], seen["iss"], seen["scope"]) == (API, service.process.base_url, "read")
    assert seen["exp"] == seen["iat"] + 3600
    assert seen["jti"]


def test_a_refresh_token_is_shown_to_its_client_alone(service: ServiceCalls) -> None:
    refresh_token = service.token(REFRESHER)["refresh_token"]
    seen = service.introspect(REFRESHER, refresh_token)
    assert seen["active"]
    assert seen["exp"] == seen["iat"] + 7200
    assert "token_type" not in seen
    assert service.introspect(OTHER, refresh_token) == {"active": False}
    assert service.introspect(AUDITOR, refresh_token) == {"active": False}


WHO_SEES = [
    (BASIC, BASIC, True),
    (OTHER, BASIC, False),  # own: others' tokens are none of its business
    (AUDITOR, BASIC, True),  # all
    (RESOURCE, BASIC, False),  # audience: the token is for the issuer
    (RESOURCE, OPAQUE_FOR_API, True),  # audience: it is for one of the caller's
    (RESOURCE, RESOURCE, True),
    (JWT, JWT, True),
    (OTHER, JWT, False),
    (AUDITOR, JWT, True),
    (RESOURCE, JWT, True),
]


@pytest.mark.parametrize(
    ("caller", "owner", "sees"), WHO_SEES, ids=[f"{caller.id}-{owner.id}" for caller, owner, _ in WHO_SEES]
)
def test_the_setting_decides_what_a_caller_sees(
    service: ServiceCalls, caller: RegisteredClient, owner: RegisteredClient, sees: bool
) -> None:
    assert service.is_active(caller, service.access_token(owner)) is sees


def test_a_token_for_another_audience_is_not_seen(service: ServiceCalls) -> None:
    for owner in (OPAQUE_FOR_API, JWT):
        assert service.introspect(RESOURCE, service.access_token(owner, resource=OTHER_API)) == {"active": False}
        both = service.access_token(owner, resource=[OTHER_API, API])
        assert service.is_active(RESOURCE, both)


def test_everything_that_is_not_alive_gets_one_answer(service: ServiceCalls) -> None:
    """Expired, unknown, revoked, malformed and not the caller's: alike in body and headers."""
    expired = [service.access_token(SHORT), service.access_token(SHORT_JWT)]
    revoked = [service.access_token(AUDITOR), service.access_token(REFRESHER)]
    for token, owner in zip(revoked, (AUDITOR, REFRESHER), strict=True):
        assert service.revoke(owner, token).status_code == 200
    family = service.token(REFRESHER)
    good_json(service.refresh(REFRESHER, family["refresh_token"]))
    alive = service.access_token(BASIC)
    signed = service.access_token(JWT)
    time.sleep(1.1)  # the two that live for a second
    tokens = {
        "expired": expired[0],
        "expired jwt": expired[1],
        "revoked": revoked[0],
        "family revoked": revoked[1],
        "used refresh token": family["refresh_token"],
        "malformed": "nonsense",
        "of no kind": alive.replace("asa_", "asx_"),
        "wrong checksum": alive[:-1] + ("0" if alive[-1] != "0" else "1"),
        "broken signature": signed[:-4] + ("AAAA" if signed[-4:] != "AAAA" else "BBBB"),
        "unsigned": signed.rpartition(".")[0] + ".",
        "one character": "x",
        "very long": "x" * 60_000,
    }
    answers = {name: service.request_introspection(AUDITOR, token) for name, token in tokens.items()}
    answers["not yours"] = service.request_introspection(OTHER, alive)
    answers["not yours, jwt"] = service.request_introspection(OTHER, signed)
    answers["wrong hint"] = service.request_introspection(OTHER, alive, token_type_hint="refresh_token")
    assert service.is_active(AUDITOR, alive)
    assert {name: answer.content for name, answer in answers.items()} == dict.fromkeys(answers, INACTIVE)
    shapes = {
        tuple((name, value) for name, value in answer.headers.items() if name not in DIFFERS_BY_NATURE)
        for answer in answers.values()
    }
    assert len(shapes) == 1
    assert {answer.status_code for answer in answers.values()} == {200}


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense", ""])
def test_the_hint_never_changes_the_answer(service: ServiceCalls, hint: str) -> None:
    tokens = service.token(REFRESHER)
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert service.introspect(REFRESHER, token, token_type_hint=hint) == service.introspect(REFRESHER, token)


def test_a_json_body_is_read_like_a_form(service: ServiceCalls) -> None:
    token = service.access_token(BASIC)
    response = service.http.post("/oauth/introspect", auth=BASIC.basic, json={"token": token})
    assert good_json(response) == service.introspect(BASIC, token)


def test_the_caller_must_authenticate(service: ServiceCalls) -> None:
    token = service.access_token(BASIC)
    assert_refused(service.http.post("/oauth/introspect", data={"token": token}), 401, "invalid_client")
    # RFC 7662 section 2.1: a public client proves nothing, so it gets nothing.
    as_public = service.http.post("/oauth/introspect", data={"token": token, "client_id": PUBLIC.id})
    assert_refused(as_public, 401, "invalid_client")


def test_introspections_are_counted_by_what_came_of_them(service: ServiceCalls) -> None:
    def counts() -> list[float]:
        name = "token_operation_duration_seconds_count"
        return [service.metric(name, operation="introspect", outcome=o) for o in ("active", "inactive", "refused")]

    before = counts()
    token = service.access_token(BASIC)
    service.introspect(BASIC, token)
    service.introspect(OTHER, token)
    service.http.post("/oauth/introspect", data={"token": token})
    assert counts() == [number + 1 for number in before]
