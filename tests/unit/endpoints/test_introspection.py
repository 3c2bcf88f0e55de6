"""Introspection: who sees what, and that everything else is one answer, to the byte."""

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.endpoints.exchange import Request
from app.keys.algorithms import generate
from app.keys.document import RingDocument
from app.keys.loading import build_ring
from app.keys.writer import entry_for
from app.model.clients import AccessTokenFormat, Client, ClientAuthMethod, IntrospectionPolicy
from app.model.tokens import AccessTokenRecord, RefreshTokenRecord, TokenKind, TokenRef
from app.protocol.form import JSON_CONTENT_TYPE
from app.protocol.metadata import INTROSPECTION_PATH
from app.protocol.opaque_token import new_token
from app.randomness import random_bytes
from app.storage.epochs import end_of_key
from app.storage.interface import (
    UNKNOWN,
    CorruptRecord,
    IssuedFacts,
    StoreError,
    StoreUnavailable,
    UnsupportedRecordVersion,
)
from app.storage.memory import MemoryStore
from tests.unit.endpoints.wiring import (
    API,
    FAMILY_MAX_SECONDS,
    ISSUER,
    JWT,
    NOW,
    OPAQUE,
    OTHER_API,
    Answer,
    Clock,
    Wired,
    basic,
    confidential,
    key_ring,
    public,
    signed_by_ring,
)

pytestmark = pytest.mark.anyio

SECOND = int(NOW)
OWN, AUDIENCE, ALL = IntrospectionPolicy
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "billing",
    "aud": API,
    "client_id": "billing",
    "jti": "1a2bAAAAAAAAAAAAAAAAAAAAAA",
    "iat": SECOND,
    "exp": SECOND + 600,
}


def owner(access_token_format: Any = OPAQUE, **members: Any) -> Client:
    return confidential("billing", access_token_format=access_token_format, refresh_token_enabled=True, **members)


# ------------------------------------------------------------------------------------------ what is seen


async def test_what_is_seen_of_an_opaque_token() -> None:
    wired = Wired(owner())
    issued = await wired.issue(resource=[API, OTHER_API])
    answer = await wired.introspect(issued["access_token"])
    assert answer.status == 200
    assert answer.json == {
        "active": True,
        "client_id": "billing",
        "exp": SECOND + 3600,
        "iat": SECOND,
        "sub": "billing",
        "aud": [API, OTHER_API],
        "iss": ISSUER,
        "scope": "read write",
        "token_type": "Bearer",
    }
    assert (await wired.introspect(issued["refresh_token"])).json == {
        "active": True,
        "client_id": "billing",
        "exp": SECOND + 86_400,
        "iat": SECOND,
        "sub": "billing",
        "aud": [API, OTHER_API],
        "iss": ISSUER,
        "scope": "read write",
    }


async def test_what_is_seen_of_a_jwt() -> None:
    wired = Wired(owner(JWT))
    issued = await wired.issue()
    seen = (await wired.introspect(issued["access_token"])).json
    assert len(seen.pop("jti")) == 26
    assert seen == {
        "active": True,
        "client_id": "billing",
        "exp": SECOND + 3600,
        "iat": SECOND,
        "sub": "billing",
        "aud": API,
        "iss": ISSUER,
        "scope": "read write",
        "token_type": "Bearer",
    }


@pytest.mark.parametrize("access_token_format", [OPAQUE, JWT])
@pytest.mark.parametrize(
    ("policy", "audiences", "sees"),
    [
        (OWN, (API,), False),
        (AUDIENCE, (API,), True),
        (AUDIENCE, (OTHER_API, API), True),
        (AUDIENCE, (OTHER_API,), False),
        (AUDIENCE, (), False),
        (ALL, (), True),
    ],
)
async def test_the_callers_setting_decides_what_it_sees(
    access_token_format: Any, policy: IntrospectionPolicy, audiences: tuple[str, ...], sees: bool
) -> None:
    caller = confidential("caller", introspect=policy, audiences=audiences)
    wired = Wired(owner(access_token_format), caller)
    issued = await wired.issue(resource=API)
    assert await wired.is_active(issued["access_token"], "caller") is sees
    assert await wired.is_active(issued["refresh_token"], "caller") is False
    assert await wired.is_active(issued["access_token"])


# ------------------------------------------------------------------------------------------ what is not


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], signature: bytes = b"") -> str:
    return ".".join((b64url(json.dumps(header).encode()), b64url(json.dumps(CLAIMS).encode()), b64url(signature)))


def signed_with_the_public_key() -> str:
    """HS256, the secret being the PEM that anybody can make from the JWKS (RFC 8725 section 2.1)."""
    key = key_ring().signing_key("RS256", NOW)
    pem = key.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = unsigned({"alg": "HS256", "typ": "at+jwt", "kid": key.kid}).rpartition(".")[0]
    return f"{head}.{b64url(hmac.digest(pem, head.encode(), hashlib.sha256))}"


