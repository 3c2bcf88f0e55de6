"""The token endpoint, from a request's bytes to the answer's: both token formats, every refusal, every failure."""

import asyncio
import hashlib
import threading
from typing import Any

import jwt
import msgspec
import pytest
from jwt import PyJWK

from app.endpoints.exchange import Request, Response
from app.endpoints.minting import Minted
from app.grants.client_credentials import ClientCredentials
from app.grants.decision import Loaded, TokenPolicy
from app.keys.ring import EMPTY_RING
from app.model.tokens import RefreshTokenRecord, TokenKind, TokenRef
from app.protocol.metadata import TOKEN_PATH
from app.protocol.opaque_token import family_tag, token_kind, token_ref
from app.protocol.token_request import TokenRequest
from app.storage.interface import Issuance, Rotation, StoreFull, StoreUnavailable
from app.storage.memory import MemoryStore
from tests.unit.endpoints.wiring import (
    API,
    FAMILY_MAX_SECONDS,
    ISSUER,
    JWT,
    NOW,
    OPAQUE,
    OTHER_API,
    SIGNING_THREADS,
    Answer,
    Clock,
    Wired,
    basic,
    confidential,
    key_ring,
    public,
    signing_threads,
)

pytestmark = pytest.mark.anyio

SECOND = int(NOW)
CREDENTIALS = {"grant_type": "client_credentials"}


def verified(token: str, typ: str = "at+jwt", audience: str = API) -> dict[str, Any]:
    """The claims, by PyJWT and the key that the JWKS has under the token's kid."""
    header = jwt.get_unverified_header(token)
    assert header["typ"] == typ
    published = {key.kid: key.jwk for key in key_ring().published(NOW)}
    key = PyJWK(published[header["kid"]])
    options: Any = {"verify_iat": False, "verify_exp": False}  # by the test's clock, not by the machine's
    return jwt.decode(token, key, [key.algorithm_name], audience=audience, issuer=ISSUER, options=options)


# ------------------------------------------------------------------------------------------ what is issued


async def test_an_opaque_token() -> None:
    wired = Wired(confidential("billing", access_token_seconds=600))
    answer = await wired.post(TOKEN_PATH, CREDENTIALS)
    assert answer.status == 200
    token = answer.json["access_token"]
    assert answer.json == {"access_token": token, "token_type": "Bearer", "expires_in": 600, "scope": "read write"}
    assert token_kind(token) is TokenKind.ACCESS
    record = await wired.store.find_access_token(token_ref(token))
    assert record is not None
    assert (record.client_id, record.subject, record.scope, record.audience) == (
        "billing",
        "billing",
        "read write",
        (API,),
    )
    assert (record.issued_at, record.expires_at, record.family) == (SECOND, SECOND + 600, None)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
async def test_a_jwt(algorithm: str) -> None:
    wired = Wired(confidential("billing", access_token_format=JWT), algorithm=algorithm)
    issued = await wired.issue(scope="read", resource=[OTHER_API, API])
    claims = verified(issued["access_token"])
    jti = claims.pop("jti")
    assert claims == {
        "iss": ISSUER,
        "sub": "billing",
        "aud": [OTHER_API, API],
        "client_id": "billing",
        "iat": SECOND,
        "exp": SECOND + 3600,
        "scope": "read",
    }
    assert len(jti) == 26
    assert jwt.get_unverified_header(issued["access_token"])["alg"] == algorithm
    assert issued["expires_in"] == 3600
    assert wired.wrote_nothing()


async def test_an_answer_with_a_token_is_never_cached() -> None:
    """RFC 6749 section 5.1."""
    wired = Wired(confidential("billing"))
    for answer in (await wired.post(TOKEN_PATH, CREDENTIALS), await wired.post(TOKEN_PATH, {})):
        assert answer.headers[b"cache-control"] == b"no-store"
        assert answer.headers[b"pragma"] == b"no-cache"
        assert answer.headers[b"content-type"] == b"application/json"
        assert answer.headers[b"x-content-type-options"] == b"nosniff"


