"""What every response has, whatever it answers: a request id, security headers; CORS for the allowed origins alone."""

import re
from typing import NamedTuple

import httpx
import pytest

from tests.programs.raw_http import Answer, exchange, request_bytes
from tests.programs.service_calls import ServiceCalls, good_json
from tests.programs.service_clients import BASIC, JWT, with_secret
from tests.programs.service_fixtures import ALLOWED_ORIGIN, StartService

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
FORM = (b"content-type", b"application/x-www-form-urlencoded")


class Call(NamedTuple):
    """A request, and the status that answers it."""

    method: str
    path: str
    status: int
    body: bytes = b""
    listener: str = "public"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    chunked: bool = False


CALLS = [
    Call("GET", "/jwks.json", 200),
    Call("HEAD", "/jwks.json", 200),
    Call("OPTIONS", "/jwks.json", 204),
    Call("POST", "/jwks.json", 405),
    Call("GET", "/jwks.json", 304, headers=((b"if-none-match", b"*"),)),
    Call("GET", "/.well-known/openid-configuration", 200),
    Call("GET", "/openapi.json", 200),
    Call("GET", "/health", 200),
    Call("GET", "/health/live", 200),
    Call("HEAD", "/health/ready", 200),
    Call("DELETE", "/health", 405),
    Call("GET", "/oauth/token", 405),
    Call("HEAD", "/oauth/token", 405),
    Call("PUT", "/oauth/introspect", 405),
    Call("PATCH", "/oauth/revoke", 405),
    Call("TRACE", "/oauth/token", 405),
    Call("PROPFIND", "/oauth/token", 405),
    Call("OPTIONS", "/oauth/token", 204),
    Call("POST", "/oauth/token", 415),
    Call("POST", "/oauth/token", 401, b"grant_type=client_credentials", headers=(FORM,)),
    Call("POST", "/oauth/token", 400, b"a=1&a=2", headers=(FORM,)),
    Call("POST", "/oauth/token?a=b", 400, b"a=1", headers=(FORM,)),
    Call("POST", "/oauth/introspect", 413, b"x" * 70_000, headers=(FORM,)),
    Call("POST", "/oauth/introspect", 413, b"x" * 70_000, headers=(FORM,), chunked=True),
    Call("GET", "/", 404),
    Call("GET", "/nothing", 404),
    Call("POST", "/nothing", 404),
    Call("HEAD", "/nothing", 404),
    Call("OPTIONS", "/nothing", 404),
    Call("PROPFIND", "/nothing", 404),
    Call("GET", "/oauth/authorize", 404),
    Call("GET", "/metrics", 404),
    Call("GET", "/admin/stats", 404),
    Call("GET", "/jwks.json/", 404),
    Call("POST", "/oauth/token/", 404),
    Call("GET", "//jwks.json", 404),
    Call("GET", "/-/openapi", 404),
    Call("GET", "/-/openapi/openapi.json", 404),
    Call("GET", "/schema", 404),
    Call("GET", "/%00", 404),
    Call("GET", "/%ff%fe", 404),
    Call("GET", "/../etc/passwd", 404),
    Call("GET", "/metrics", 200, listener="metrics"),
    Call("HEAD", "/metrics", 200, listener="metrics"),
    Call("POST", "/metrics", 405, listener="metrics"),
    Call("GET", "/health/ready", 200, listener="metrics"),
    Call("GET", "/nothing", 404, listener="metrics"),
    Call("POST", "/oauth/token", 404, listener="metrics"),
    Call("GET", "/admin/stats", 401, listener="admin"),
    Call("POST", "/admin/stats", 405, listener="admin"),
    Call("GET", "/nothing", 404, listener="admin"),
    Call("GET", "/schema", 404, listener="admin"),
]
EVERY_CALL = pytest.mark.parametrize(
    "call", CALLS, ids=[f"{call.listener} {call.method} {call.path} {call.status}" for call in CALLS]
)


