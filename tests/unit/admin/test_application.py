"""The operators' listener, called as an ASGI application: every route asks first, and every answer has its headers."""

from typing import Any

import httpx
import pytest

from app.admin.application import admin_application
from app.admin.attempts import LimitedAuthorization
from app.admin.authorization import AdminAuthorization
from app.admin.hosts import OperatorHosts
from app.admin.page import View
from app.admin.revocations import BulkRevocation
from app.admin.stats import CacheStats, CounterStats, KeyStats, ProcessStats, RingStats, Stats, StoreStats
from app.endpoints.answers import SECURITY_HEADERS
from app.endpoints.signed_tokens import SignedTokens
from app.model.tokens import AccessTokenRecord, TokenKind, TokenRef
from app.observability.audit import silent_audit
from app.protocol.opaque_token import new_token
from app.storage.interface import StoreUnavailable
from app.storage.memory import MemoryStore
from tests.unit.endpoints.wiring import ISSUER, Clock, key_ring

pytestmark = pytest.mark.anyio

STATS = Stats(
    version="1.2.3",
    uptime_seconds=12.5,
    store=StoreStats("memory", False, 7),
    issued=CounterStats(8, 0.5),
    introspected=CounterStats(9, 0.6),
    cache=CacheStats(None),
    ring=RingStats(3, None),
    keys=(KeyStats("kid", "ES256", "signing", 100.0),),
    process=ProcessStats(1, 90_000_000),
)


class Away(MemoryStore):
    async def find_access_token(self, ref: TokenRef) -> AccessTokenRecord | None:
        raise StoreUnavailable("away")


async def ask(
    authorization: str | None,
    path: str = "/admin/stats",
    method: str = "GET",
    *,
    token: str | None = "secret",
    failure: Exception | None = None,
    host: str = "localhost",
) -> httpx.Response:
    async def read_stats() -> Stats:
        if failure is not None:
            raise failure
        return STATS

    clock = Clock()
    access = AdminAuthorization(
        read_operator_token=lambda: token,
        any_client_may=lambda: False,
        find_client=lambda _client_id: None,
        store=Away(1, clock),
        signed_tokens=SignedTokens(key_ring, ISSUER, lambda: None),
        issuer=ISSUER,
        now=clock,
    )
    revocation = BulkRevocation(
        MemoryStore(1, clock),
        SignedTokens(key_ring, ISSUER, lambda: None),
        longest_life_seconds=86_400,
        skew_seconds=30,
        staleness_seconds=0,
        now=clock,
        monotonic=clock,
    )

    async def read_view() -> View:
        return View(ISSUER, clock(), await read_stats(), (), (), (), (), audited=False, events=())

    application: Any = admin_application(
        authorization=LimitedAuthorization(access, per_minute=0, monotonic=clock),
        hosts=OperatorHosts(["ops.example.com"]),
        read_stats=read_stats,
        revocation=revocation,
        audit=silent_audit(),
        read_view=read_view,
    )
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
        headers = {} if authorization is None else {"authorization": authorization}
        response = await client.request(method, path, headers=headers)
    for name, value in SECURITY_HEADERS:
        assert response.headers[name.decode()] == value.decode()
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "application/json"
    return response


async def test_the_stats_are_those_of_the_moment() -> None:
    response = await ask("Bearer secret")
    assert response.status_code == 200
    assert response.json() == {
        "version": "1.2.3",
        "uptime_seconds": 12.5,
        "store": {"kind": "memory", "degraded": False, "live_tokens": 7},
        "issued": {"total": 8, "per_second": 0.5},
        "introspected": {"total": 9, "per_second": 0.6},
        "cache": {"hit_ratio": None, "lease": None, "entries": None, "epochs_version": None},
        "ring": {"revision": 3, "problem": None},
        "keys": [{"kid": "kid", "algorithm": "ES256", "state": "signing", "age_seconds": 100.0}],
        "process": {"pid": 1, "resident_bytes": 90_000_000},
    }


async def test_another_host_is_none_of_it_whoever_asks() -> None:
    for authorization, token in (("Bearer secret", "secret"), (None, "secret"), (None, None)):
        response = await ask(authorization, token=token, host="attacker.example")
        assert (response.status_code, response.json()["error"]) == (421, "misdirected_request")
    assert (await ask("Bearer secret", host="ops.example.com:9465")).status_code == 200


@pytest.mark.parametrize(
    ("authorization", "token", "status", "error"),
    [
        (None, "secret", 401, "invalid_token"),
        ("Bearer wrong", "secret", 401, "invalid_token"),
        ("Basic x", "secret", 401, "invalid_token"),
        ("Bearer secret", None, 403, "access_denied"),
        (None, None, 403, "access_denied"),
        (f"Bearer {new_token(TokenKind.ACCESS, '1a2b', bytes)}", "secret", 503, "temporarily_unavailable"),
    ],
)
async def test_who_may_not_is_told_what_would_help(
    authorization: str | None, token: str | None, status: int, error: str
) -> None:
    response = await ask(authorization, token=token)
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert ("www-authenticate" in response.headers) is (status == 401)
    assert ("retry-after" in response.headers) is (status == 503)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/admin/other", "GET", 404), ("/", "GET", 404), ("/admin/stats", "POST", 405), ("/schema", "GET", 404)],
)
async def test_there_is_nothing_else(path: str, method: str, status: int) -> None:
    response = await ask("Bearer secret", path, method)
    assert response.status_code == status
    assert (response.headers.get("allow") is not None) is (status == 405)


@pytest.mark.parametrize(("failure", "status"), [(StoreUnavailable("away"), 503), (RuntimeError("canary"), 500)])
async def test_a_failure_tells_nothing_of_its_cause(failure: Exception, status: int) -> None:
    response = await ask("Bearer secret", failure=failure)
    assert response.status_code == status
    assert "canary" not in response.text