@pytest.mark.parametrize("access_token_format", [OPAQUE, JWT])
async def test_a_refresh_token_comes_only_where_the_client_is_set_so(access_token_format: Any) -> None:
    without = confidential("billing", access_token_format=access_token_format)
    assert "refresh_token" not in await Wired(without).issue()
    wired = Wired(msgspec.structs.replace(without, refresh_token_enabled=True, refresh_token_seconds=7200))
    issued = await wired.issue()
    record = await wired.store.find_refresh_token(token_ref(issued["refresh_token"]))
    assert record is not None
    assert (record.issued_at, record.expires_at, record.used_at) == (SECOND, SECOND + 7200, None)
    assert record.family_expires_at == SECOND + FAMILY_MAX_SECONDS
    tag = token_ref(issued["refresh_token"]).tag
    assert family_tag(record.family) == tag  # one slot of a cluster for the whole family
    if access_token_format is JWT:
        claims = verified(issued["access_token"])
        assert claims["family"] == record.family
        assert claims["jti"][:4] == tag
    else:
        assert token_ref(issued["access_token"]).tag == tag


async def test_no_two_tokens_are_alike() -> None:
    wired = Wired(confidential("billing", refresh_token_enabled=True))
    issued = [await wired.issue() for _ in range(20)]
    assert len({i["access_token"] for i in issued} | {i["refresh_token"] for i in issued}) == 40


async def test_the_first_tokens_of_a_new_ring_are_signed() -> None:
    """Keys sign from a moment within a second; the dates in a token are whole seconds. One must not hide the other."""
    assert {key.entry.signs_from for key in key_ring().published(NOW)} == {NOW}
    assert int(NOW) < NOW
    for algorithm in ("ES256", "RS256"):
        assert (await Wired(confidential("billing", access_token_format=JWT), algorithm=algorithm).issue())[
            "access_token"
        ]


# ------------------------------------------------------------------------------------------ what is refused

WITH_REFRESH = confidential("refresher", refresh_token_enabled=True)
CLIENTS = (
    confidential("billing"),
    confidential("restricted", grants=frozenset({"authorization_code"})),
    WITH_REFRESH,
    public("app"),
    public("app with refresh", refresh_token_enabled=True),
)


