"""Many tokens ended at an operator's word: by list, client, subject, and before an instant; in memory and in Redis."""

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from app.observability.audit import token_hash
from tests.http.test_admin import CallsOf
from tests.programs.plain import is_plain
from tests.programs.service_calls import ServiceCalls, assert_refused, good_json
from tests.programs.service_clients import ADMIN, AUDITOR, BASIC, CANARY, JWT, OTHER, REFRESHER, REFRESHER_JWT
from tests.programs.service_fixtures import FAST_PATHS, StartService
from tests.programs.service_process import wait_until

OPERATOR_TOKEN = f"{CANARY}-operators-token"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "operations" / "audit.schema.json").read_text())
SOON = 2.5
"""Seconds: the bound of the store, and a margin."""
Post = Callable[..., httpx.Response]


@pytest.fixture
def fast_path() -> str:
    return FAST_PATHS[0]


@pytest.fixture(params=["memory", "redis"])
def replicas(
    request: pytest.FixtureRequest, start_service: StartService, calls_of: CallsOf, tmp_path: Path
) -> list[ServiceCalls]:
    """One process on memory; two on one Redis, the first of which is asked to revoke."""
    (tmp_path / "admin-token").write_text(OPERATOR_TOKEN)
    settings = {
        "ADMIN_TOKEN_FILE": str(tmp_path / "admin-token"),
        "AUDIT_LOG": str(tmp_path / "audit.jsonl"),
        "EXTERNAL_BASE_URL": "https://auth.example.com",
        "KEYS_FILE": str(tmp_path / "keyring.json"),
    }
    if request.param == "memory":
        return [calls_of(start_service(**settings))]
    settings["REDIS_URL"] = request.getfixturevalue("redis_url")
    settings["REDIS_KEY_PREFIX"] = request.getfixturevalue("redis_key_prefix")
    return [calls_of(start_service(**settings)) for _ in range(2)]


@pytest.fixture
def post(replicas: list[ServiceCalls]) -> Post:
    """``post(path, body, …)``: ask the first replica as the operator."""

    def ask(path: str, body: object, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {OPERATOR_TOKEN}"} | options.pop("headers", {})
        url = f"{replicas[0].process.admin_url}/admin/revocations{path}"
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(
            url, content=content, headers={"content-type": "application/json"} | headers, timeout=60, **options
        )

    return ask


def is_dead(service: ServiceCalls, token: str) -> bool:
    return service.introspect(AUDITOR, token) == {"active": False}


def assert_dead_everywhere(replicas: list[ServiceCalls], *tokens: str) -> None:
    for service in replicas:
        for token in tokens:
            wait_until(partial(is_dead, service, token), "the revocation to arrive", SOON)


def until_the_next_second() -> None:
    second = int(time.time())
    wait_until(lambda: int(time.time()) > second, "the next second", 2)


def test_a_list_ends_tokens_of_every_kind(replicas: list[ServiceCalls], post: Post, tmp_path: Path) -> None:
    service = replicas[-1]
    opaque, jwt = service.access_token(BASIC), service.access_token(JWT)
    family, jwt_family = service.token(REFRESHER), service.token(REFRESHER_JWT)
    kept = service.access_token(BASIC)
    everything = [opaque, jwt, family["access_token"], jwt_family["access_token"], kept]
    for replica in replicas:
        assert all(replica.is_active(AUDITOR, token) for token in everything)
    listed = [opaque, jwt, family["refresh_token"], jwt_family["refresh_token"], "garbage", "", "asa_1" + "0" * 55]
    answer = good_json(post("/tokens", {"tokens": listed, "reason": "leaked in a log"}))
    assert answer == {"access_tokens": 1, "jwts": 1, "refresh_tokens": 2, "unknown": 3}
    assert_dead_everywhere(replicas, *everything[:-1])
    assert service.is_active(AUDITOR, kept)
    assert_refused(service.refresh(REFRESHER, family["refresh_token"]), 400, "invalid_grant")
    assert good_json(post("/tokens", {"tokens": listed})) == answer | {"jwts": 1, "refresh_tokens": 0, "unknown": 5}
    for replica in replicas:
        replica.process.stop()
    events = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    changes = [event for event in events if event["event"] == "admin.changed" and event["actor"] == "operator"]
    assert changes[0]["change"].endswith("(access_tokens 1, jwts 1, refresh_tokens 2, unknown 3): leaked in a log")
    assert changes[0]["request_id"]
    by_request: dict[str, list[str]] = {change["request_id"]: [] for change in changes}
    for event in events:
        if event["event"] == "token.revoked":
            assert (event["actor"], event["address"], event["outcome"]) == ("operator", "127.0.0.1", "success")
            jsonschema.validate(event, SCHEMA)
            by_request[event["request_id"]].append(event["token_hash"])
    first, second = by_request.values()
    assert sorted(first) == sorted(map(token_hash, listed[:4]))
    # The second time the refresh tokens are unknown, and access tokens of either form are told again.
    assert sorted(second) == sorted(map(token_hash, listed[:2]))
    assert opaque not in (tmp_path / "audit.jsonl").read_text()


def test_a_client_s_tokens_end_and_it_gets_new_ones(replicas: list[ServiceCalls], post: Post) -> None:
    service = replicas[-1]
    family, others = service.token(REFRESHER), service.access_token(OTHER)
    for replica in replicas:
        assert replica.is_active(AUDITOR, family["access_token"])
    answer = good_json(post("/client", {"client_id": "refresher"}))
    assert answer["scope"] == "client"
    assert answer["value"] == "refresher"
    assert 0 <= answer["before"] - time.time() <= 1
    cached = len(replicas) > 1 and not is_plain()
    assert answer["everywhere_within_seconds"] == (2 if cached else 0)
    assert_dead_everywhere(replicas, family["access_token"], family["refresh_token"])
    assert_refused(service.refresh(REFRESHER, family["refresh_token"]), 400, "invalid_grant")
    until_the_next_second()
    for replica in replicas:
        assert replica.is_active(AUDITOR, others)
        assert replica.is_active(REFRESHER, service.access_token(REFRESHER))


def test_a_subject_s_tokens_end_jwts_included(replicas: list[ServiceCalls], post: Post) -> None:
    service = replicas[-1]
    jwt, others = service.access_token(JWT), service.access_token(BASIC)  # a client is its own subject
    for replica in replicas:
        assert replica.is_active(AUDITOR, jwt)
    assert good_json(post("/subject", {"subject": "jwt", "reason": "left"}))["scope"] == "subject"
    assert_dead_everywhere(replicas, jwt)
    assert all(replica.is_active(AUDITOR, others) for replica in replicas)


@pytest.mark.parametrize("written", ["number", "text"])
def test_everything_before_an_instant_ends(replicas: list[ServiceCalls], post: Post, written: str) -> None:
    service = replicas[-1]
    before = int(time.time()) + 1
    old = [service.access_token(BASIC), service.access_token(JWT), service.token(REFRESHER)["refresh_token"]]
    until_the_next_second()
    young = [service.access_token(BASIC), service.access_token(JWT)]
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(before))
    answer = good_json(post("/before", {"before": before if written == "number" else text}))
    assert (answer["scope"], answer["value"], answer["before"]) == ("everything", "", before)
    assert_dead_everywhere(replicas, *old)
    for replica in replicas:
        assert all(replica.is_active(AUDITOR, token) for token in young)
    headers = {"authorization": f"Bearer {OPERATOR_TOKEN}"}
    for replica in replicas:
        url = f"{replica.process.admin_url}/admin/revocations"
        told = partial(httpx.get, url, headers=headers)
        wait_until(lambda told=told: good_json(told())["in_force"] == [answer], "it to be told", SOON)  # type: ignore[misc]


