"""Traces: what a real collector is sent of a request, and what becomes of requests when there is none."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from app.observability.head_sampling import MAX_PER_SECOND
from tests.conftest import StartRedis
from tests.programs.otlp_receiver import OtlpReceiver, attributes_of
from tests.programs.ports import free_port
from tests.programs.service_calls import ServiceCalls, good_json
from tests.programs.service_clients import BASIC, CANARY, JWT, REFRESHER
from tests.programs.service_fixtures import StartService, assert_nothing_secret
from tests.programs.service_process import ServiceProcess, wait_until

CallsOf = Callable[[ServiceProcess], ServiceCalls]
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
RECORDED, UNRECORDED = f"00-{TRACE}-{CALLER}-01", f"00-{TRACE}-{CALLER}-00"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "20"}
ALL = {"OTEL_TRACES_SAMPLER": "parentbased_always_on", **SOON}


PROTOBUF = "google/_upb"
"""The one part of the SDK's packages that is no Python: a process that has loaded them has mapped it."""


def maps_of(process: ServiceProcess) -> str:
    return Path(f"/proc/{process.pid}/maps").read_text()


def scraped(service: ServiceCalls, **headers: str) -> str:
    return httpx.get(f"{service.process.metrics_url}/metrics", headers=headers).text


class Traced(NamedTuple):
    service: ServiceCalls
    collector: OtlpReceiver

    def record(self, send: Callable[[], object]) -> Span:
        """The span of the one request that ``send`` makes."""
        before = len(self.collector.requests())
        send()
        recorded = self.collector.await_requests(before + 1)
        assert len(recorded) == before + 1
        return recorded[-1]


@pytest.fixture(scope="module")
def traced(start_module_service: StartService, redis_url: str) -> Iterator[Traced]:
    """A service that records every request, with Redis."""
    with OtlpReceiver() as collector:
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.url}/",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20" + CANARY,
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=staging",
            "REDIS_URL": redis_url,
            "REDIS_KEY_PREFIX": f"traces-{time.monotonic_ns()}",
            "CACHE_MAX_ENTRIES": "10000",  # what it answers is looked at
            **ALL,
        }
        service = ServiceCalls(start_module_service(**settings))
        assert PROTOBUF in maps_of(service.process)
        yield Traced(service, collector)
        service.close()
        assert CANARY.encode() not in collector.raw


def token_request(traced: Traced, **headers: str) -> Callable[[], object]:
    form = {"grant_type": "client_credentials"}
    return lambda: good_json(traced.service.http.post("/oauth/token", auth=BASIC.basic, data=form, headers=headers))


def test_a_request_is_a_span_with_the_names_of_the_semantic_conventions(traced: Traced) -> None:
    span = traced.record(token_request(traced, **{"x-request-id": "one-of-ours"}))
    assert span.name == "POST /oauth/token"
    assert span.parent_span_id == b""
    assert span.start_time_unix_nano < span.end_time_unix_nano
    told = attributes_of(span.attributes)
    assert told == {
        "http.request.method": "POST",
        "http.route": "/oauth/token",
        "url.path": "/oauth/token",
        "url.scheme": "http",
        "http.response.status_code": "200",
        "client.address": "127.0.0.1",
        "auth_service.request_id": "one-of-ours",
        "auth_service.operation": "issue",
        "auth_service.client_id": BASIC.id,
    }
    resource = traced.collector.resources[-1]
    assert resource["service.name"] == "auth-service"
    assert resource["deployment.environment.name"] == "staging"
    assert resource["service.version"]
    assert resource["service.instance.id"]
    assert traced.collector.paths[-1] == "/v1/traces"
    assert traced.collector.headers[-1]["authorization"] == f"Bearer {CANARY}"


def test_its_parts_are_spans_below_it_and_within_it(traced: Traced) -> None:
    form = {"grant_type": "client_credentials"}
    jwt = traced.record(lambda: good_json(traced.service.http.post("/oauth/token", auth=JWT.basic, data=form)))
    opaque = traced.record(token_request(traced))
    refresher = traced.record(
        lambda: good_json(traced.service.http.post("/oauth/token", auth=REFRESHER.basic, data=form))
    )
    assert {"decide", "sign"} <= set(traced.collector.parts_of(jwt))
    assert set(traced.collector.parts_of(opaque)) == {"decide", "redis save"}
    assert set(traced.collector.parts_of(refresher)) == {"decide", "redis save"}
    signing = traced.collector.parts_of(jwt)["sign"]
    assert attributes_of(signing.attributes) == {"auth_service.algorithm": "ES256"}
    saving = traced.collector.parts_of(opaque)["redis save"]
    assert saving.kind == Span.SPAN_KIND_CLIENT
    assert attributes_of(saving.attributes) == {"db.system.name": "redis", "db.operation.name": "save"}
    for whole in (jwt, opaque, refresher):
        for part in traced.collector.parts_of(whole).values():
            assert part.trace_id == whole.trace_id
            assert part.start_time_unix_nano <= part.end_time_unix_nano <= whole.end_time_unix_nano


def test_what_is_read_from_redis_is_a_part_and_what_is_cached_is_not(traced: Traced) -> None:
    issued: list[str] = []
    traced.record(lambda: issued.append(traced.service.access_token(BASIC)))
    (token,) = issued
    parts = [
        set(traced.collector.parts_of(traced.record(lambda: traced.service.introspect(BASIC, token)))) for _ in range(3)
    ]
    assert "decide" in parts[0]
    assert parts[-1] == {"decide"}
    assert traced.service.metric("token_cache_requests_total", result="hit") > 0