@pytest.mark.parametrize(
    ("form", "client", "status", "error"),
    [
        # The rows of RFC 6749 section 5.2, in its order.
        ({}, "billing", 400, "invalid_request"),
        ({"grant_type": ""}, "billing", 400, "invalid_request"),
        ({"grant_type": ["client_credentials", "client_credentials"]}, "billing", 400, "invalid_request"),
        ({**CREDENTIALS, "client_secret": "x"}, "billing", 400, "invalid_request"),
        ({**CREDENTIALS, "client_id": "other"}, "billing", 400, "invalid_request"),
        ({"grant_type": "refresh_token"}, "refresher", 400, "invalid_request"),
        (CREDENTIALS, None, 401, "invalid_client"),
        (CREDENTIALS, "unknown", 401, "invalid_client"),
        ({**CREDENTIALS, "client_id": "billing"}, None, 401, "invalid_client"),
        ({**CREDENTIALS, "client_id": "billing", "client_secret": "wrong"}, None, 401, "invalid_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "refresher", 400, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "asr_1"}, "refresher", 400, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "ü"}, "refresher", 400, "invalid_grant"),
        (CREDENTIALS, "restricted", 400, "unauthorized_client"),
        ({**CREDENTIALS, "client_id": "app"}, None, 400, "unauthorized_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "billing", 400, "unauthorized_client"),
        ({"grant_type": "password", "username": "a", "password": "b"}, "billing", 400, "unsupported_grant_type"),
        ({"grant_type": "CLIENT_CREDENTIALS"}, "billing", 400, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x"}, "restricted", 400, "unsupported_grant_type"),
        ({**CREDENTIALS, "scope": "read admin"}, "billing", 400, "invalid_scope"),
        ({**CREDENTIALS, "scope": "read  write"}, "billing", 400, "invalid_scope"),
        ({**CREDENTIALS, "scope": '"read"'}, "billing", 400, "invalid_scope"),
        # RFC 8707 section 2.
        ({**CREDENTIALS, "resource": "https://elsewhere.example"}, "billing", 400, "invalid_target"),
        ({**CREDENTIALS, "resource": [API, "https://elsewhere.example"]}, "billing", 400, "invalid_target"),
        # Who asks is settled before anything is said about the grant.
        ({"grant_type": "password"}, "unknown", 401, "invalid_client"),
        ({}, "unknown", 401, "invalid_client"),
    ],
)
async def test_every_refusal_of_the_rfc(form: dict[str, Any], client: str | None, status: int, error: str) -> None:
    wired = Wired(*CLIENTS)
    answer = await wired.post(TOKEN_PATH, form, client)
    assert answer.error == (status, error)
    assert_refusal(answer)
    assert wired.wrote_nothing()


def assert_refusal(answer: Answer) -> None:
    """RFC 6749 section 5.2: the members, their characters, the headers."""
    assert set(answer.json) == {"error", "error_description"}
    allowed = {*range(0x20, 0x22), *range(0x23, 0x5C), *range(0x5D, 0x7F)}
    assert set(map(ord, answer.json["error_description"])) <= allowed
    assert answer.headers[b"content-type"] == b"application/json"
    assert answer.headers[b"cache-control"] == b"no-store"
    # RFC 9110 section 15.5.2: a 401 "MUST send a WWW-Authenticate header field"; nothing else has one.
    challenge = answer.headers.get(b"www-authenticate")
    assert challenge == (b'Basic realm="auth-service", charset="UTF-8"' if answer.status == 401 else None)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (Request("POST", b"grant_type=client_credentials", content_type=b"text/plain"), 415),
        (Request("POST", b'{"grant_type":"client_credentials"}', content_type=b"application/json"), 415),
        (Request("POST", b"grant_type=client_credentials"), 415),
        (Request("POST", b"grant_type=" + b"x" * 70_000, content_type=b"application/x-www-form-urlencoded"), 413),
        (Request("POST", b"grant_type=%zz", content_type=b"application/x-www-form-urlencoded"), 400),
        (Request("POST", b"\xff", content_type=b"application/x-www-form-urlencoded"), 400),
        # RFC 6749 section 2.3.1: the parameters "MUST NOT be included in the request URI".
        (Request("POST", content_type=b"application/x-www-form-urlencoded", has_query=True), 400),
        (Request("GET", has_query=True), 405),
        (Request("PUT", b"grant_type=client_credentials"), 405),
    ],
)
async def test_every_malformed_request(request_: Request, status: int) -> None:
    wired = Wired(*CLIENTS)
    sent = msgspec.structs.replace(request_, authorization=basic("billing"), request_id="r")
    answer = await wired.send(TOKEN_PATH, sent)
    assert answer.error == (status, "invalid_request")
    assert_refusal(answer)
    assert answer.headers.get(b"allow") == (b"POST" if status == 405 else None)
    assert wired.wrote_nothing()


async def test_a_client_over_its_limit_is_told_when_to_try_again() -> None:
    wired = Wired(confidential("billing"), confidential("other"), per_minute=3)
    answers = [await wired.post(TOKEN_PATH, CREDENTIALS) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].error == (429, "slow_down")
    assert answers[-1].headers[b"retry-after"] == b"20"
    assert (await wired.post(TOKEN_PATH, CREDENTIALS, "other")).status == 200
    wired.clock.now += 20
    assert (await wired.post(TOKEN_PATH, CREDENTIALS)).status == 200


# ------------------------------------------------------------------------------------------ refreshing


@pytest.mark.parametrize("access_token_format", [OPAQUE, JWT])
@pytest.mark.parametrize("client", ["billing", "app"])
async def test_a_refresh_replaces_the_refresh_token(access_token_format: Any, client: str) -> None:
    members: dict[str, Any] = {"access_token_format": access_token_format, "refresh_token_enabled": True}
    wired = Wired(confidential("billing", **members))
    first = await wired.issue()
    wired.clock.now += 100
    answer = await wired.refresh(first["refresh_token"])
    assert answer.status == 200
    second = answer.json
    assert set(second) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert second["refresh_token"] != first["refresh_token"]
    assert token_ref(second["refresh_token"]).tag == token_ref(first["refresh_token"]).tag
    for token in (first["access_token"], second["access_token"], second["refresh_token"]):
        assert await wired.is_active(token)
    assert not await wired.is_active(first["refresh_token"])
    used = await wired.store.find_refresh_token(token_ref(first["refresh_token"]))
    new = await wired.store.find_refresh_token(token_ref(second["refresh_token"]))
    assert used is not None
    assert new is not None
    assert (used.used_at, new.used_at, new.issued_at) == (SECOND + 100, None, SECOND + 100)
    assert (new.family, new.family_expires_at) == (used.family, used.family_expires_at)


async def test_a_public_client_refreshes_by_its_id_alone() -> None:
    """RFC 6749 section 6 binds its refresh tokens to it; RFC 9700 section 4.14.2 asks for the rotation."""
    wired = Wired(confidential("app", refresh_token_enabled=True))
    issued = await wired.issue("app")
    wired.clients["app"] = public("app", refresh_token_enabled=True)
    form = {"grant_type": "refresh_token", "refresh_token": issued["refresh_token"], "client_id": "app"}
    assert (await wired.post(TOKEN_PATH, form, None)).status == 200
    assert (await wired.post(TOKEN_PATH, form, None)).error == (400, "invalid_grant")


async def test_a_refresh_narrows_the_access_token_and_never_the_grant() -> None:
    wired = Wired(confidential("billing", refresh_token_enabled=True))
    first = await wired.issue(resource=[API, OTHER_API])
    second = (await wired.refresh(first["refresh_token"], scope="read", resource=OTHER_API)).json
    assert second["scope"] == "read"
    seen = (await wired.introspect(second["access_token"])).json
    assert (seen["scope"], seen["aud"]) == ("read", OTHER_API)
    for parameters, error in (
        ({"scope": "read admin"}, "invalid_scope"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
    ):
        assert (await wired.refresh(second["refresh_token"], **parameters)).error == (400, error)
    third = (await wired.refresh(second["refresh_token"])).json
    assert third["scope"] == "read write"
    assert (await wired.introspect(third["access_token"])).json["aud"] == [API, OTHER_API]


async def test_a_refresh_token_is_for_its_client_alone() -> None:
    wired = Wired(WITH_REFRESH, confidential("billing", refresh_token_enabled=True))
    issued = await wired.issue()
    assert (await wired.refresh(issued["refresh_token"], "refresher")).error == (400, "invalid_grant")
    assert (await wired.refresh(issued["refresh_token"])).status == 200


async def test_a_refresh_token_dies_at_its_expiry_and_a_family_at_its_own() -> None:
    wired = Wired(confidential("billing", refresh_token_enabled=True, refresh_token_seconds=1_000_000))
    token = (await wired.issue())["refresh_token"]
    wired.clock.now = SECOND + 1_000_000
    assert (await wired.refresh(token)).error == (400, "invalid_grant")
    wired.clock.now = NOW
    token = (await wired.issue())["refresh_token"]
    for step in range(1, FAMILY_MAX_SECONDS // 900_000 + 1):
        wired.clock.now = SECOND + 900_000 * step
        answer = await wired.refresh(token)
        assert answer.status == 200
        token = answer.json["refresh_token"]
    wired.clock.now = SECOND + FAMILY_MAX_SECONDS
    assert (await wired.refresh(token)).error == (400, "invalid_grant")


async def test_an_access_token_ends_with_its_family() -> None:
    """So the mark of a revoked family may end with the family."""
    for access_token_format in (OPAQUE, JWT):
        wired = Wired(
            confidential(
                "billing",
                access_token_format=access_token_format,
                access_token_seconds=86_400,
                refresh_token_enabled=True,
                refresh_token_seconds=FAMILY_MAX_SECONDS,
            )
        )
        token = (await wired.issue())["refresh_token"]
        wired.clock.now = SECOND + FAMILY_MAX_SECONDS - 100
        refreshed = (await wired.refresh(token)).json
        assert refreshed["expires_in"] == 100
        for name in ("access_token", "refresh_token"):
            assert (await wired.introspect(refreshed[name])).json["exp"] == SECOND + FAMILY_MAX_SECONDS


@pytest.mark.parametrize("access_token_format", [OPAQUE, JWT])
async def test_a_second_use_revokes_the_whole_family(access_token_format: Any) -> None:
    client = confidential("billing", access_token_format=access_token_format, refresh_token_enabled=True)
    wired = Wired(client)
    bystander = await wired.issue()
    first = await wired.issue()
    second = (await wired.refresh(first["refresh_token"])).json
    wired.clock.now += 60
    answer = await wired.refresh(first["refresh_token"])
    assert answer.error == (400, "invalid_grant")
    for token in (first["access_token"], second["access_token"], second["refresh_token"]):
        assert not await wired.is_active(token)
    assert (await wired.refresh(second["refresh_token"])).error == (400, "invalid_grant")
    assert await wired.is_active(bystander["access_token"])
    assert await wired.is_active(bystander["refresh_token"])
    assert wired.sample("refresh_token_reuse_total") == 1
    reason = {"operation": "refresh", "reason": "refresh_token_reused"}
    assert wired.sample("token_operation_failures_total", **reason) == 1


async def test_a_second_use_by_another_client_revokes_nothing() -> None:
    wired = Wired(confidential("billing", refresh_token_enabled=True), WITH_REFRESH)
    first = await wired.issue()
    second = (await wired.refresh(first["refresh_token"])).json
    assert (await wired.refresh(first["refresh_token"], "refresher")).error == (400, "invalid_grant")
    assert await wired.is_active(second["refresh_token"])
    assert wired.sample("refresh_token_reuse_total") == 0


@pytest.mark.parametrize(("later", "alive"), [(0, True), (9, True), (10, False), (3600, False)])
async def test_within_the_grace_a_second_use_is_refused_and_revokes_nothing(later: float, alive: bool) -> None:
    wired = Wired(confidential("billing", refresh_token_enabled=True), grace_seconds=10)
    first = await wired.issue()
    second = (await wired.refresh(first["refresh_token"])).json
    wired.clock.now += later
    assert (await wired.refresh(first["refresh_token"])).error == (400, "invalid_grant")
    assert await wired.is_active(second["refresh_token"]) is alive
    assert wired.sample("refresh_token_reuse_total") == (0 if alive else 1)  # a repetition is no theft


# ------------------------------------------------------------------------------------------ what fails


class FailingStore(MemoryStore):
    """Reads, and cannot write."""

    failure: Exception | None = None

    def save_at_once(self, issuance: Issuance) -> bool:
        if self.failure is not None:
            raise self.failure
        return super().save_at_once(issuance)

    async def rotate(self, presented: TokenRef, used: RefreshTokenRecord, issuance: Issuance) -> Rotation:
        if self.failure is not None:
            raise self.failure
        return await super().rotate(presented, used, issuance)


class FailingAfterAWait(FailingStore):
    """Writes nothing at once."""

    def save_at_once(self, issuance: Issuance) -> bool:
        return False

    async def save(self, issuance: Issuance) -> None:
        await asyncio.sleep(0)
        super().save_at_once(issuance)


@pytest.mark.parametrize("failure", [StoreUnavailable("away"), StoreFull("full")])
@pytest.mark.parametrize("access_token_format", [OPAQUE, JWT])
@pytest.mark.parametrize("kind", [FailingStore, FailingAfterAWait])
async def test_no_token_leaves_whose_commit_failed(
    failure: Exception, access_token_format: Any, kind: type[FailingStore]
) -> None:
    clock = Clock()
    store = kind(100, clock)
    client = confidential("billing", access_token_format=access_token_format, refresh_token_enabled=True)
    wired = Wired(client, store=store, clock=clock)
    token = (await wired.issue())["refresh_token"]
    before = store.held()
    store.failure = failure
    for answer in (await wired.post(TOKEN_PATH, CREDENTIALS), await wired.refresh(token)):
        assert answer.error == (503, "temporarily_unavailable")
        assert set(answer.json) == {"error", "error_description"}
        assert answer.headers[b"retry-after"] == b"1"
    assert store.held() == before
    store.failure = None
    assert (await wired.refresh(token)).status == 200  # and what was not committed used nothing up


async def test_the_endpoint_itself_raises_what_the_store_raises() -> None:
    clock = Clock()
    store = FailingStore(100, clock)
    store.failure = StoreUnavailable("away")
    wired = Wired(confidential("billing"), store=store, clock=clock)
    request = Request(
        "POST",
        b"grant_type=client_credentials",
        authorization=basic("billing"),
        content_type=b"application/x-www-form-urlencoded",
    )
    answering = wired.token.handle(request)
    assert not isinstance(answering, Response), "the first request of a header is authenticated by a coroutine"
    with pytest.raises(StoreUnavailable):
        await answering
    assert wired.metrics.issued == 0


async def test_without_a_key_that_signs_the_service_is_unavailable() -> None:
    """Never a 500, and never a 4xx that a client would take for its own fault."""
    wired = Wired(confidential("billing", access_token_format=JWT), ring=EMPTY_RING)
    answer = await wired.post(TOKEN_PATH, CREDENTIALS)
    assert answer.error == (503, "temporarily_unavailable")
    assert answer.headers[b"retry-after"] == b"1"
    reason = {"operation": "issue", "reason": "no_signing_key"}
    assert wired.sample("token_operation_failures_total", **reason) == 1


async def test_a_full_queue_of_signatures_is_an_outage_and_not_an_ever_longer_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.keys.jwt.MAX_WAITING_SIGNATURES", 3)
    wired = Wired(confidential("billing", access_token_format=JWT), algorithm="RS256")
    gate = threading.Event()
    for _ in range(SIGNING_THREADS):
        signing_threads().executor.submit(gate.wait, 30)
    waiting = [asyncio.create_task(wired.post(TOKEN_PATH, CREDENTIALS)) for _ in range(3)]
    await asyncio.sleep(0)
    answer = await wired.post(TOKEN_PATH, CREDENTIALS)
    gate.set()
    assert answer.error == (503, "temporarily_unavailable")
    assert {answer.status for answer in await asyncio.gather(*waiting)} == {200}
    reason = {"operation": "issue", "reason": "signing_queue_full"}
    assert wired.sample("token_operation_failures_total", **reason) == 1


async def test_what_was_minted_is_not_shown() -> None:
    wired = Wired(confidential("billing", refresh_token_enabled=True))
    issue = ClientCredentials().decide(
        TokenRequest("client_credentials"), wired.clients["billing"], Loaded(), SECOND, TokenPolicy(ISSUER, 0)
    )
    minted = wired.token._mint.mint(issue, wired.clients["billing"], NOW)
    assert isinstance(minted, Minted)
    assert minted.response.access_token not in repr(minted)
    assert repr(minted) == "Minted(…)"


class ContradictoryStore(MemoryStore):
    """Finds a refresh token unused, and says that it was used."""

    async def rotate(self, presented: TokenRef, used: RefreshTokenRecord, issuance: Issuance) -> Rotation:
        return Rotation.ALREADY_USED


async def test_a_store_that_contradicts_itself_causes_no_endless_loop() -> None:
    clock = Clock()
    wired = Wired(
        confidential("billing", refresh_token_enabled=True), store=ContradictoryStore(100, clock), clock=clock
    )
    token = (await wired.issue())["refresh_token"]
    assert (await wired.refresh(token)).error == (503, "temporarily_unavailable")


async def test_a_family_that_ends_during_the_refresh_gives_no_tokens() -> None:
    class RevokedMeanwhile(MemoryStore):
        async def rotate(self, presented: TokenRef, used: RefreshTokenRecord, issuance: Issuance) -> Rotation:
            await self.revoke_family(used.family, used.family_expires_at)
            return await super().rotate(presented, used, issuance)

    clock = Clock()
    wired = Wired(confidential("billing", refresh_token_enabled=True), store=RevokedMeanwhile(100, clock), clock=clock)
    token = (await wired.issue())["refresh_token"]
    assert (await wired.refresh(token)).error == (400, "invalid_grant")
    assert wired.store.held()["access"] == 0


async def test_what_was_issued_is_counted() -> None:
    wired = Wired(confidential("billing", refresh_token_enabled=True), confidential("signer", access_token_format=JWT))
    issued = await wired.issue()
    await wired.refresh(issued["refresh_token"])
    await wired.issue("signer")
    await wired.post(TOKEN_PATH, {})
    for grant_type, token_format, count in (
        ("client_credentials", "opaque", 1),
        ("refresh_token", "opaque", 1),
        ("client_credentials", "jwt", 1),
        ("refresh_token", "jwt", 0),
    ):
        assert wired.sample("tokens_issued_total", grant_type=grant_type, format=token_format) == count
    assert wired.metrics.issued == 3
    for operation, outcome, count in (("issue", "ok", 2), ("refresh", "ok", 1), ("issue", "refused", 1)):
        name = "token_operation_duration_seconds_count"
        assert wired.sample(name, operation=operation, outcome=outcome) == count


async def test_nothing_that_was_written_is_a_token() -> None:
    """The store holds digests: whoever reads it can present nothing."""
    wired = Wired(confidential("billing", refresh_token_enabled=True))
    issued = await wired.issue()
    kept = repr([wired.store._access.shards, wired.store._refresh.shards])
    for token in (issued["access_token"], issued["refresh_token"]):
        assert token not in kept
        assert repr(hashlib.sha256(token.encode()).digest()) in kept
