"""``/admin/stats`` on the operators' listener, which no mode of the fast path carries: one mode will do."""

import base64
import contextlib
import json
import socket
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest

from app.observability.audit import ONE_BY_ONE
from tests.programs.service_calls import ServiceCalls, assert_refused, good_json
from tests.programs.service_clients import ADMIN, BASIC, CANARY, JWT, with_secret
from tests.programs.service_fixtures import FAST_PATHS, ServiceOfMode, StartService
from tests.programs.service_process import ServiceEnded, ServiceProcess, wait_until

OPERATOR_TOKEN = f"{CANARY}-operators-token"
CallsOf = Callable[[ServiceProcess], ServiceCalls]


@pytest.fixture(scope="session")
def service(service_of_mode: ServiceOfMode) -> ServiceCalls:
    return service_of_mode(FAST_PATHS[0])


def test_stats_tell_the_state_of_the_process(
    start_service_once: StartService, calls_of: CallsOf, tmp_path: Path
) -> None:
    process = start_service_once(ADMIN_TOKEN_FILE=str(operator_token_file(tmp_path)))
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
        "ring",
        "keys",
        "process",
    }
    assert stats["version"] == good_json(service.http.get("/health"))["version"]
    assert 0 < stats["uptime_seconds"] < 60
    assert stats["store"] == {"kind": "memory", "degraded": False, "live_tokens": 2}
    assert (stats["issued"]["total"], stats["introspected"]["total"]) == (4, 2)
    assert stats["issued"]["per_second"] > stats["introspected"]["per_second"] > 0
    # memory needs no cache
    assert stats["cache"] == {"hit_ratio": None, "lease": None, "entries": None, "epochs_version": None}
    assert stats["ring"]["revision"] >= 1
    assert stats["ring"]["problem"] is None
    published = {key["kid"] for key in good_json(service.http.get("/jwks.json"))["keys"]}
    assert {key["kid"] for key in stats["keys"]} <= published
    for key in stats["keys"]:
        assert key.keys() == {"kid", "algorithm", "state", "age_seconds"}
        assert 0 <= key["age_seconds"] < 60
    assert stats["process"]["pid"] == process.pid
    assert 20_000_000 < stats["process"]["resident_bytes"] < 200_000_000


def test_with_nothing_configured_nobody_is_let_in(start_service_once: StartService) -> None:
    process = start_service_once(clients=(BASIC,))
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


def test_a_jwt_with_the_scope_lets_in(start_service_once: StartService, calls_of: CallsOf) -> None:
    client = with_secret("admin-jwt", scopes=["auth-service:admin"], access_token={"format": "jwt"})
    elsewhere = with_secret(
        "elsewhere", scopes=["auth-service:admin"], access_token={"format": "jwt"}, audiences=["https://api.example"]
    )
    process = start_service_once(clients=(client, elsewhere))
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


def test_a_page_of_another_site_cannot_point_its_name_at_the_listener(
    start_service_once: StartService, tmp_path: Path
) -> None:
    """DNS rebinding: the browser asks with the name of the page, and is told nothing, not even with the right token."""
    token = operator_token_file(tmp_path)
    process = start_service_once(clients=(BASIC,), ADMIN_TOKEN_FILE=str(token), ADMIN_ALLOWED_HOSTS="ops.example.com")
    statuses: dict[str, set[int]] = {}
    for host in ("attacker.example", "attacker.example:9465", "ops.example.com", "localhost:1", "127.0.0.1", "[::1]:1"):
        for path in ("/admin/", "/admin/stats", "/admin/revocations"):
            answer = httpx.get(process.admin_url + path, headers={"host": host, **bearer(OPERATOR_TOKEN)})
            statuses.setdefault(host, set()).add(answer.status_code)
    assert {host for host, seen in statuses.items() if seen == {421}} == {"attacker.example", "attacker.example:9465"}
    assert {host for host, seen in statuses.items() if seen == {200}} == statuses.keys() - {
        "attacker.example",
        "attacker.example:9465",
    }


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
        challenge = response.headers["www-authenticate"]
        # Browsers look at the first one alone; the other is for who has a token.
        assert challenge.startswith('Basic realm="auth-service admin", Bearer realm="auth-service admin"')
        assert response.headers["cache-control"] == "no-store"