def send(service: ServiceCalls, call: Call, *more: tuple[bytes, bytes]) -> Answer:
    url = getattr(service.process, {"public": "base_url"}.get(call.listener, f"{call.listener}_url"))
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    request = request_bytes(call.method, call.path, (*call.headers, *more), call.body, chunked=call.chunked)
    return exchange(address, request, method=call.method)


@EVERY_CALL
def test_every_response_is_protected_and_named(service: ServiceCalls, call: Call) -> None:
    answer = send(service, call)
    assert answer.status == call.status
    assert {name: answer.header(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert answer.header("strict-transport-security") is None  # the issuer is http here (RFC 6797 section 7.2)
    assert re.fullmatch("[0-9a-f]{32}", answer.header("x-request-id") or "")
    assert answer.header("server") is None
    assert answer.header("date")
    if call.status in (204, 304) or call.method == "HEAD":
        assert answer.body == b""
    if call.status >= 400:
        assert answer.header("content-type") == "application/json"
        assert answer.header("cache-control") == "no-store"
    if call.status == 405:
        assert answer.header("allow")


@EVERY_CALL
def test_a_sane_request_id_is_kept(service: ServiceCalls, call: Call) -> None:
    given = b"trace-1/a.b_c:d+e=" + b"x" * 100
    assert send(service, call, (b"x-request-id", given)).header("x-request-id") == given.decode()


NOT_SANE = [
    b"",
    b" ",
    b"x" * 129,
    b"two words",
    b"a;b",
    b'"quoted"',
    b"<script>",
    b"caf\xc3\xa9",
    b"\xff",
    b"a,b",
    b"a\tb",
]


@pytest.mark.parametrize("given", NOT_SANE)
@pytest.mark.parametrize("path", ["/health", "/nothing"])
def test_any_other_request_id_is_replaced(service: ServiceCalls, path: str, given: bytes) -> None:
    answer = exchange(service.process.address, request_bytes("GET", path, [(b"X-Request-ID", given)]))
    assert re.fullmatch("[0-9a-f]{32}", answer.header("x-request-id") or "")


ALLOW = [
    ("/oauth/token", "POST"),
    ("/oauth/introspect", "POST"),
    ("/oauth/revoke", "POST"),
    ("/jwks.json", "GET, HEAD"),
    ("/.well-known/oauth-authorization-server", "GET, HEAD"),
    ("/.well-known/openid-configuration", "GET, HEAD"),
    ("/openapi.json", "GET, HEAD"),
    ("/health", "GET, HEAD"),
    ("/health/live", "GET, HEAD"),
    ("/health/ready", "GET, HEAD"),
]


OTHER_METHODS = [
    (path, allow, method)
    for path, allow in ALLOW
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")
    if method not in allow.split(", ")
]


@pytest.mark.parametrize(("path", "allow", "method"), OTHER_METHODS)
def test_another_method_is_told_which_are_allowed(service: ServiceCalls, path: str, allow: str, method: str) -> None:
    answer = exchange(service.process.address, request_bytes(method, path), method=method)
    assert (answer.status, answer.header("allow")) == (405, allow)


NO_HTTP = [
    b"\0",
    b"nonsense\r\n\r\n",
    b"FOO / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nno-colon\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("request_bytes", NO_HTTP)
@pytest.mark.parametrize("listener", ["base_url", "metrics_url", "admin_url"])
def test_what_is_no_http_gets_an_answer_like_any_other(
    service: ServiceCalls, request_bytes: bytes, listener: str
) -> None:
    port = int(getattr(service.process, listener).rpartition(":")[2])
    answer = exchange(("127.0.0.1", port), request_bytes)
    assert (answer.status, answer.header("content-type")) == (400, "application/json")
    assert {name: answer.header(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert re.fullmatch("[0-9a-f]{32}", answer.header("x-request-id") or "")
    assert answer.header("connection") == "close"


# ---------------------------------------------------------------------------------------------- CORS

BROWSER_PATHS = [path for path, _ in ALLOW if not path.startswith("/health")]


@pytest.mark.parametrize("path", BROWSER_PATHS)
def test_an_allowed_origin_may_ask_and_read(service: ServiceCalls, path: str) -> None:
    method = dict(ALLOW)[path].split(", ", maxsplit=1)[0]
    preflight = service.http.options(
        path,
        headers={
            "origin": ALLOWED_ORIGIN,
            "access-control-request-method": method,
            "access-control-request-headers": "authorization,content-type",
        },
    )
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == ALLOWED_ORIGIN
    assert method in preflight.headers["access-control-allow-methods"].split(", ")
    assert {"authorization", "content-type"} <= set(preflight.headers["access-control-allow-headers"].split(", "))
    assert "origin" in preflight.headers["vary"].lower()
    answer = service.http.request(method, path, headers={"origin": ALLOWED_ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ALLOWED_ORIGIN
    assert "origin" in answer.headers["vary"].lower()
    # Credentials mode stays off: a browser sends no cookies, and there are none.
    for response in (preflight, answer):
        assert "access-control-allow-credentials" not in response.headers


def test_an_error_can_be_read_by_an_allowed_origin(service: ServiceCalls) -> None:
    answer = service.http.post("/oauth/token", data={"a": "b"}, headers={"origin": ALLOWED_ORIGIN})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == ALLOWED_ORIGIN


OTHER_ORIGINS = [
    "https://evil.example.com",
    "null",
    "https://app.example.com.evil.example",
    "http://app.example.com",
    "*",
]


def allowances(answer: httpx.Response) -> list[str]:
    return [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
@pytest.mark.parametrize("path", BROWSER_PATHS)
def test_no_other_origin_is_allowed(service: ServiceCalls, path: str, origin: str) -> None:
    for method in ("OPTIONS", dict(ALLOW)[path].split(", ", maxsplit=1)[0]):
        answer = service.http.request(method, path, headers={"origin": origin, "access-control-request-method": "GET"})
        assert allowances(answer) == []
        # A shared cache must not give this answer to the allowed origin.
        assert "origin" in answer.headers["vary"].lower()


def test_without_allowed_origins_there_is_no_cors(start_service: StartService) -> None:
    process = start_service(clients=(BASIC,))
    for path in BROWSER_PATHS:
        for method in ("OPTIONS", "GET", "POST"):
            answer = httpx.request(method, process.base_url + path, headers={"origin": ALLOWED_ORIGIN})
            assert allowances(answer) == []


# ---------------------------------------------------------------------------------------------- 503


def test_a_full_store_is_an_outage_and_not_a_refusal(start_service: StartService) -> None:
    client = with_secret("filler")
    process = start_service(clients=(client, JWT), MEMORY_STORE_MAX_TOKENS="2")
    with httpx.Client(base_url=process.base_url) as http:
        form = {"grant_type": "client_credentials"}
        answers = [http.post("/oauth/token", auth=client.basic, data=form) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 503]
        full = answers[-1]
        assert full.json()["error"] == "temporarily_unavailable"
        assert int(full.headers["retry-after"]) >= 1
        assert {name: full.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
        assert good_json(http.post("/oauth/token", auth=JWT.basic, data=form))  # needs no place


def test_a_client_that_fills_the_store_is_refused_before_others(start_service: StartService) -> None:
    greedy, modest = with_secret("greedy"), with_secret("modest")
    process = start_service(clients=(greedy, modest), MEMORY_STORE_MAX_TOKENS="40")
    with httpx.Client(base_url=process.base_url) as http:
        form = {"grant_type": "client_credentials"}
        answers = [http.post("/oauth/token", auth=greedy.basic, data=form) for _ in range(50)]
        assert [answer.status_code for answer in answers] == [200] * 36 + [503] * 14
        refused = answers[-1]
        assert refused.json()["error"] == "temporarily_unavailable"
        assert int(refused.headers["retry-after"]) >= 1
        good_json(http.post("/oauth/token", auth=modest.basic, data=form))
        revoked = http.post("/oauth/revoke", auth=greedy.basic, data={"token": answers[0].json()["access_token"]})
        assert revoked.status_code == 200
        good_json(http.post("/oauth/token", auth=greedy.basic, data=form))  # what it gave up is its own again
        assert http.post("/oauth/token", auth=greedy.basic, data=form).status_code == 503
    assert "store_client_share" in process.logs
