"""What operators and probes see: health, ``/metrics`` and ``/admin/stats``, each on its own listener."""

import base64
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.programs.service_calls import JsonObject, ServiceCalls, good_json
from tests.programs.service_clients import ADMIN, BASIC, CANARY, JWT, OTHER, with_secret
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ServiceProcess

OPERATOR_TOKEN = f"{CANARY}-operators-token"
CallsOf = Callable[[ServiceProcess], ServiceCalls]

# ---------------------------------------------------------------------------------------------- health


@pytest.mark.parametrize("listener", ["base_url", "metrics_url"])
def test_health_is_told_on_the_public_and_the_metrics_listener(service: ServiceCalls, listener: str) -> None:
    url = getattr(service.process, listener)
    assert good_json(httpx.get(f"{url}/health/live")) == {"status": "ok"}
    ready = {"status": "ready", "checks": {"keys": "ok", "store": "ok"}}
    assert good_json(httpx.get(f"{url}/health/ready")) == ready
    health = good_json(httpx.get(f"{url}/health"))
    assert health == {"status": "ok", "version": health["version"], "store": {"kind": "memory", "degraded": False}}
    assert health["version"]
    for path in ("/health", "/health/live", "/health/ready"):
        assert httpx.get(url + path).headers["cache-control"] == "no-store"


# ---------------------------------------------------------------------------------------------- metrics

METRICS = [
    "http_server_request_duration_seconds",
    "token_operation_duration_seconds",
    "event_loop_lag_seconds",
    "event_loop_cpu_seconds",
    "tokens_issued",
    "active_tokens",
    "token_operation_failures",
    "rate_limit_decisions",
    "store_degraded",
    "signing_keys",
    "signing_key_age_seconds",
    "unknown_kid",
    "refresh_token_reuse",
    "config_reload_failures",
    "build",
    "process_resident_memory_bytes",
    "process_cpu_seconds",
    "python_gc_collections",
]


def test_metrics_are_told_in_the_format_that_the_scraper_asks_for(service: ServiceCalls) -> None:
    url = f"{service.process.metrics_url}/metrics"
    plain = httpx.get(url)
    assert plain.headers["content-type"].startswith("text/plain; version=")
    openmetrics = httpx.get(url, headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in parse_openmetrics(openmetrics.text)}  # type: ignore[no-untyped-call]
    assert set(METRICS) <= names
    assert names - {"build"} <= {family.name for family in parse_text(plain.text)}


def test_requests_are_timed_by_method_route_and_status(service: ServiceCalls) -> None:
    def count(method: str, route: str, status: str) -> float:
        labels = {"http_request_method": method, "http_route": route, "http_response_status_code": status}
        return service.metric("http_server_request_duration_seconds_count", **labels)

    rows = [("POST", "/oauth/token", "200"), ("POST", "/oauth/token", "401"), ("GET", "other", "404")]
    rows += [("HEAD", "/jwks.json", "200"), ("_OTHER", "/jwks.json", "405")]
    before = [count(*row) for row in rows]
    service.token(BASIC)
    service.http.post("/oauth/token", data={"a": "b"})
    service.http.get("/a-path-that-must-not-become-a-label")
    service.http.head("/jwks.json")
    service.http.request("PROPFIND", "/jwks.json")
    assert [count(*row) for row in rows] == [number + 1 for number in before]
    assert "must-not-become-a-label" not in httpx.get(f"{service.process.metrics_url}/metrics").text


def test_no_label_comes_from_a_request(service: ServiceCalls) -> None:
    token = service.access_token(BASIC, scope="delete")
    service.introspect(OTHER, token)
    service.http.post("/oauth/token", auth=("strange-client", "x"), data={"grant_type": "strange-grant"})
    text = httpx.get(f"{service.process.metrics_url}/metrics").text
    for word in ("strange", "delete", token, "basic", "127.0.0.1"):
        assert f'"{word}' not in text


def test_gauges_are_brought_up_to_date(start_service: StartService, calls_of: CallsOf) -> None:
    service = calls_of(start_service(clients=(BASIC,)))
    assert service.metric("signing_keys", algorithm="ES256", state="signing") == 1
    assert service.metric("signing_keys", algorithm="RS256", state="signing") == 1
    assert service.metric("store_degraded") == 0
    assert service.metric("build_info") == 1


# ---------------------------------------------------------------------------------------------- /admin/stats


def test_stats_tell_the_state_of_the_process(start_service: StartService, calls_of: CallsOf, tmp_path: Path) -> None:
    process = start_service(ADMIN_TOKEN_FILE=str(operator_token_file(tmp_path)))
    service = calls_of(process)
    tokens = [service.access_token(BASIC) for _ in range(3)]
    service.access_token(JWT)
    service.introspect(BASIC, tokens[0])
    service.introspect(BASIC, tokens[0])
    service.revoke(BASIC, tokens[1])
    stats = good_json(ask(process, bearer(OPERATOR_TOKEN)))
    assert stats.keys() == {
        "version",
        "uptime_seconds",
        "store",
        "issued",
        "introspected",
        "cache",
        "keys",
        "process",
    }
    assert stats["version"] == good_json(service.http.get("/health"))["version"]
    assert 0 < stats["uptime_seconds"] < 60
    assert stats["store"] == {"kind": "memory", "degraded": False, "live_tokens": 2}
    assert (stats["issued"]["total"], stats["introspected"]["total"]) == (4, 2)
    assert stats["issued"]["per_second"] > stats["introspected"]["per_second"] > 0
    assert stats["cache"] == {"hit_ratio": None}  # memory needs no cache
    published = {key["kid"] for key in good_json(service.http.get("/jwks.json"))["keys"]}
    assert {key["kid"] for key in stats["keys"]} <= published
    for key in stats["keys"]:
        assert key.keys() == {"kid", "algorithm", "state", "age_seconds"}
        assert 0 <= key["age_seconds"] < 60
    assert stats["process"]["pid"] == process.pid
    assert 20_000_000 < stats["process"]["resident_bytes"] < 200_000_000


