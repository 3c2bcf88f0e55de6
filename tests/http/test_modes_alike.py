"""Whatever carries the requests, the answers are the same."""

import json

import pytest

from tests.http.bad_input import BAD_INPUT, FORM, Row
from tests.http.test_every_response import CALLS, Call, send
from tests.programs.raw_http import Answer, exchange
from tests.programs.service_calls import JsonObject
from tests.programs.service_clients import BASIC, JWT, OTHER, REFRESHER
from tests.programs.service_fixtures import ALLOWED_ORIGIN, FAST_PATHS, ServiceOfMode

DIFFERS_BY_NATURE = {"date", "x-request-id", "etag"}
OWN_VALUES = {"access_token", "refresh_token", "iat", "exp", "jti", "iss", "aud", "keys", "issuer"}


def shape(answer: Answer, base_url: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
    """What must be the same: status, headers and body, without what is new in every answer."""
    headers = {name: "own" if name in DIFFERS_BY_NATURE else value for name, value in sorted(answer.headers)}
    body = answer.body.decode("utf-8", "replace").replace(base_url, "http://issuer")
    if headers.get("content-type") == "application/json" and body:
        parsed: JsonObject = json.loads(body)
        body = json.dumps({name: "own" if name in OWN_VALUES else value for name, value in parsed.items()})
        if OWN_VALUES & parsed.keys() or base_url.encode() in answer.body:
            headers.pop("content-length", None)
    if method == "HEAD":
        headers.pop("content-length", None)
    return answer.status, headers, body


def assert_alike(shapes: list[tuple[int, dict[str, str], str]]) -> None:
    for other in shapes[1:]:
        assert other == shapes[0]


@pytest.mark.parametrize("row", BAD_INPUT, ids=[row.name for row in BAD_INPUT])
def test_bad_input(service_of_mode: ServiceOfMode, row: Row) -> None:
    processes = [service_of_mode(mode).process for mode in FAST_PATHS]
    assert_alike([shape(exchange(process.address, row.request), process.base_url) for process in processes])


PUBLIC_CALLS = [call for call in CALLS if call.listener == "public" and call.path != "/openapi.json"]


@pytest.mark.parametrize("call", PUBLIC_CALLS, ids=[f"{c.method} {c.path} {c.status}" for c in PUBLIC_CALLS])
@pytest.mark.parametrize("origin", [b"", ALLOWED_ORIGIN.encode(), b"https://evil.example.com"])
def test_all_kinds_of_requests(service_of_mode: ServiceOfMode, call: Call, origin: bytes) -> None:
    headers = ((b"origin", origin),) if origin else ()
    services = [service_of_mode(mode) for mode in FAST_PATHS]
    assert_alike([shape(send(each, call, *headers), each.process.base_url, call.method) for each in services])


def test_good_requests(service_of_mode: ServiceOfMode) -> None:
    def answers(mode: str) -> list[tuple[int, dict[str, str], str]]:
        service = service_of_mode(mode)
        tokens = [service.token(client) for client in (BASIC, JWT, REFRESHER)]
        responses = [
            service.request_token(BASIC),
            service.request_token(JWT, scope="read"),
            service.request_introspection(BASIC, tokens[0]["access_token"]),
            service.request_introspection(JWT, tokens[1]["access_token"]),
            service.request_introspection(OTHER, tokens[1]["access_token"]),
            service.request_introspection(REFRESHER, tokens[2]["refresh_token"]),
            service.refresh(REFRESHER, tokens[2]["refresh_token"]),
            service.refresh(REFRESHER, tokens[2]["refresh_token"]),
            service.revoke(BASIC, tokens[0]["access_token"]),
            service.revoke(OTHER, tokens[1]["access_token"]),
        ]
        made = [Answer(r.status_code, list(r.headers.items()), r.content) for r in responses]
        return [shape(answer, service.process.base_url) for answer in made]

    assert_alike([tuple(answers(mode)) for mode in FAST_PATHS])  # type: ignore[misc]


def test_a_form_with_a_charset_is_a_form(service_of_mode: ServiceOfMode) -> None:
    for mode in FAST_PATHS:
        service = service_of_mode(mode)
        headers = {"content-type": f"{FORM.decode().upper()} ; charset=UTF-8"}
        body = b"grant_type=client_credentials"
        assert service.http.post("/oauth/token", auth=BASIC.basic, content=body, headers=headers).status_code == 200