def foreign(with_our_kid: bool) -> str:
    entry = entry_for("ES256", generate("ES256", 2048), NOW, NOW)
    token = signed_by_ring(CLAIMS, "at+jwt", build_ring(RingDocument(keys=(entry,)), None))
    if with_our_kid:
        header = {"alg": "ES256", "kid": key_ring().signing_key("ES256", NOW).kid, "typ": "at+jwt"}
        token = ".".join((b64url(json.dumps(header).encode()), *token.split(".")[1:]))
    return token


async def dead_tokens(wired: Wired) -> dict[str, str]:
    """One token for each way of not being alive, or not the caller's; ``billing`` is the caller."""
    opaque = wired.clients["billing"]

    async def issue(client: str = "billing", **members: Any) -> dict[str, Any]:
        wired.clients["billing"] = msgspec.structs.replace(opaque, **members)
        issued = await wired.issue(client)
        wired.clients["billing"] = opaque
        return issued

    expired = await issue(access_token_seconds=10)
    expired_jwt = await issue(access_token_seconds=10, access_token_format=JWT)
    expired_refresh = await issue(refresh_token_seconds=10)
    wired.clock.now += 11
    revoked, revoked_jwt, revoked_family = await issue(), await issue(access_token_format=JWT), await issue()
    revoked_family_jwt = await issue(access_token_format=JWT)
    used = await issue()
    for token in (revoked["access_token"], revoked_jwt["access_token"]):
        assert (await wired.revoke(token)).status == 200
    for token in (revoked_family["refresh_token"], revoked_family_jwt["refresh_token"]):
        assert (await wired.revoke(token)).status == 200
    assert (await wired.refresh(used["refresh_token"])).status == 200
    others, others_jwt = await issue("other"), await issue("signer")
    live = await issue()
    claims = CLAIMS | {"iat": SECOND + 11, "exp": SECOND + 600}
    return {
        "expired": expired["access_token"],
        "expired JWT": expired_jwt["access_token"],
        "expired refresh token": expired_refresh["refresh_token"],
        "unknown": new_token(TokenKind.ACCESS, "1a2b", random_bytes),
        "unknown refresh token": new_token(TokenKind.REFRESH, "1a2b", random_bytes),
        "unknown code": new_token(TokenKind.CODE, "1a2b", random_bytes),
        "revoked": revoked["access_token"],
        "revoked JWT": revoked_jwt["access_token"],
        "of a revoked family": revoked_family["access_token"],
        "of a revoked family, JWT": revoked_family_jwt["access_token"],
        "refresh token of a revoked family": revoked_family["refresh_token"],
        "used refresh token": used["refresh_token"],
        "another's": others["access_token"],
        "another's refresh token": others["refresh_token"],
        "another's JWT": others_jwt["access_token"],
        "malformed": "x",
        "not ASCII": "ü",
        "a dot": ".",
        "almost a token": live["access_token"][:-1] + "x",
        "too long": "a" * 10_000,
        "wrong kind of prefix": "asr_" + live["access_token"][4:],
        "foreign JWT": foreign(with_our_kid=False),
        "foreign JWT with our kid": foreign(with_our_kid=True),
        "alg none": unsigned({"alg": "none", "typ": "at+jwt"}),
        "alg none with our kid": unsigned(
            {"alg": "none", "typ": "at+jwt", "kid": key_ring().signing_key("ES256", NOW).kid}
        ),
        "HS256 with the public key": signed_with_the_public_key(),
        "ID token": signed_by_ring(claims, "JWT"),
        "logout token": signed_by_ring(claims, "logout+jwt"),
        "DPoP proof": signed_by_ring(claims, "dpop+jwt"),
        "another issuer's": signed_by_ring(claims | {"iss": "https://other.example"}, "at+jwt"),
        "no access token's claims": signed_by_ring({"iss": ISSUER, "exp": SECOND + 600}, "at+jwt"),
        "without a client": signed_by_ring({k: v for k, v in claims.items() if k != "client_id"}, "at+jwt"),
    }


def looks(answer: Answer) -> tuple[object, ...]:
    return answer.status, answer.body, tuple(answer.headers.items())


async def test_what_is_not_alive_or_not_the_callers_is_one_answer_to_the_byte() -> None:
    wired = Wired(
        owner(), confidential("other", refresh_token_enabled=True), confidential("signer", access_token_format=JWT)
    )
    dead = await dead_tokens(wired)
    seen = {name: looks(await wired.introspect(token)) for name, token in dead.items()}
    assert {name for name, answer in seen.items() if answer[1] != b'{"active":false}'} == set()
    assert len(set(seen.values())) == 1
    # That it is not the test's requests that are at fault: the same forms for a live token.
    assert await wired.is_active((await wired.issue())["access_token"])
    assert await wired.is_active(signed_by_ring(CLAIMS, "at+jwt"))


