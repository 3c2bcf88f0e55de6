"""The client libraries of the npm world: oauth4webapi, openid-client (certified clients) and jose."""

import json
from collections.abc import Callable

from jwt.algorithms import ECAlgorithm

from tests.programs.service_calls import JsonObject, ServiceCalls
from tests.programs.service_clients import (
    API,
    ASSERTION_KEY,
    BASIC,
    JWT,
    OTHER_API,
    POST,
    REFRESHER,
    SIGNED,
)

RunNode = Callable[..., str]
PRIVATE_JWK = {**json.loads(ECAlgorithm.to_jwk(ASSERTION_KEY)), "kid": "assertion-key", "alg": "ES256"}
CLIENTS: list[JsonObject] = [
    {"id": BASIC.id, "secret": BASIC.secret, "method": "client_secret_basic"},
    {"id": POST.id, "secret": POST.secret, "method": "client_secret_post"},
    {"id": JWT.id, "secret": JWT.secret, "method": "client_secret_basic"},
    {"id": REFRESHER.id, "secret": REFRESHER.secret, "method": "client_secret_basic"},
    {"id": SIGNED.id, "jwk": PRIVATE_JWK, "method": "private_key_jwt"},
]
WITH_REFRESH_TOKEN = {REFRESHER.id, SIGNED.id}


def run(run_node: RunNode, script: str, service: ServiceCalls, **environment: str) -> JsonObject:
    settings = {"ISSUER": service.process.base_url, "AUDIENCE": API, "CLIENTS": json.dumps(CLIENTS), **environment}
    seen: JsonObject = json.loads(run_node(script, environment=settings))
    return seen


def test_oauth4webapi(service: ServiceCalls, run_node: RunNode) -> None:
    seen = run(run_node, "oauth4webapi.mjs", service)
    assert seen["sameIssuer"]
    for client in CLIENTS:
        result = seen[client["id"]]
        assert result["granted"] == {"token_type": "bearer", "expires_in": 3600, "scope": "read"}
        assert result["active"]["active"]
        assert result["active"]["client_id"] == client["id"]
        assert result.get("refreshed", False) is (client["id"] in WITH_REFRESH_TOKEN)
        assert result["afterwards"] == {"active": False}
    assert seen["validated"]["client_id"] == JWT.id
    assert seen["refusal"] == {
        "name": "WWWAuthenticateChallengeError",
        "code": "OAUTH_WWW_AUTHENTICATE_CHALLENGE",
        "status": 401,
        "scheme": "basic",
    }


def test_openid_client(service: ServiceCalls, run_node: RunNode) -> None:
    seen = run(run_node, "openid-client.mjs", service)
    for client in CLIENTS:
        result = seen[client["id"]]
        assert 3590 <= result["expiresIn"] <= 3600  # it counts down from the moment of the answer
        assert result["scope"] == "read"
        assert result["active"]["active"]
        assert result.get("refreshed", False) is (client["id"] in WITH_REFRESH_TOKEN)
        assert result["afterwards"] == {"active": False}
    assert seen["metadata"]["issuer"] == service.process.base_url
    assert seen["metadata"]["subject_types_supported"] == ["public"]
    assert seen["supportsPKCE"] is False  # there is no authorization endpoint yet
    assert (seen["refusal"]["error"], seen["refusal"]["status"]) == ("invalid_scope", 400)


def test_jose_verifies_by_the_jwks(service: ServiceCalls, run_node: RunNode) -> None:
    good = service.access_token(JWT, scope="read")
    header, payload, signature = good.split(".")
    other = service.access_token(JWT, resource=OTHER_API)
    tokens = [good, other, f"{header}.{payload}.{signature[::-1]}", service.access_token(BASIC)]
    verified, *refused = json.loads(
        run_node(
            "jose.mjs",
            environment={"ISSUER": service.process.base_url, "AUDIENCE": API, "TOKENS": json.dumps(tokens)},
        )
    )
    assert verified["algorithm"] == "ES256"
    assert (verified["payload"]["client_id"], verified["payload"]["scope"]) == (JWT.id, "read")
    assert refused == [
        {"error": "ERR_JWT_CLAIM_VALIDATION_FAILED"},
        {"error": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"},
        {"error": "ERR_JWS_INVALID"},
    ]
