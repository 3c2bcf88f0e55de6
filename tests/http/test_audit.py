"""Audit events of a running service: every act is told once, with its circumstances, and nothing secret."""

import hashlib
import json
import os
import resource
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.observability.audit_writer import MAX_WAITING
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import (
    AUDITOR,
    BASIC,
    CANARY,
    JWT,
    OTHER,
    REFRESHER,
    REFRESHER_JWT,
    with_secret,
    write_clients,
)
from tests.programs.service_fixtures import StartService, assert_nothing_secret
from tests.programs.service_process import ServiceProcess, wait_until

CallsOf = Callable[[ServiceProcess], ServiceCalls]
Event = dict[str, Any]


@pytest.fixture
def audited(start_service: StartService, calls_of: CallsOf, tmp_path: Path) -> ServiceCalls:
    """A service whose audit goes to ``audit.jsonl`` of the test's folder."""
    return calls_of(
        start_service(AUDIT_LOG=str(tmp_path / "audit.jsonl"), CLIENTS_FILE=str(write_clients(tmp_path / "c")))
    )


def events(path: Path) -> list[Event]:
    """What was told so far, but for the keys that are made at the start."""
    told = [json.loads(line) for line in (path / "audit.jsonl").read_text().splitlines()]
    return [event for event in told if event["event"] != "key.rotated"]


def hash_of(token: str) -> str:
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def test_every_flow_is_told_and_what_waits_is_written_at_the_end(audited: ServiceCalls, tmp_path: Path) -> None:
    first = audited.token(REFRESHER)
    second = audited.refresh(REFRESHER, first["refresh_token"]).json()
    assert audited.introspect(AUDITOR, second["access_token"])["active"]
    assert audited.refresh(REFRESHER, first["refresh_token"]).status_code == 400
    opaque = audited.access_token(BASIC)
    audited.revoke(BASIC, opaque)
    audited.revoke(BASIC, opaque)
    audited.http.post("/oauth/introspect", auth=(BASIC.id, CANARY), data={"token": opaque})
    audited.http.post("/oauth/token", auth=(CANARY, "x"), data={"grant_type": "client_credentials"})
    audited.request_token(BASIC, scope="more")
    httpx.get(f"{audited.process.admin_url}/admin/stats", headers={"authorization": f"Bearer {CANARY}"})
    assert audited.process.stop() == 0  # at once: what waits must not be lost

    told = events(tmp_path)
    names = [(event["event"], event["outcome"], event.get("client_id"), event.get("reason")) for event in told]
    assert names == [
        ("token.issued", "success", REFRESHER.id, None),
        ("token.issued", "success", REFRESHER.id, None),
        ("refresh_token.reused", "refused", REFRESHER.id, "refresh_token_reused"),
        ("token.issued", "success", BASIC.id, None),
        ("token.revoked", "success", BASIC.id, None),
        ("client.refused", "refused", BASIC.id, "wrong_secret"),
        ("client.refused", "refused", None, "unknown_client"),
        ("token.refused", "refused", BASIC.id, "scope_not_allowed"),
        ("admin.refused", "refused", None, "invalid_token"),
    ]
    assert told[0]["token_hash"] == hash_of(first["access_token"])
    assert told[1]["refresh_token_hash"] == hash_of(second["refresh_token"])
    assert told[2]["token_hash"] == hash_of(first["refresh_token"])
    assert told[4]["token_hash"] == hash_of(opaque)
    assert told[4]["operation"] == "revoke"
    assert {event["address"] for event in told} == {"127.0.0.1"}
    assert_nothing_secret((tmp_path / "audit.jsonl").read_text())


def test_an_event_has_the_id_of_its_request(audited: ServiceCalls, tmp_path: Path) -> None:
    form = {"grant_type": "client_credentials"}
    audited.http.post("/oauth/token", auth=BASIC.basic, data=form, headers={"x-request-id": "made-by-the-caller/1"})
    wait_until(lambda: len(events(tmp_path)) == 1, "the event")  # it is written without waiting for the end
    assert events(tmp_path)[0]["request_id"] == "made-by-the-caller/1"