async def test_the_hint_never_changes_the_answer() -> None:
    wired = Wired(
        owner(), confidential("other", refresh_token_enabled=True), confidential("signer", access_token_format=JWT)
    )
    tokens = await dead_tokens(wired)
    live = await wired.issue()
    tokens |= {"live": live["access_token"], "live refresh token": live["refresh_token"]}
    tokens["live JWT"] = signed_by_ring(CLAIMS, "at+jwt")
    for token in tokens.values():
        plain = looks(await wired.introspect(token))
        for hint in ("access_token", "refresh_token", "urn:unknown", "ü"):
            assert looks(await wired.introspect(token, token_type_hint=hint)) == plain


# ------------------------------------------------------------------------------------------ requests


async def test_a_json_body_is_read_as_well() -> None:
    wired = Wired(owner())
    token = (await wired.issue())["access_token"]
    for members in ({"token": token}, {"token": token, "token_type_hint": "refresh_token", "unknown": "x"}):
        request = Request(
            "POST",
            json.dumps(members).encode(),
            content_type=b"application/json; charset=utf-8",
            authorization=basic("billing"),
            request_id="r",
        )
        assert looks(await wired.send(INTROSPECTION_PATH, request)) == looks(await wired.introspect(token))
    credentials = {"token": token, "client_id": "posting", "client_secret": "secret of posting"}
    wired.clients["posting"] = confidential(
        "posting", auth_method=ClientAuthMethod.CLIENT_SECRET_POST, introspect=IntrospectionPolicy.ALL
    )
    request = Request("POST", json.dumps(credentials).encode(), content_type=JSON_CONTENT_TYPE, request_id="r")
    assert (await wired.send(INTROSPECTION_PATH, request)).json["active"] is True


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ('{"token": "\\ud800"}', 400, "invalid_request"),
        ('{"token": "x", "client_id": "billing", "client_secret": "\\ud800"}', 400, "invalid_request"),
        ('{"token": "x", "client_id": "\\ud800", "client_secret": "x"}', 400, "invalid_request"),
        ('{"token": "x", "client_id": "chosen", "client_secret": "x\\udfff"}', 400, "invalid_request"),
        ('{"token": "x", "client_assertion": "\\ud800", "client_assertion_type": "y"}', 400, "invalid_request"),
        ('{"token": 1}', 400, "invalid_request"),
        ('{"token": "x"', 400, "invalid_request"),
        ("[" * 60_000, 400, "invalid_request"),
        ('{"token": "x"}', 401, "invalid_client"),
        ('{"token": "x", "client_id": "billing", "client_secret": "wrong"}', 401, "invalid_client"),
        ('{"token": "x", "client_id": "app"}', 401, "invalid_client"),
    ],
)
async def test_a_bad_json_body_is_refused(body: str, status: int, error: str) -> None:
    wired = Wired(owner(), public("app"))
    request = Request("POST", body.encode(), content_type=JSON_CONTENT_TYPE, request_id="r")
    assert (await wired.send(INTROSPECTION_PATH, request)).error == (status, error)


@pytest.mark.parametrize(
    ("form", "client", "members", "status", "error"),
    [
        ({}, "billing", {}, 400, "invalid_request"),
        ({"token": ""}, "billing", {}, 400, "invalid_request"),
        ({"token": ["x", "x"]}, "billing", {}, 400, "invalid_request"),
        ({"token": "x"}, "billing", {"has_query": True}, 400, "invalid_request"),
        # RFC 7662 section 2.1: "the endpoint MUST also require some form of authorization"; section 4: no scanning.
        ({"token": "x"}, None, {}, 401, "invalid_client"),
        ({"token": "x"}, "unknown", {}, 401, "invalid_client"),
        ({"token": "x", "client_id": "app"}, None, {}, 401, "invalid_client"),
        ({"token": "x"}, None, {"authorization": b"Bearer x"}, 401, "invalid_client"),
        ({}, "unknown", {}, 401, "invalid_client"),
    ],
)
async def test_the_caller_must_ask_properly_and_say_who_it_is(
    form: dict[str, Any], client: str | None, members: dict[str, Any], status: int, error: str
) -> None:
    answer = await Wired(owner(), public("app")).post(INTROSPECTION_PATH, form, client, **members)
    assert answer.error == (status, error)
    assert (b"www-authenticate" in answer.headers) is (status == 401)


