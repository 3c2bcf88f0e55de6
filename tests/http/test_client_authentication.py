"""Client authentication (RFC 6749 section 2.3, RFC 7523), the same at every endpoint."""

import base64
import time
from collections.abc import Callable
from urllib.parse import quote_plus

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.programs.service_calls import ASSERTION_TYPE, ServiceCalls, assert_refused, client_assertion, good_json
from tests.programs.service_clients import (
    ASSERTION_KEY,
    AWKWARD,
    BASIC,
    CHOSEN,
    OUTDATED_SECRET,
    POST,
    PUBLIC,
    SECOND_SECRET,
    SIGNED,
    TWO_SECRETS,
    RegisteredClient,
)

ENDPOINTS = ["/oauth/token", "/oauth/introspect", "/oauth/revoke"]
EVERY_ENDPOINT = pytest.mark.parametrize("path", ENDPOINTS)
Send = Callable[..., httpx.Response]


@pytest.fixture
def send(service: ServiceCalls) -> Send:
    """``send(path, form, authorization=)``: a request that any authenticated client may make."""

    def post(path: str, form: dict[str, str], authorization: str | None = None) -> httpx.Response:
        headers = {} if authorization is None else {"authorization": authorization}
        common = {"grant_type": "client_credentials"} if path == "/oauth/token" else {"token": "nonsense"}
        return service.http.post(path, data={**common, **form}, headers=headers)

    return post