def test_changed_clients_are_told(audited: ServiceCalls, tmp_path: Path) -> None:
    write_clients(tmp_path / "c", (BASIC,))
    wait_until(lambda: bool(events(tmp_path)), "the reload")
    (event,) = events(tmp_path)
    assert (event["event"], event["actor"]) == ("admin.changed", "service")
    assert AUDITOR.id in event["change"]


def test_standard_output_is_where_it_goes_unless_told_otherwise(
    start_service_once: StartService, calls_of: CallsOf
) -> None:
    process = start_service_once()
    calls_of(process).access_token(BASIC)
    assert process.stop() == 0
    assert "token.issued" in [json.loads(line)["event"] for line in process.output.splitlines()]


def test_a_file_that_cannot_be_written_stops_the_start(start_service_once: StartService, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"AUDIT_LOG=.*No such file") as failed:
        start_service_once(AUDIT_LOG=str(tmp_path / "missing" / "audit"))
    assert getattr(failed.value, "code", None) == 2


def test_a_refusal_names_the_token_that_was_presented_by_its_hash(audited: ServiceCalls, tmp_path: Path) -> None:
    refresh_token = audited.token(REFRESHER)["refresh_token"]
    opaque, jwt = audited.access_token(BASIC), audited.access_token(JWT)
    audited.refresh(REFRESHER_JWT, refresh_token)
    audited.refresh(BASIC, refresh_token)
    audited.revoke(OTHER, refresh_token)
    audited.revoke(OTHER, opaque)
    audited.revoke(OTHER, jwt)
    audited.refresh(REFRESHER, CANARY)  # no token, perhaps a secret in the wrong field: its hash could be guessed
    audited.revoke(OTHER, "")
    assert audited.process.stop() == 0
    refused = [event for event in events(tmp_path) if event["event"] == "token.refused"]
    assert [(event["reason"], event["client_id"], event.get("token_hash")) for event in refused] == [
        ("refresh_token_unknown", REFRESHER_JWT.id, hash_of(refresh_token)),
        ("unauthorized_client", BASIC.id, hash_of(refresh_token)),
        ("not_the_owner", OTHER.id, hash_of(refresh_token)),
        ("not_the_owner", OTHER.id, hash_of(opaque)),
        ("not_the_owner", OTHER.id, hash_of(jwt)),
        ("refresh_token_unknown", REFRESHER.id, None),
        ("missing_parameter", OTHER.id, None),
    ]
    assert_nothing_secret((tmp_path / "audit.jsonl").read_text())


def flood(address: tuple[str, int], count: int) -> None:
    """Send requests that cannot be read, each from another address, as a trusted proxy tells it."""
    with socket.create_connection(address, timeout=30) as connection:
        for first in range(0, count, 100):
            for number in range(first, first + 100):
                told = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
                head = f"POST /oauth/revoke?a=b HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {told}\r\n"
                connection.sendall(f"{head}content-length: 0\r\n\r\n".encode())
            answered = b""
            while answered.count(b"HTTP/1.1 400") < 100:
                answered += connection.recv(65_536)