def ask_from(address: str, process: ServiceProcess, headers: dict[str, str]) -> httpx.Response:
    """Ask from another address of this machine."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=address)) as client:
        return client.get(f"{process.admin_url}/admin/stats", headers=headers)


def test_guesses_at_the_operators_token_are_slowed_down_and_keep_nobody_else_out(
    start_service_once: StartService, calls_of: CallsOf, tmp_path: Path
) -> None:
    audit = tmp_path / "audit.jsonl"
    settings = {"ADMIN_TOKEN_FILE": str(operator_token_file(tmp_path)), "AUDIT_LOG": str(audit)}
    process = start_service_once(clients=(BASIC,), RATE_LIMIT_FAILURES_PER_MINUTE="20", **settings)

    def guesses(count: int) -> list[int]:
        return [ask(process, (bearer, partial(basic, "admin"))[n % 2](f"guess {n}")).status_code for n in range(count)]

    assert guesses(8) == [401] * 6 + [429] * 2
    refused = ask(process, bearer("guess"))
    assert_refused(refused, 429, "slow_down")
    assert 1 <= int(refused.headers["retry-after"]) <= 2
    assert refused.headers["ratelimit-policy"] == '"admin";q=20;w=60'
    # By port-forward all operators have one address: what is right passes, as it does from elsewhere.
    assert ask(process, bearer(OPERATOR_TOKEN)).status_code == 200
    assert ask_from("127.0.0.2", process, bearer(OPERATOR_TOKEN)).status_code == 200
    assert guesses(200).count(429) >= 190
    # More are not even compared.
    assert ask(process, bearer(OPERATOR_TOKEN)).status_code == 429
    assert ask(process, {}).status_code == 401
    assert ask_from("127.0.0.2", process, bearer(OPERATOR_TOKEN)).status_code == 200
    assert ask_from("127.0.0.2", process, bearer("wrong")).status_code == 401
    labels = {"class": "admin", "result": "limited"}
    assert calls_of(process).metric("rate_limit_decisions_total", **labels) >= 190
    assert process.stop() == 0
    events = [json.loads(line) for line in audit.read_text().splitlines()]
    told = Counter(event["reason"] for event in events if event["event"] == "admin.refused")
    assert told["too_many_failures"] == ONE_BY_ONE
    assert OPERATOR_TOKEN not in audit.read_text()


def test_a_short_operators_token_stops_the_start_where_others_can_try_theirs(
    start_service_once: StartService, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("canary-short")
    with pytest.raises(ServiceEnded, match=r"ADMIN_TOKEN_FILE.*at least 32 characters") as ended:
        start_service_once(ADMIN_ADDR="0.0.0.0:0", ADMIN_TOKEN_FILE=str(tmp_path / "token"))
    assert ended.value.code == 2
    assert "canary-short" not in ended.value.log + ended.value.output


def test_a_changed_operators_token_counts_at_once(start_service_once: StartService, tmp_path: Path) -> None:
    file = operator_token_file(tmp_path)
    process = start_service_once(clients=(BASIC,), ADMIN_TOKEN_FILE=str(file))
    assert ask(process, bearer(OPERATOR_TOKEN)).status_code == 200
    file.write_text(OPERATOR_TOKEN + "-new")
    assert ask(process, bearer(OPERATOR_TOKEN)).status_code == 401
    assert ask(process, bearer(OPERATOR_TOKEN + "-new")).status_code == 200


def test_expired_tokens_leave_the_store_by_themselves(
    start_service_once: StartService, calls_of: CallsOf, tmp_path: Path
) -> None:
    client = with_secret("short-lived", access_token={"seconds": 3})
    process = start_service_once(clients=(client,), ADMIN_TOKEN_FILE=str(operator_token_file(tmp_path)))
    service = calls_of(process)
    for _ in range(20):
        service.token(client)
    assert live_tokens(process) == 20
    wait_until(lambda: live_tokens(process) == 0, "all of them to be gone")


def live_tokens(process: ServiceProcess) -> int:
    stats = good_json(ask(process, bearer(OPERATOR_TOKEN)))
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


def test_the_page_is_for_who_may_see_the_stats(service: ServiceCalls) -> None:
    refused = httpx.get(f"{service.process.admin_url}/admin/")
    assert refused.status_code == 401
    assert "<html" not in refused.text
    assert httpx.get(f"{service.process.base_url}/admin/").status_code == 404


def test_the_page_tells_what_happened(start_service_once: StartService, calls_of: CallsOf, tmp_path: Path) -> None:
    process = start_service_once(ADMIN_TOKEN_FILE=str(operator_token_file(tmp_path)))
    service = calls_of(process)
    service.introspect(BASIC, service.access_token(BASIC))
    service.http.post("/oauth/token", auth=(BASIC.id, CANARY), data={"grant_type": "client_credentials"})
    before = {"subject": "nobody", "reason": "<b>asked</b>"}
    url = f"{process.admin_url}/admin/revocations/subject"
    assert httpx.post(url, headers=bearer(OPERATOR_TOKEN), json=before).status_code == 200
    page = httpx.get(f"{process.admin_url}/admin/", headers=basic("admin", OPERATOR_TOKEN))
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    for told in ("client.refused", "wrong_secret", "admin.changed", "&lt;b&gt;asked&lt;/b&gt;", BASIC.id):
        assert told in page.text
    assert CANARY not in page.text
    assert BASIC.secret not in page.text


def test_connections_that_do_nothing_take_no_place_of_others(start_service_once: StartService, tmp_path: Path) -> None:
    process = start_service_once(ADMIN_TOKEN_FILE=str(operator_token_file(tmp_path)))
    host, port = process.admin_url.removeprefix("http://").split(":")
    with contextlib.ExitStack() as opened:
        idle = [opened.enter_context(socket.create_connection((host, int(port)), 5)) for _ in range(120)]
        assert ask(process, bearer(OPERATOR_TOKEN)).status_code == 200
        ended = []
        for connection in idle:
            connection.settimeout(0.01)
            with contextlib.suppress(TimeoutError):
                ended.append(connection.recv(1) == b"")
        assert len(ended) >= 20
        assert all(ended)
