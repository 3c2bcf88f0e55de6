"""Who is asking is told by the connection, never by the request."""

import secrets
from collections.abc import Iterator

import pytest

from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC
from tests.programs.service_fixtures import StartService

CLAIMED = "203.0.113.7"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": CLAIMED},
        {"x-forwarded-for": f"{CLAIMED}, 127.0.0.1"},
        {"x-real-ip": CLAIMED},
        {"forwarded": f"for={CLAIMED};proto=https;host=evil.example"},
        {"x-client-ip": CLAIMED, "true-client-ip": CLAIMED, "cf-connecting-ip": CLAIMED},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_no_header_says_who_the_peer_is(service: ServiceCalls, headers: dict[str, str]) -> None:
    """RFC 9700 section 4.13: headers that a proxy sets are the attacker's, where the proxy does not remove them."""
    request_id = f"peer-{secrets.token_hex(8)}"
    refused = service.http.post(
        "/oauth/token",
        auth=(BASIC.id, "wrong"),
        data={"grant_type": "client_credentials"},
        headers={**headers, "x-request-id": request_id},
    )
    assert refused.status_code == 401
    (record,) = (r for r in service.process.log_records() if r.get("request_id") == request_id)
    assert record["peer"] == "127.0.0.1"
    assert CLAIMED not in service.process.logs


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("x-forwarded-for", f"198.51.100.1, {CLAIMED}")], CLAIMED),
        ([("x-forwarded-for", CLAIMED), ("x-forwarded-for", "127.0.0.9")], CLAIMED),
        ([("forwarded", f'for="[2001:db8::9]", for={CLAIMED};proto=https')], CLAIMED),
        ([("x-forwarded-for", CLAIMED), ("forwarded", "for=198.51.100.1")], "127.0.0.1"),
        ([("x-real-ip", CLAIMED)], "127.0.0.1"),
    ],
    ids=["last of several", "several lines", "forwarded", "disagreeing", "another header"],
)
def test_a_trusted_proxy_says_who_its_peer_is(
    proxied: ServiceCalls, headers: list[tuple[str, str]], expected: str
) -> None:
    request_id = f"peer-{secrets.token_hex(8)}"
    proxied.http.post("/oauth/token", data={}, headers=[*headers, ("x-request-id", request_id)])
    (record,) = (r for r in proxied.process.log_records() if r.get("request_id") == request_id)
    assert record["peer"] == expected


@pytest.fixture(scope="module")
def proxied(start_module_service: StartService) -> Iterator[ServiceCalls]:
    calls = ServiceCalls(start_module_service(TRUSTED_PROXIES="127.0.0.0/8"))
    yield calls
    calls.close()