def test_with_nothing_configured_nobody_is_let_in(start_service: StartService) -> None:
    process = start_service(clients=(BASIC,))
    for headers in ({}, bearer("anything"), basic("admin", "anything"), basic("admin", "")):
        assert ask(process, headers).status_code == 403


def test_the_operators_token_lets_in(service: ServiceCalls) -> None:
    token = (service.process.folder / "admin-token").read_text()
    assert good_json(ask(service.process, bearer(token)))
    assert good_json(ask(service.process, basic("admin", token)))  # what a browser can send


def test_an_access_token_with_the_scope_lets_in(service: ServiceCalls) -> None:
    token = service.access_token(ADMIN, scope="auth-service:admin read")
    assert good_json(ask(service.process, bearer(token)))
    service.revoke(ADMIN, token)
    assert ask(service.process, bearer(token)).status_code == 401


def test_a_jwt_with_the_scope_lets_in(start_service: StartService, calls_of: CallsOf) -> None:
    client = with_secret("admin-jwt", scopes=["auth-service:admin"], access_token={"format": "jwt"})
    elsewhere = with_secret(
        "elsewhere", scopes=["auth-service:admin"], access_token={"format": "jwt"}, audiences=["https://api.example"]
    )
    process = start_service(clients=(client, elsewhere))
    service = calls_of(process)
    token = service.access_token(client)
    assert good_json(ask(process, bearer(token)))
    service.revoke(client, token)
    assert ask(process, bearer(token)).status_code == 401
    # RFC 9068 section 4: a token for another resource server is not for this one.
    assert ask(process, bearer(service.access_token(elsewhere))).status_code == 401


def test_the_scope_is_what_lets_in(service: ServiceCalls) -> None:
    response = ask(service.process, bearer(service.access_token(ADMIN, scope="read")))
    assert response.status_code == 403


def refused_headers(service: ServiceCalls) -> dict[str, dict[str, str]]:
    token = (service.process.folder / "admin-token").read_text()
    return {
        "none": {},
        "wrong": bearer("wrong"),
        "no value": {"authorization": "Bearer"},
        "longer": bearer(token + "x"),
        "shorter": bearer(token[:-1]),
        "another scheme": {"authorization": f"Token {token}"},
        "without a scheme": {"authorization": token},
        "another user": basic("root", token),
        "a wrong password": basic("admin", "wrong"),
        "a client's secret": basic(*ADMIN.basic),
        "bad base64": {"authorization": "Basic !!!"},
        "no UTF-8": {"authorization": "Basic " + base64.b64encode(b"admin:\xff").decode()},
        "a refresh token's form": bearer("asr_1" + "0" * 55),
        "an unsigned JWT": bearer("eyJhbGciOiJub25lIn0.eyJzY29wZSI6ImF1dGgtc2VydmljZTphZG1pbiJ9."),
    }


def test_everything_else_is_kept_out(service: ServiceCalls) -> None:
    for name, headers in refused_headers(service).items():
        response = ask(service.process, headers)
        assert response.status_code == 401, name
        assert response.headers["www-authenticate"].startswith("Bearer realm=")
        assert response.headers["cache-control"] == "no-store"


def test_a_changed_operators_token_counts_at_once(start_service: StartService, tmp_path: Path) -> None:
    file = operator_token_file(tmp_path)
    process = start_service(clients=(BASIC,), ADMIN_TOKEN_FILE=str(file))
    assert ask(process, bearer(OPERATOR_TOKEN)).status_code == 200
    file.write_text(OPERATOR_TOKEN + "-new")
    assert ask(process, bearer(OPERATOR_TOKEN)).status_code == 401
    assert ask(process, bearer(OPERATOR_TOKEN + "-new")).status_code == 200


def test_expired_tokens_leave_the_store_by_themselves(
    start_service: StartService, calls_of: CallsOf, tmp_path: Path
) -> None:
    client = with_secret("short-lived", access_token={"seconds": 2})
    process = start_service(clients=(client,), ADMIN_TOKEN_FILE=str(operator_token_file(tmp_path)))
    service = calls_of(process)
    for _ in range(20):
        service.token(client)
    assert live_tokens(process) == 20
    give_up_at = time.monotonic() + 10
    while live_tokens(process):
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


def live_tokens(process: ServiceProcess) -> int:
    stats: JsonObject = good_json(ask(process, bearer(OPERATOR_TOKEN)))
    return int(stats["store"]["live_tokens"])


def operator_token_file(folder: Path) -> Path:
    file = folder / "admin-token"
    file.write_text(OPERATOR_TOKEN + "\n")
    return file


def ask(process: ServiceProcess, headers: dict[str, str]) -> httpx.Response:
    return httpx.get(f"{process.admin_url}/admin/stats", headers=headers)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