def basic(client_id: str, secret: str) -> str:
    """``Authorization: Basic``, without the encoding of RFC 6749 section 2.3.1."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def assertion_form(assertion: str, **more: str) -> dict[str, str]:
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **more}


# ---------------------------------------------------------------------------------------------- what is let in


@EVERY_ENDPOINT
def test_client_secret_basic(send: Send, path: str) -> None:
    assert send(path, {}, basic(*BASIC.basic)).status_code == 200
    assert send(path, {"client_id": BASIC.id}, basic(*BASIC.basic)).status_code == 200
    assert send(path, {}, basic(*BASIC.basic).replace("Basic ", "bAsIc  ")).status_code == 200  # RFC 9110 11.1


@EVERY_ENDPOINT
def test_client_secret_basic_is_percent_decoded(send: Send, path: str) -> None:
    encoded = basic(quote_plus(AWKWARD.id), quote_plus(AWKWARD.secret))
    assert send(path, {}, encoded).status_code == 200
    assert send(path, {}, basic(quote_plus(AWKWARD.id), "wrong")).status_code == 401


@EVERY_ENDPOINT
def test_client_secret_post(send: Send, path: str) -> None:
    assert send(path, {"client_id": POST.id, "client_secret": POST.secret}).status_code == 200


@EVERY_ENDPOINT
@pytest.mark.parametrize("audience", ["", "/oauth/token"], ids=["issuer", "token endpoint"])
def test_private_key_jwt(service: ServiceCalls, send: Send, path: str, audience: str) -> None:
    assertion = client_assertion(service.process.base_url + audience)
    assert send(path, assertion_form(assertion)).status_code == 200
    assert send(path, assertion_form(client_assertion(service.process.base_url), client_id=SIGNED.id)).is_success


@pytest.mark.parametrize("secret", [TWO_SECRETS.secret, SECOND_SECRET], ids=["first", "second"])
def test_two_secrets_are_valid_at_once(send: Send, secret: str) -> None:
    assert send("/oauth/token", {}, basic(TWO_SECRETS.id, secret)).status_code == 200


def test_a_secret_past_its_time_is_not(send: Send) -> None:
    assert_refused(send("/oauth/token", {}, basic(TWO_SECRETS.id, OUTDATED_SECRET)), 401, "invalid_client")


def test_a_chosen_secret_is_verified_by_argon2id(send: Send) -> None:
    for _ in range(2):  # the second time it is remembered
        assert send("/oauth/token", {}, basic(*CHOSEN.basic)).status_code == 200
        assert_refused(send("/oauth/token", {}, basic(CHOSEN.id, CHOSEN.secret + "x")), 401, "invalid_client")


def test_a_public_client_may_revoke_but_not_introspect_or_get_tokens_for_itself(send: Send) -> None:
    form = {"client_id": PUBLIC.id}
    assert send("/oauth/revoke", form).status_code == 200
    assert_refused(send("/oauth/introspect", form), 401, "invalid_client")
    assert_refused(send("/oauth/token", form), 400, "unauthorized_client")


# ---------------------------------------------------------------------------------------------- one method a request

TWO_METHODS: list[tuple[dict[str, str], str | None]] = [
    ({"client_id": POST.id, "client_secret": POST.secret}, basic(*BASIC.basic)),
    ({"client_secret": BASIC.secret}, basic(*BASIC.basic)),
    ({"client_id": "other"}, basic(*BASIC.basic)),
    ({"client_id": POST.id, "client_secret": POST.secret, "client_assertion_type": ASSERTION_TYPE}, None),
    ({"client_assertion": "x.y.z"}, basic(*BASIC.basic)),
    ({"client_assertion": "x.y.z"}, None),
    ({"client_assertion": "x.y.z", "client_assertion_type": "urn:something:else"}, None),
    ({"client_assertion_type": ASSERTION_TYPE}, None),
    ({"client_secret": POST.secret}, None),
]


@EVERY_ENDPOINT
@pytest.mark.parametrize(("form", "authorization"), TWO_METHODS)
def test_a_request_uses_exactly_one_method(
    send: Send, path: str, form: dict[str, str], authorization: str | None
) -> None:
    assert_refused(send(path, form, authorization), 400, "invalid_request")


def by_post(client: RegisteredClient) -> tuple[dict[str, str], None]:
    return {"client_id": client.id, "client_secret": client.secret}, None


ANOTHER_METHOD: list[tuple[dict[str, str], str | None]] = [
    by_post(BASIC),
    ({}, basic(*POST.basic)),
    ({"client_id": BASIC.id}, None),
    ({"client_id": SIGNED.id}, None),
    ({}, basic(SIGNED.id, "anything")),
    ({}, basic(PUBLIC.id, "")),
]


@EVERY_ENDPOINT
@pytest.mark.parametrize(("form", "authorization"), ANOTHER_METHOD)
def test_the_registered_method_is_the_only_one(
    send: Send, path: str, form: dict[str, str], authorization: str | None
) -> None:
    assert_refused(send(path, form, authorization), 401, "invalid_client")


# ---------------------------------------------------------------------------------------------- what is refused

WRONG_HEADERS = [
    None,
    basic(BASIC.id, "wrong"),
    basic(BASIC.id, ""),
    basic(BASIC.id, BASIC.secret + "x"),
    basic(BASIC.id, BASIC.secret[:-1]),
    basic("nobody", BASIC.secret),
    basic("", ""),
    "Basic",
    "Basic !!!!",
    "Basic " + base64.b64encode(b"no-colon").decode(),
    "Basic " + base64.b64encode(b"basic:\xff\xfe").decode(),
    "Basic " + base64.b64encode(b"basic\0:secret").decode(),
    "Basic " + base64.b64encode(b"%ff:%ff").decode(),
    "Bearer " + BASIC.secret,
    "Digest username=basic",
    "nonsense",
]


@EVERY_ENDPOINT
@pytest.mark.parametrize("authorization", WRONG_HEADERS)
def test_every_wrong_header_gets_the_same_answer(send: Send, path: str, authorization: str | None) -> None:
    response = send(path, {}, authorization)
    assert_refused(response, 401, "invalid_client")
    assert response.json()["error_description"] == "client authentication failed"
    # RFC 6749 section 5.2: the scheme that the client may use.
    assert response.headers["www-authenticate"].startswith("Basic realm=")


def wrong_assertions(issuer: str) -> dict[str, str]:
    """Assertions of which each has one thing wrong."""
    now = int(time.time())
    claims = {"iss": SIGNED.id, "sub": SIGNED.id, "aud": issuer, "exp": now + 60, "jti": "x"}
    other_key = ec.generate_private_key(ec.SECP256R1())
    public_pem = "not a key but a password, as an attacker would use the public key"
    return {
        "another audience": client_assertion("https://elsewhere.example.com"),
        "two audiences": client_assertion(issuer, aud=[issuer, "https://elsewhere.example.com"]),
        "no audience": client_assertion(issuer, aud=None),
        "expired": client_assertion(issuer, exp=now - 60),
        "lives too long": client_assertion(issuer, exp=now + 7200),
        "no exp": client_assertion(issuer, exp=None),
        "not yet valid": client_assertion(issuer, nbf=now + 300),
        "from the future": client_assertion(issuer, iat=now + 300),
        "no jti": client_assertion(issuer, jti=None),
        "jti is a number": client_assertion(issuer, jti=7),
        "another subject": client_assertion(issuer, sub=BASIC.id),
        "another issuer": client_assertion(issuer, iss=BASIC.id),
        "no subject": client_assertion(issuer, sub=None),
        "an unknown client": client_assertion(issuer, iss="nobody", sub="nobody"),
        "a client with a secret": client_assertion(issuer, iss=BASIC.id, sub=BASIC.id),
        "another key": jwt.encode(claims, other_key, "ES256", headers={"kid": "assertion-key"}),
        "unsigned": jwt.encode(claims, "", "none", headers={"kid": "assertion-key"}),
        "symmetric": jwt.encode(claims, public_pem, "HS256", headers={"kid": "assertion-key"}),
        "brings its key": jwt.encode(claims, other_key, "ES256", headers={"jwk": {"kty": "EC"}}),
        "points to its key": jwt.encode(claims, other_key, "ES256", headers={"jku": issuer + "/jwks.json"}),
        "critical extension": jwt.encode(claims, ASSERTION_KEY, "ES256", headers={"crit": ["x"], "x": 1}),
        "kid is a path": jwt.encode(claims, other_key, "ES256", headers={"kid": "../../../dev/null"}),
        "exp is text": client_assertion(issuer, exp="soon"),
        "exp is infinite": client_assertion(issuer, exp=1e308),
        "nonsense": "nonsense",
        "empty parts": "..",
        "too long": client_assertion(issuer, padding="x" * 20_000),
    }


@EVERY_ENDPOINT
def test_a_wrong_assertion_is_refused(service: ServiceCalls, send: Send, path: str) -> None:
    answers = {
        name: send(path, assertion_form(assertion))
        for name, assertion in wrong_assertions(service.process.base_url).items()
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 401)
    for answer in answers.values():
        assert_refused(answer, 401, "invalid_client")


def test_an_assertion_is_good_once_at_all_endpoints_together(service: ServiceCalls, send: Send) -> None:
    assertion = client_assertion(service.process.base_url)
    assert good_json(send("/oauth/token", assertion_form(assertion)))
    for path in ENDPOINTS:
        assert_refused(send(path, assertion_form(assertion)), 401, "invalid_client")


def test_a_client_id_beside_an_assertion_must_be_its_subject(service: ServiceCalls, send: Send) -> None:
    assertion = client_assertion(service.process.base_url)
    assert_refused(send("/oauth/token", assertion_form(assertion, client_id=BASIC.id)), 401, "invalid_client")


def test_introspection_takes_credentials_from_json_too(service: ServiceCalls) -> None:
    body = {"token": "nonsense", "client_id": POST.id, "client_secret": POST.secret}
    assert good_json(service.http.post("/oauth/introspect", json=body)) == {"active": False}
    refused = service.http.post("/oauth/introspect", json={**body, "client_secret": "wrong"})
    assert_refused(refused, 401, "invalid_client")