def test_the_caller_s_trace_goes_on(traced: Traced) -> None:
    span = traced.record(token_request(traced, traceparent=RECORDED, tracestate="vendor=1"))
    assert span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() == CALLER
    assert span.trace_state == "vendor=1"


def test_a_caller_that_records_nothing_has_nothing_recorded(traced: Traced) -> None:
    before = len(traced.collector.requests())
    for _ in range(5):
        token_request(traced, traceparent=UNRECORDED)()
    traced.record(token_request(traced))
    assert len(traced.collector.requests()) == before + 1


def test_a_refusal_is_no_error_of_the_server_and_has_its_reason_and_its_line_in_the_log(traced: Traced) -> None:
    headers = {"x-request-id": "traced-refusal"}
    span = traced.record(
        lambda: traced.service.http.post(
            "/oauth/introspect", auth=("nobody", CANARY), data={"token": "x"}, headers=headers
        )
    )
    told = attributes_of(span.attributes)
    assert told["http.response.status_code"] == "401"
    assert told["auth_service.reason"] == "unknown_client"
    assert span.status.code == Status.STATUS_CODE_UNSET
    records = [line for line in traced.service.process.log_records() if line.get("request_id") == "traced-refusal"]
    assert [line["trace_id"] for line in records] == [span.trace_id.hex()]


def test_probes_and_scrapes_are_not_recorded(traced: Traced) -> None:
    before = len(traced.collector.requests())
    for path in ("/health", "/health/live", "/health/ready"):
        assert traced.service.http.get(path).status_code == 200
    assert scraped(traced.service)
    traced.record(token_request(traced))
    assert len(traced.collector.requests()) == before + 1


def test_a_scrape_names_the_trace_beside_the_bucket_of_its_request(traced: Traced) -> None:
    span = traced.record(token_request(traced))
    lines = scraped(traced.service, accept="application/openmetrics-text; version=1.0.0").splitlines()
    named = [line for line in lines if f'trace_id="{span.trace_id.hex()}"' in line]
    assert len(named) == 1
    assert named[0].startswith("http_server_request_duration_seconds_bucket{")
    assert 'http_route="/oauth/token"' in named[0]


def test_a_failure_of_redis_is_an_error_of_its_part_and_of_the_request(
    start_service_once: StartService, calls_of: CallsOf, redis_process: StartRedis
) -> None:
    redis = redis_process()
    with OtlpReceiver() as collector:
        endpoint = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/elsewhere"}
        service = calls_of(start_service_once(REDIS_URL=redis.url, STORE_FALLBACK="fail", **endpoint, **ALL))
        redis.kill()
        answer = service.http.post("/oauth/token", auth=BASIC.basic, data={"grant_type": "client_credentials"})
        assert answer.status_code == 503
        span = collector.await_requests(1)[-1]
        assert span.status.code == Status.STATUS_CODE_ERROR
        assert attributes_of(span.attributes)["error.type"] == "503"
        part = collector.parts_of(span)["redis save"]
        assert part.status.code == Status.STATUS_CODE_ERROR
        assert attributes_of(part.attributes)["error.type"] in {"unavailable", "connection_lost"}
        assert collector.paths[-1] == "/elsewhere"


def dropped(service: ServiceCalls) -> float:
    lines = scraped(service).splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("otlp_dropped_total "))


def test_a_collector_that_is_down_costs_a_counter_and_the_end_is_not_held_up(
    start_service_once: StartService, calls_of: CallsOf
) -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", "OTEL_EXPORTER_OTLP_TIMEOUT": "200"}
    process = start_service_once(DRAIN_SECONDS="0", OTEL_BSP_MAX_QUEUE_SIZE="8", **endpoint, **ALL)
    service = calls_of(process)
    for _ in range(20):
        service.access_token(BASIC)
    # Two spans a request: none of them is uncounted.
    wait_until(lambda: dropped(service) >= 40, "40 spans were dropped")
    assert dropped(service) == 40
    told = [line["message"] for line in process.log_records() if "collector" in line["message"]]
    assert told == ["the trace collector does not take spans: they are dropped and counted until it does"]
    service.access_token(BASIC)
    started = time.monotonic()
    assert process.stop() == 0
    assert time.monotonic() - started < 8


def test_what_waits_is_sent_at_the_end(start_service_once: StartService, calls_of: CallsOf) -> None:
    with OtlpReceiver() as collector:
        settings = {**ALL, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
        process = start_service_once(DRAIN_SECONDS="0", **settings)
        calls_of(process).access_token(BASIC)
        assert collector.spans == []
        assert process.stop() == 0
        assert {span.name for span in collector.spans} == {"POST /oauth/token", "decide"}


def test_callers_may_have_only_so_many_requests_recorded(start_service_once: StartService, calls_of: CallsOf) -> None:
    with OtlpReceiver() as collector:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_TRACES_SAMPLER_ARG": "0", **SOON}
        process = start_service_once(DRAIN_SECONDS="0", **settings)
        service = calls_of(process)
        started = time.monotonic()
        for _ in range(MAX_PER_SECOND * 3):
            service.http.get("/jwks.json", headers={"traceparent": RECORDED})
        seconds = time.monotonic() - started
        assert process.stop() == 0
        recorded = len(collector.requests())
        assert min(MAX_PER_SECOND, 1) <= recorded <= MAX_PER_SECOND * (seconds + 2)
        assert_nothing_secret(collector.raw.decode("latin-1"))


def test_without_a_collector_the_sdk_is_not_loaded(start_service_once: StartService) -> None:
    process = start_service_once(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_TRACES_EXPORTER="none")
    assert PROTOBUF not in maps_of(process)