@pytest.mark.parametrize("replicas", ["memory"], indirect=True)
@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        ("/tokens", {}, "missing required field `tokens`"),
        ("/tokens", {"tokens": []}, "length >= 1"),
        ("/tokens", {"tokens": [5]}, "Expected `str`, got `int` - at `$.tokens[0]`"),
        ("/tokens", {"tokens": ["x"], "token": "y"}, "unknown field `token`"),
        ("/tokens", {"tokens": ["x"] * 100_001}, "length <= 100000"),
        ("/tokens", b"{", "truncated"),
        ("/tokens", b'{"tokens":["\xff"]}', "not JSON in UTF-8"),
        ("/client", {"client_id": ""}, "length >= 1"),
        ("/client", {"client_id": "basic", "before": "yesterday"}, "before is neither an RFC 3339"),
        ("/client", {"client_id": "basic", "before": True}, "Expected `int | float | str | null`, got `bool`"),
        ("/client", {"client_id": "basic", "before": -1}, "before is neither"),
        ("/client", {"client_id": "basic", "before": 1e300}, "before is neither"),
        ("/client", {"client_id": "basic", "before": 10**400}, "before is neither"),
        ("/subject", {"subject": "x", "before": time.time() + 600}, "before lies in the future"),
        ("/subject", {"subject": "x", "reason": "x" * 201}, "length <= 200"),
        ("/before", {}, "missing required field `before`"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(
    replicas: list[ServiceCalls], post: Post, path: str, body: object, complaint: str
) -> None:
    token = replicas[0].access_token(BASIC)
    response = post(path, body)
    assert_refused(response, 400, "invalid_request")
    assert complaint in response.json()["error_description"]
    assert replicas[0].is_active(BASIC, token)


@pytest.mark.parametrize("replicas", ["memory"], indirect=True)
def test_only_json_of_a_bounded_size_from_who_may(replicas: list[ServiceCalls], post: Post) -> None:
    body = {"client_id": "basic"}
    token = replicas[0].access_token(BASIC)
    # What a page of another site can make a browser send without asking first.
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert_refused(post("/client", body, headers={"content-type": content_type}), 415, "invalid_request")
    assert post("/client", b'{"client_id":"basic"' + b" " * 17_000_000 + b"}").status_code == 413
    assert post("/client", body, headers={"authorization": "Bearer wrong"}).status_code == 401
    plain = replicas[0].access_token(ADMIN, scope="read")
    assert post("/client", body, headers={"authorization": f"Bearer {plain}"}).status_code == 403
    assert replicas[0].is_active(BASIC, token)
    allowed = replicas[0].access_token(ADMIN, scope="auth-service:admin")
    assert post("/client", body, headers={"authorization": f"Bearer {allowed}"}).status_code == 200
    assert is_dead(replicas[0], token)