def test_no_flood_of_refusals_drops_what_ends_tokens_and_what_operators_change(
    start_service_once: StartService, calls_of: CallsOf, tmp_path: Path
) -> None:
    audit, clients = tmp_path / "audit", write_clients(tmp_path / "c")
    os.mkfifo(audit)
    reader = os.open(audit, os.O_RDONLY | os.O_NONBLOCK)  # which nobody reads for now
    settings = {"AUDIT_LOG": str(audit), "CLIENTS_FILE": str(clients), "TRUSTED_PROXIES": "127.0.0.0/8"}
    service = calls_of(start_service_once(**settings, LOG_LEVEL="error", RATE_LIMIT_FAILURES_PER_MINUTE="300"))
    opaque, first = service.access_token(BASIC), service.token(REFRESHER)["refresh_token"]
    service.refresh(REFRESHER, first)
    flood(service.process.address, MAX_WAITING + 2_000)
    dropped = service.metric("audit_events_dropped_total")
    assert dropped > 0
    service.revoke(BASIC, opaque)
    service.refresh(REFRESHER, first)
    write_clients(clients, (BASIC,))
    wait_until(lambda: service.request_token(OTHER).status_code == 401, "the reload")
    lost = service.metric("audit_events_dropped_total") - dropped
    os.set_blocking(reader, True)
    with os.fdopen(reader, "rb") as pipe, ThreadPoolExecutor() as pool:
        lines = pool.submit(pipe.read)
        assert service.process.stop() == 0
        told = [json.loads(line) for line in lines.result(30).splitlines()]
    names = Counter(event["event"] for event in told)
    assert names["token.refused"] >= MAX_WAITING
    assert [names[name] for name in ("token.revoked", "refresh_token.reused", "admin.changed")] == [1, 1, 1]
    # What found no room all the while: the tokens and refusals of the client that was to go.
    assert lost > 0


def test_a_disk_that_was_full_costs_the_events_of_that_time_and_no_other(
    start_service_once: StartService, calls_of: CallsOf, tmp_path: Path
) -> None:
    audit = tmp_path / "audit.jsonl"
    audited = calls_of(start_service_once(AUDIT_LOG=str(audit), KEYS_ALGORITHMS="ES256"))

    def hold_at(size: int) -> None:
        """No file of the process grows beyond so many bytes."""
        resource.prlimit(audited.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    before = audited.access_token(BASIC)
    wait_until(lambda: hash_of(before).encode() in audit.read_bytes(), "its event, behind those of the first keys")
    size = audit.stat().st_size
    hold_at(size + 50)
    audited.access_token(BASIC)
    wait_until(lambda: audited.metric("audit_events_dropped_total") == 1, "the loss to be counted")
    hold_at(1_000_000)
    after = audited.access_token(BASIC)
    assert audited.process.stop() == 0
    *told, torn, last = audit.read_text().splitlines()
    assert len(torn) == 50
    assert [json.loads(line).get("token_hash") for line in (*told, last)].count(hash_of(before)) == 1
    assert json.loads(last)["token_hash"] == hash_of(after)


def test_who_fails_or_asks_too_often_is_told_with_the_token_that_it_presented(
    start_service: StartService, calls_of: CallsOf, tmp_path: Path
) -> None:
    limited = with_secret("limited-here", rate_limit_per_minute=1)
    path = str(tmp_path / "audit.jsonl")
    audited = calls_of(start_service(AUDIT_LOG=path, clients=(REFRESHER, limited)))
    given = audited.token(REFRESHER)
    access, refresh = given["access_token"], given["refresh_token"]
    asked = {
        "/oauth/introspect": {"token": access},
        "/oauth/revoke": {"token": refresh},
        "/oauth/token": {"grant_type": "refresh_token", "refresh_token": refresh},
    }
    for route, form in asked.items():
        audited.http.post(route, auth=(REFRESHER.id, "wrong"), data=form)
    audited.http.post("/oauth/introspect", auth=(REFRESHER.id, "wrong"), json={"token": refresh})
    audited.http.post("/oauth/revoke?a=b", data={"token": access})
    audited.http.post("/oauth/introspect", auth=(REFRESHER.id, "wrong"), data={"token": CANARY})
    for _ in range(2):
        audited.request_introspection(limited, access)
    assert audited.process.stop() == 0
    told = [(event["event"], event.get("token_hash")) for event in events(tmp_path)]
    assert told == [
        ("token.issued", hash_of(access)),
        ("client.refused", hash_of(access)),
        ("client.refused", hash_of(refresh)),
        ("client.refused", hash_of(refresh)),
        ("client.refused", hash_of(refresh)),
        ("token.refused", hash_of(access)),
        ("client.refused", None),
        ("limit.hit", hash_of(access)),
    ]
    assert_nothing_secret((tmp_path / "audit.jsonl").read_text())
