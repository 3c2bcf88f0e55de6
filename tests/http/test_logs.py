"""Logs: one JSON object a line, with the request's id, and never a secret."""

import re
from collections.abc import Callable
from typing import NamedTuple

import httpx
import pytest

from tests.http.bad_input import BAD_INPUT
from tests.programs.raw_http import exchange
from tests.programs.service_calls import ASSERTION_TYPE, JsonObject, ServiceCalls, client_assertion
from tests.programs.service_clients import (
    AUDITOR,
    BASIC,
    CANARY,
    CHOSEN,
    JWT,
    OTHER,
    POST,
    REFRESHER,
    REFRESHER_JWT,
    write_clients,
)
from tests.programs.service_fixtures import StartService, assert_nothing_secret
from tests.programs.service_process import ServiceProcess, wait_until

CallsOf = Callable[[ServiceProcess], ServiceCalls]


def records_of(service: ServiceCalls, request_id: str) -> list[JsonObject]:
    return [record for record in service.process.log_records() if record.get("request_id") == request_id]


def test_every_line_is_an_object_with_its_time_level_logger_and_message(service: ServiceCalls) -> None:
    service.http.post("/oauth/token", auth=("nobody", CANARY), data={"grant_type": "client_credentials"})
    records = service.process.log_records()
    assert records
    for record in records:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["timestamp"])
        assert record["level"] in {"debug", "info", "warning", "error", "critical"}
        assert record["logger"]
        assert record["message"]


class Refusal(NamedTuple):
    path: str
    form: dict[str, str]
    auth: tuple[str, str]
    status: int
    reason: str


REFUSALS = [
    Refusal("/oauth/token", {"grant_type": "client_credentials"}, ("nobody", CANARY), 401, "unknown_client"),
    Refusal("/oauth/token", {"grant_type": "client_credentials"}, (BASIC.id, CANARY), 401, "wrong_secret"),
    Refusal("/oauth/token", {"grant_type": "client_credentials"}, POST.basic, 401, "wrong_method"),
    Refusal("/oauth/token", {"grant_type": CANARY}, BASIC.basic, 400, "unsupported_grant_type"),
    Refusal("/oauth/introspect", {"something": "else"}, BASIC.basic, 400, "missing_parameter"),
    Refusal("/oauth/revoke?token=canary", {"token": "x"}, BASIC.basic, 400, "query_string"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=[refusal.reason for refusal in REFUSALS])
def test_a_refusal_is_logged_with_its_reason_and_the_requests_id(service: ServiceCalls, refusal: Refusal) -> None:
    path, form, auth, status, reason = refusal
    response = service.http.post(path, data=form, auth=auth, headers={"x-request-id": "made-by-the-caller/1"})
    assert response.headers["x-request-id"] == "made-by-the-caller/1"
    made_here = service.http.post(path, data=form, auth=auth).headers["x-request-id"]
    for request_id in ("made-by-the-caller/1", made_here):
        record = records_of(service, request_id)[-1]
        assert record["message"] == f"POST {path.partition('?')[0]} refused: {reason}"
        assert (record["status"], record["peer"], record["level"]) == (status, "127.0.0.1", "info")


def test_nobody_can_forge_a_line(service: ServiceCalls) -> None:
    line = '\n{"level":"error","message":"forged"}'
    service.http.post("/oauth/token", auth=(f"nobody{line}", CANARY), data={"grant_type": f"x{line}"})
    service.http.get(f"/{line.encode().hex()}", headers={"x-request-id": "a b"})
    assert all(record["message"] != "forged" for record in service.process.log_records())


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_secrets_in_all_flows_leave_no_trace(start_service: StartService, calls_of: CallsOf, log_format: str) -> None:
    """Good use, bad use and an outage, at the most talkative level; then the output is searched."""
    settings = {"LOG_LEVEL": "debug", "LOG_FORMAT": log_format, "MEMORY_STORE_MAX_TOKENS": "40"}
    process = start_service(**settings)
    service = calls_of(process)
    secret_values: set[str] = set()
    for client in (BASIC, JWT, CHOSEN, REFRESHER, REFRESHER_JWT):
        tokens = service.token(client)
        for name in {"access_token", "refresh_token"} & tokens.keys():
            token = str(tokens[name])
            secret_values.add(token)
            service.introspect(client, token)
            service.introspect(AUDITOR, token)
            service.introspect(OTHER, token)
            service.revoke(OTHER, token)
        if "refresh_token" in tokens:
            for _ in range(2):  # the second is a reuse
                refreshed = service.refresh(client, tokens["refresh_token"]).json()
                secret_values |= {refreshed[name] for name in ("access_token", "refresh_token") if name in refreshed}
        service.revoke(client, tokens["access_token"])
        service.http.post("/oauth/token", auth=(client.id, client.secret + "x"), data={"grant_type": "x"})
        service.http.get(f"/oauth/token?access_token={tokens['access_token']}", headers=bearer(tokens["access_token"]))
        service.http.get(f"/{tokens['access_token']}", headers=bearer(tokens["access_token"]))
        httpx.get(f"{process.admin_url}/admin/stats", headers=bearer(tokens["access_token"]))
    assertion = client_assertion(process.base_url)
    for _ in range(2):  # the second is a replay
        form = {"grant_type": "client_credentials", "client_assertion": assertion}
        service.http.post("/oauth/token", data={**form, "client_assertion_type": ASSERTION_TYPE})
    for row in BAD_INPUT:
        exchange(process.address, row.request)
    statuses = {service.request_token(BASIC).status_code for _ in range(45)}
    assert 503 in statuses
    secret_values.add(assertion)
    everything = process.output + process.logs
    assert_nothing_secret(everything)
    assert not [value for value in secret_values if value in everything or value[-20:] in everything]
    assert "Traceback" not in everything
    assert process.logs.startswith("{") is (log_format == "json")


def test_a_secret_in_the_wrong_place_of_a_clients_file_is_not_repeated(start_service_once: StartService) -> None:
    process = start_service_once()
    file = process.folder / "clients.yaml"
    wrong = OTHER._replace(entry={**OTHER.entry, "secrets": [f"{CANARY}-in-the-clear"]})
    write_clients(file, (BASIC, wrong))
    wait_until(lambda: "clients not reloaded" in process.logs, "the failure to be logged")
    assert CANARY not in process.logs


def test_an_outage_is_a_warning(start_service_once: StartService, calls_of: CallsOf) -> None:
    service = calls_of(start_service_once(clients=(BASIC,), MEMORY_STORE_MAX_TOKENS="1"))
    service.token(BASIC)
    full = service.request_token(BASIC)
    record = records_of(service, full.headers["x-request-id"])[-1]
    assert (record["level"], record["status"]) == ("warning", 503)


def test_the_level_says_how_much_is_logged(start_service_once: StartService, calls_of: CallsOf) -> None:
    service = calls_of(start_service_once(clients=(BASIC,), LOG_LEVEL="warning"))
    service.http.post("/oauth/token", auth=("nobody", "x"), data={"grant_type": "x"})
    assert [record for record in service.process.log_records() if record["level"] not in ("warning", "error")] == []
    assert [record for record in service.process.log_records() if record["logger"] == "app.requests"] == []


def answered(service: ServiceCalls) -> list[JsonObject]:
    return [line for line in service.process.log_records() if line["message"].endswith("answered")]


def test_an_answered_request_has_one_line_where_the_log_is_that_fine(service: ServiceCalls) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"x-request-id": "answered-once", "traceparent": f"00-{trace}-00f067aa0ba902b7-00"}
    form = {"grant_type": "client_credentials"}
    assert service.http.post("/oauth/token", auth=BASIC.basic, data=form, headers=headers).status_code == 200
    (line,) = records_of(service, "answered-once")
    assert line["message"] == "POST /oauth/token answered"
    assert line["level"] == "debug"
    assert 0 < line["seconds"] < 5
    told = {name: line[name] for name in ("status", "peer", "operation", "client_id", "trace_id")}
    assert told == {
        "status": 200,
        "peer": "127.0.0.1",
        "operation": "issue",
        "client_id": BASIC.id,
        "trace_id": trace,
    }