async def test_introspection_is_limited_like_everything_else_of_a_client() -> None:
    wired = Wired(owner(), per_minute=2)
    statuses = [(await wired.introspect("x")).status for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_what_was_introspected_is_counted_by_its_answer() -> None:
    wired = Wired(owner())
    token = (await wired.issue())["access_token"]
    for _ in range(2):
        await wired.introspect(token)
    await wired.introspect("x")
    await wired.introspect("x", "unknown")
    name = "token_operation_duration_seconds_count"
    for outcome, count in (("active", 2), ("inactive", 1), ("refused", 1)):
        assert wired.sample(name, operation="introspect", outcome=outcome) == count


# ------------------------------------------------------------------------------------------ what fails


class BrokenStore(MemoryStore):
    failure: StoreError | None = None

    def _break(self) -> None:
        if self.failure is not None:
            raise self.failure

    def recall_access_token(self, ref: TokenRef) -> AccessTokenRecord | None:
        self._break()
        return super().recall_access_token(ref)

    async def find_access_token(self, ref: TokenRef) -> AccessTokenRecord | None:
        self._break()
        return await super().find_access_token(ref)

    async def find_refresh_token(self, ref: TokenRef) -> RefreshTokenRecord | None:
        self._break()
        return await super().find_refresh_token(ref)

    async def is_jwt_revoked(self, ref: TokenRef, family: str | None, issued: IssuedFacts | None = None) -> bool:
        self._break()
        return await super().is_jwt_revoked(ref, family, issued)


class BrokenAfterAWait(BrokenStore):
    """Knows nothing without asking."""

    def recall_access_token(self, ref: TokenRef) -> Any:
        return UNKNOWN

    async def find_access_token(self, ref: TokenRef) -> AccessTokenRecord | None:
        await asyncio.sleep(0)
        self._break()
        return super(BrokenStore, self).recall_access_token(ref)


@pytest.mark.parametrize(
    "failure", [StoreUnavailable("away"), UnsupportedRecordVersion("form 9"), CorruptRecord("damaged")]
)
@pytest.mark.parametrize("kind", [BrokenStore, BrokenAfterAWait])
async def test_an_outage_is_an_outage_and_never_inactive(failure: StoreError, kind: type[BrokenStore]) -> None:
    clock = Clock()
    store = BrokenStore(100, clock)
    wired = Wired(owner(), store=store, clock=clock)
    issued = await wired.issue()
    store.failure = failure
    for token in (issued["access_token"], issued["refresh_token"], signed_by_ring(CLAIMS, "at+jwt")):
        answer = await wired.introspect(token)
        assert answer.error == (503, "temporarily_unavailable")
        assert answer.headers[b"retry-after"] == b"1"
        reason = {"operation": "introspect", "reason": f"store_{failure.kind}"}
        assert wired.sample("token_operation_failures_total", **reason) >= 1
    # What is dead without asking the store is still answered.
    for token in ("x", signed_by_ring(CLAIMS, "JWT"), signed_by_ring(CLAIMS | {"client_id": "x"}, "at+jwt")):
        assert (await wired.introspect(token)).body == b'{"active":false}'


async def test_the_epoch_of_a_key_ends_all_jwts_that_it_signed_whatever_time_they_name() -> None:
    wired = Wired(owner(JWT))
    issued = (await wired.issue())["access_token"]
    forged = signed_by_ring(CLAIMS | {"iat": SECOND + 300}, "at+jwt")
    by_another_key = signed_by_ring(CLAIMS, "at+jwt", algorithm="EdDSA")
    assert [await wired.is_active(token) for token in (issued, forged, by_another_key)] == [True, True, True]
    kid = key_ring().signing_key("ES256", NOW).kid
    await wired.store.revoke_before(end_of_key(kid, SECOND + 200))
    assert [await wired.is_active(token) for token in (issued, forged, by_another_key)] == [False, False, True]


async def test_a_revoked_family_marks_its_jwts_for_as_long_as_they_could_live() -> None:
    wired = Wired(owner(JWT, access_token_seconds=86_400, refresh_token_seconds=FAMILY_MAX_SECONDS))
    issued = await wired.issue()
    assert (await wired.revoke(issued["refresh_token"])).status == 200
    for later in (0, 3600, 86_399):
        wired.clock.now = NOW + later
        wired.store.sweep()
        assert not await wired.is_active(issued["access_token"])


@pytest.mark.parametrize("access_token_format", list(AccessTokenFormat))
async def test_the_tokens_of_a_removed_client_are_inactive(access_token_format: AccessTokenFormat) -> None:
    wired = Wired(
        confidential("billing", access_token_format=access_token_format),
        confidential("gateway", introspect=IntrospectionPolicy.ALL),
    )
    token = (await wired.issue())["access_token"]
    assert await wired.is_active(token, "gateway")
    del wired.clients["billing"]
    assert (await wired.introspect(token, "gateway")).body == b'{"active":false}'
