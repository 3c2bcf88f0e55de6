"""Litestar, called as an ASGI application: it carries hot routes when asked to, and describes them."""

from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar import Request as LitestarRequest

from app.clock import stopwatch
from app.endpoints.answers import json_answer
from app.endpoints.exchange import Request, Response
from app.observability.audit import silent_audit
from app.observability.metrics import Metrics
from app.protocol.errors import invalid_client
from app.protocol.metadata import INTROSPECTION_PATH, JWKS_PATH, REVOCATION_PATH, TOKEN_PATH
from app.randomness import random_bytes
from app.web.edge import Edge
from app.web.framework import error_response, framework, openapi_document
from app.web.routes import GET, POST, Route, route_table

pytestmark = pytest.mark.anyio

SAW: list[Request] = []


async def echo(request: Request) -> Response:
    SAW.append(request)
    if request.authorization is None:
        raise invalid_client("no_credentials")
    return json_answer(request.body or b"{}")


async def broken(request: Request) -> Response:
    raise RuntimeError("canary")


PATHS = {
    "/.well-known/oauth-authorization-server/tenant": GET,
    "/tenant/.well-known/openid-configuration": GET,
    "/health": GET,
    "/health/live": GET,
    "/health/ready": GET,
    "/openapi.json": GET,
    JWKS_PATH: GET,
    TOKEN_PATH: POST,
    INTROSPECTION_PATH: POST,
    REVOCATION_PATH: POST,
}


@pytest.fixture(scope="module")
def application() -> Litestar:
    edge = Edge(metrics=Metrics(), audit=silent_audit(), random_bytes=random_bytes, stopwatch=stopwatch)
    routes = [Route(path, methods, echo) for path, methods in PATHS.items()]
    return framework(edge, route_table(*routes, Route("/broken", GET, broken)), "1.2.3", "https://issuer.example")


async def ask(application: Any, method: str, path: str, **named: Any) -> httpx.Response:
    SAW.clear()
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.request(method, path, **named)


@pytest.mark.parametrize(("path", "methods"), PATHS.items())
async def test_it_carries_every_hot_route(application: Litestar, path: str, methods: tuple[str, ...]) -> None:
    headers = {"authorization": "Basic x", "x-request-id": "given", "content-type": "text/plain"}
    answer = await ask(application, methods[0], path, headers=headers, content=b"body" if methods is POST else b"")
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "given")
    (request,) = SAW
    assert request.authorization == b"Basic x"
    assert request.body == (b"body" if methods is POST else b"")


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", TOKEN_PATH, 405, "POST"),
        ("OPTIONS", TOKEN_PATH, 204, "POST, OPTIONS"),
        ("DELETE", JWKS_PATH, 405, "GET, HEAD"),
        ("OPTIONS", JWKS_PATH, 204, "GET, HEAD, OPTIONS"),
        ("POST", TOKEN_PATH, 401, None),
        ("HEAD", JWKS_PATH, 401, None),
        ("GET", "/broken", 500, None),
    ],
)
async def test_what_it_carries_is_answered_by_the_edge(
    application: Litestar, method: str, path: str, status: int, allow: str | None
) -> None:
    answer = await ask(application, method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allow)
    assert "x-request-id" in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert "canary" not in answer.text


@pytest.mark.parametrize("path", ["/", "/oauth", "/schema", "/docs", "/%00", "/ü"])
async def test_what_it_does_not_know_is_refused_in_the_same_form(application: Litestar, path: str) -> None:
    answer = await ask(application, "GET", path)
    assert answer.status_code == 404
    assert answer.json() == {"error": "not_found", "error_description": "nothing is here"}
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_failure_outside_the_hot_routes_is_logged_and_not_told(
    application: Litestar, caplog: pytest.LogCaptureFixture
) -> None:
    scope: Any = {"type": "http", "method": "GET", "state": {"request_id": "given"}}
    answer = error_response(LitestarRequest(scope), RuntimeError("canary"))
    assert answer.status_code == 500
    assert b"canary" not in answer.content
    (record,) = caplog.records
    assert (record.levelname, record.__dict__["request_id"]) == ("ERROR", "given")
    assert record.exc_info is not None


# ------------------------------------------------------------------------------------------ what it says of itself


@pytest.fixture(scope="module")
def document(application: Litestar) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(openapi_document(application))
    return decoded


def test_the_document_describes_exactly_the_hot_routes(document: dict[str, Any]) -> None:
    described = {path: {method.upper() for method in item} for path, item in document["paths"].items()}
    assert described == {path: {methods[0]} for path, methods in {**PATHS, "/broken": GET}.items()}
    assert document["info"]["version"] == "1.2.3"
    assert document["servers"] == [{"url": "https://issuer.example"}]


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", [TOKEN_PATH, INTROSPECTION_PATH, REVOCATION_PATH])
def test_what_needs_a_client_says_how_it_is_authenticated(document: dict[str, Any], path: str) -> None:
    operation = document["paths"][path]["post"]
    assert {"clientSecretBasic": []} in operation["security"]
    assert document["components"]["securitySchemes"]["clientSecretBasic"]["scheme"] == "basic"
    assert {"200", "400", "401", "413", "415", "429", "503"} <= set(operation["responses"])
    form = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert {"client_id", "client_secret", "client_assertion", "client_assertion_type"} <= set(form["properties"])
    assert form["required"] == (["grant_type"] if path == TOKEN_PATH else ["token"])


def test_json_bodies_are_described_where_they_are_read(document: dict[str, Any]) -> None:
    takes_json = {
        path
        for path, item in document["paths"].items()
        if "application/json" in item.get("post", {}).get("requestBody", {}).get("content", {})
    }
    assert takes_json == {INTROSPECTION_PATH}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [found for inner in value.values() for found in references(inner)]
        return [found for inner in value for found in references(inner)] if isinstance(value, list) else []

    found = references(document)
    assert found
    for reference in found:
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
