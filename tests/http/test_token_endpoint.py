"""Issuing tokens for client credentials (RFC 6749 section 4.4), opaque and as JWTs (RFC 9068)."""

import base64
import json
import re
import time

import jwt
import pytest

from tests.programs.service_calls import JsonObject, ServiceCalls, assert_refused, good_json
from tests.programs.service_clients import (
    API,
    BASIC,
    JWT,
    NO_GRANT,
    OPAQUE_FOR_API,
    OTHER_API,
    REFRESHER,
    REFRESHER_JWT,
    SHORT,
    RegisteredClient,
)


@pytest.fixture(scope="session")
def service(service_on_each_store: ServiceCalls) -> ServiceCalls:
    return service_on_each_store


def test_an_opaque_token_has_its_form_and_life(service: ServiceCalls) -> None:
    answer = service.token(BASIC)
    assert answer == {
        "access_token": answer["access_token"],
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "read write",
    }
    assert re.fullmatch(r"asa_1[0-9a-f]{4}[A-Za-z0-9_-]{43}[0-9a-f]{8}", answer["access_token"])


def test_no_two_tokens_are_alike(service: ServiceCalls) -> None:
    tokens = {service.access_token(client) for client in (BASIC, BASIC, JWT, JWT)}
    assert len(tokens) == 4


def test_the_answer_is_never_cached(service: ServiceCalls) -> None:
    response = service.request_token(BASIC)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    assert response.headers["content-type"] == "application/json"


SCOPES = [
    (None, "read write"),  # the default scopes, which are fewer than those allowed
    ("read", "read"),
    ("delete", "delete"),
    ("write read", "write read"),
    ("read read", "read"),
    ("", "read write"),  # RFC 6749 section 3.2: without a value is as if omitted
]


@pytest.mark.parametrize(("asked", "given"), SCOPES)
def test_the_scope_is_what_was_asked_for_or_the_default(service: ServiceCalls, asked: str | None, given: str) -> None:
    form = {} if asked is None else {"scope": asked}
    assert service.token(BASIC, **form)["scope"] == given


RESOURCES: list[tuple[list[str], str | list[str]]] = [
    ([], API),  # the first of the client's audiences
    ([API], API),
    ([OTHER_API], OTHER_API),
    ([OTHER_API, API], [OTHER_API, API]),
    ([API, API], API),
]


@pytest.mark.parametrize("client", [OPAQUE_FOR_API, JWT], ids=["opaque", "jwt"])
@pytest.mark.parametrize(("asked", "audience"), RESOURCES)
def test_the_resource_decides_the_audience(
    service: ServiceCalls, client: RegisteredClient, asked: list[str], audience: str | list[str]
) -> None:
    token = service.access_token(client, resource=asked)
    assert service.introspect(client, token)["aud"] == audience


def test_a_client_without_audiences_gets_tokens_for_the_issuer(service: ServiceCalls) -> None:
    assert service.introspect(BASIC, service.access_token(BASIC))["aud"] == service.process.base_url


def test_a_jwt_has_the_profile_of_rfc_9068(service: ServiceCalls) -> None:
    before = int(time.time())
    answer = service.token(JWT, scope="read")
    header, claims = unverified(answer["access_token"])
    assert header.keys() == {"alg", "typ", "kid"}
    assert (header["alg"], header["typ"]) == ("ES256", "at+jwt")
    assert header["kid"] in {key["kid"] for key in good_json(service.http.get("/jwks.json"))["keys"]}
    assert claims.keys() == {"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope"}
    assert (claims["iss"], claims["aud"], claims["scope"]) == (service.process.base_url, API, "read")
    assert claims["sub"] == claims["client_id"] == "jwt"
    assert before <= claims["iat"] <= time.time()
    assert claims["exp"] - claims["iat"] == answer["expires_in"] == 3600


def test_only_clients_set_so_get_a_refresh_token(service: ServiceCalls) -> None:
    assert "refresh_token" not in service.token(BASIC)  # RFC 6749 section 4.4.3
    assert "refresh_token" not in service.token(JWT)
    assert service.token(REFRESHER)["refresh_token"].startswith("asr_1")
    assert service.token(REFRESHER_JWT)["refresh_token"].startswith("asr_1")


def test_nobody_gets_an_id_token_without_a_person(service: ServiceCalls) -> None:
    assert "id_token" not in service.token(REFRESHER)
    assert_refused(service.request_token(BASIC, scope="openid"), 400, "invalid_scope")


def test_a_token_of_one_second_says_so(service: ServiceCalls) -> None:
    assert service.token(SHORT)["expires_in"] == 1


def test_a_client_without_the_grant_is_told(service: ServiceCalls) -> None:
    assert_refused(service.request_token(NO_GRANT), 400, "unauthorized_client")


def test_issued_tokens_are_counted(service: ServiceCalls) -> None:
    opaque = {"grant_type": "client_credentials", "format": "opaque"}
    signed = {"grant_type": "client_credentials", "format": "jwt"}
    before = [service.metric("tokens_issued_total", **labels) for labels in (opaque, signed)]
    service.token(BASIC)
    service.token(BASIC)
    service.token(JWT)
    assert [service.metric("tokens_issued_total", **labels) for labels in (opaque, signed)] == [
        before[0] + 2,
        before[1] + 1,
    ]


def unverified(token: str) -> tuple[JsonObject, JsonObject]:
    """A JWT's header and claims, as anyone can read them."""
    header = json.loads(base64.urlsafe_b64decode(token.split(".", maxsplit=1)[0] + "=="))
    return header, jwt.decode(token, options={"verify_signature": False})