def test_a_refused_request_has_no_second_line(service: ServiceCalls) -> None:
    headers = {"x-request-id": "refused-once"}
    service.http.post("/oauth/token", auth=("nobody", "x"), data={"grant_type": "x"}, headers=headers)
    assert len(records_of(service, "refused-once")) == 1


@pytest.mark.parametrize(
    ("settings", "least", "most"),
    [
        ({}, 0, 0),
        ({"LOG_REQUESTS": "info"}, 200, 200),
        ({"LOG_REQUESTS": "info", "LOG_REQUESTS_RATIO": "0.1"}, 1, 80),
        ({"LOG_REQUESTS": "off", "LOG_LEVEL": "debug"}, 0, 0),
    ],
    ids=["as it is", "all", "some", "none"],
)
def test_operators_choose_how_many_lines_there_are(
    start_service_once: StartService, calls_of: CallsOf, settings: dict[str, str], least: int, most: int
) -> None:
    service = calls_of(start_service_once(clients=(BASIC,), **settings))
    for _ in range(200):
        assert service.http.get("/jwks.json").status_code == 200
    service.http.get("/health/live")
    lines = answered(service)
    assert least <= len(lines) <= most
    assert all(line["level"] == "info" for line in lines)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_a_refusal_is_logged_with_the_trace_that_the_caller_named(service: ServiceCalls) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    named = {"traced": f"00-{trace}-00f067aa0ba902b7-00", "broken": f"00-{trace}-{CANARY}-00"}
    for request_id, traceparent in named.items():
        headers = {"traceparent": traceparent, "x-request-id": f"trace-{request_id}"}
        service.http.post("/oauth/introspect", auth=("nobody", CANARY), data={"token": "x"}, headers=headers)
    assert [record["trace_id"] for record in records_of(service, "trace-traced")] == [trace]
    assert ["trace_id" in record for record in records_of(service, "trace-broken")] == [False]
