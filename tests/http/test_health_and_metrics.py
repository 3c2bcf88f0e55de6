"""What probes and Prometheus see: health on two listeners, metrics on one of its own."""

from collections.abc import Callable

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.programs.service_calls import ServiceCalls, good_json
from tests.programs.service_clients import BASIC, OTHER
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ServiceProcess

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


def test_gauges_are_brought_up_to_date(start_service_once: StartService, calls_of: CallsOf) -> None:
    service = calls_of(start_service_once(clients=(BASIC,)))
    assert service.metric("signing_keys", algorithm="ES256", state="signing") == 1
    assert service.metric("signing_keys", algorithm="RS256", state="signing") == 1
    assert service.metric("store_degraded") == 0
    assert service.metric("build_info") == 1
