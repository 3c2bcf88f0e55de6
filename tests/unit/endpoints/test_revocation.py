"""Revocation: the owner ends its tokens, nobody else's, and every answer is one that the RFC gives."""

from typing import Any

import pytest

from app.endpoints.exchange import Request
from app.model.clients import IntrospectionPolicy
from app.model.tokens import AccessTokenRecord, RefreshTokenRecord, TokenKind, TokenRef
from app.protocol.form import JSON_CONTENT_TYPE
from app.protocol.metadata import REVOCATION_PATH
from app.protocol.opaque_token import new_token, token_ref
from app.randomness import random_bytes
from app.storage.expiry import MARK_SPARE_SECONDS
from app.storage.interface import StoreFull, StoreUnavailable
from app.storage.memory import MemoryStore
from tests.unit.endpoints.wiring import (
    API,
    ISSUER,
    JWT,
    NOW,
    OPAQUE,
    Clock,
    Wired,
    basic,
    confidential,
    public,
    signed_by_ring,
)

pytestmark = pytest.mark.anyio

FORMATS = pytest.mark.parametrize("access_token_format", [OPAQUE, JWT])


def wired_with(access_token_format: Any, **members: Any) -> Wired:
    client = confidential("billing", access_token_format=access_token_format, refresh_token_enabled=True)
    return Wired(client, confidential("other", introspect=IntrospectionPolicy.ALL), public("app"), **members)


@FORMATS
async def test_an_access_token_ends_alone(access_token_format: Any) -> None:
    wired = wired_with(access_token_format)
    issued, bystander = await wired.issue(), await wired.issue()
    answer = await wired.revoke(issued["access_token"])
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers[b"cache-control"] == b"no-store"
    assert b"content-type" not in answer.headers
    assert not await wired.is_active(issued["access_token"])
    assert await wired.is_active(bystander["access_token"])
    assert (await wired.refresh(issued["refresh_token"])).status == 200


@FORMATS
async def test_a_revoked_family_is_remembered_until_its_last_access_token_would_have_ended(
    access_token_format: Any,
) -> None:
    wired = wired_with(access_token_format)
    first = await wired.issue()
    wired.clock.now += 100
    second = (await wired.refresh(first["refresh_token"])).json
    await wired.revoke(first["refresh_token"])
    ((_, ends_at),) = wired.store.revoked_families()
    assert ends_at == int(wired.clock.now) + second["expires_in"]
    wired.clock.now = ends_at - 1
    assert not await wired.is_active(second["access_token"])
    wired.clock.now += 1
    for token in (*first.values(), *second.values()):
        if isinstance(token, str):
            assert not await wired.is_active(token)
    assert (await wired.refresh(second["refresh_token"])).status == 400


@FORMATS
async def test_a_refresh_token_takes_its_access_tokens_with_it(access_token_format: Any) -> None:
    """RFC 7009 section 2.1: "the authorization server SHOULD also invalidate all access tokens"."""
    wired = wired_with(access_token_format)
    bystander, first = await wired.issue(), await wired.issue()
    second = (await wired.refresh(first["refresh_token"])).json
    assert (await wired.revoke(second["refresh_token"])).status == 200
    for token in (first["access_token"], second["access_token"], second["refresh_token"]):
        assert not await wired.is_active(token)
    assert (await wired.refresh(second["refresh_token"])).error == (400, "invalid_grant")
    assert await wired.is_active(bystander["access_token"])
    assert wired.sample("refresh_token_reuse_total") == 0


@FORMATS
async def test_a_used_refresh_token_takes_them_with_it_as_well(access_token_format: Any) -> None:
    wired = wired_with(access_token_format)
    first = await wired.issue()
    second = (await wired.refresh(first["refresh_token"])).json
    assert (await wired.revoke(first["refresh_token"])).status == 200
    assert not await wired.is_active(second["access_token"])
    assert not await wired.is_active(second["refresh_token"])


@FORMATS
async def test_revoking_twice_is_fine(access_token_format: Any) -> None:
    wired = wired_with(access_token_format)
    issued = await wired.issue()
    for token in (issued["access_token"], issued["access_token"], issued["refresh_token"], issued["refresh_token"]):
        assert (await wired.revoke(token)).status == 200


CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "billing",
    "aud": API,
    "client_id": "billing",
    "jti": "1a2bAAAAAAAAAAAAAAAAAAAAAA",
    "iat": int(NOW),
    "exp": int(NOW) + 600,
}


UNKNOWN = {
    "malformed": "x",
    "not ASCII": "ü",
    "too long": "a" * 10_000,
    "unsigned": "eyJhbGciOiJub25lIn0.e30.",
    "unknown access token": new_token(TokenKind.ACCESS, "1a2b", random_bytes),
    "unknown refresh token": new_token(TokenKind.REFRESH, "1a2b", random_bytes),
    "unknown code": new_token(TokenKind.CODE, "1a2b", random_bytes),
    "expired JWT": signed_by_ring(CLAIMS | {"exp": int(NOW)}, "at+jwt"),
    "another's ID token": signed_by_ring(CLAIMS | {"client_id": "other"}, "JWT"),
    "another issuer's": signed_by_ring(CLAIMS | {"iss": "https://other.example"}, "at+jwt"),
}


@pytest.mark.parametrize("token", list(UNKNOWN.values()), ids=list(UNKNOWN))
async def test_what_is_unknown_is_fine_and_writes_nothing(token: str) -> None:
    """RFC 7009 section 2.2: "invalid tokens do not cause an error response"."""
    wired = wired_with(OPAQUE)
    answer = await wired.revoke(token)
    assert (answer.status, answer.body) == (200, b"")
    assert wired.wrote_nothing()


@FORMATS
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "urn:unknown"])
async def test_the_hint_never_changes_what_happens(access_token_format: Any, hint: str) -> None:
    wired = wired_with(access_token_format)
    issued = await wired.issue()
    assert (await wired.revoke(issued["access_token"], token_type_hint=hint)).status == 200
    assert not await wired.is_active(issued["access_token"])
    assert await wired.is_active(issued["refresh_token"])
    assert (await wired.revoke(issued["refresh_token"], token_type_hint=hint)).status == 200
    assert not await wired.is_active(issued["refresh_token"])


@FORMATS
async def test_another_clients_token_stays_untouched(access_token_format: Any) -> None:
    """RFC 7009 section 2.1: "the request is refused and the client is informed of the error"; seeing is not owning."""
    wired = wired_with(access_token_format)
    issued = await wired.issue()
    before = wired.store.held()
    for token in (issued["access_token"], issued["refresh_token"]):
        assert (await wired.revoke(token, "other")).error == (400, "invalid_grant")
        assert (await wired.post(REVOCATION_PATH, {"token": token, "client_id": "app"}, None)).status == 400
        assert await wired.is_active(token)
    assert wired.store.held() == before


async def test_a_public_client_revokes_its_own_tokens() -> None:
    """RFC 7009 section 5: it is identified, not authenticated, and must hold the token."""
    wired = Wired(confidential("app", refresh_token_enabled=True))
    issued = await wired.issue("app")
    wired.clients["app"] = public("app", refresh_token_enabled=True)
    form = {"token": issued["refresh_token"], "client_id": "app"}
    assert (await wired.post(REVOCATION_PATH, form, None)).status == 200
    wired.clients["app"] = confidential("app")
    assert not await wired.is_active(issued["access_token"], "app")


@pytest.mark.parametrize(
    ("form", "client", "status", "error"),
    [
        ({}, "billing", 400, "invalid_request"),
        ({"token": ""}, "billing", 400, "invalid_request"),
        ({"token": ["x", "y"]}, "billing", 400, "invalid_request"),
        ({"token": "x"}, None, 401, "invalid_client"),
        ({"token": "x"}, "unknown", 401, "invalid_client"),
        ({"token": "x", "client_secret": "x"}, "billing", 400, "invalid_request"),
    ],
)
async def test_the_request_must_be_sound(form: dict[str, Any], client: str | None, status: int, error: str) -> None:
    assert (await wired_with(OPAQUE).post(REVOCATION_PATH, form, client)).error == (status, error)


async def test_a_json_body_is_not_for_revocation() -> None:
    """RFC 7009 section 2.1 knows forms; introspection alone takes JSON, as it always has."""
    request = Request(
        "POST", b'{"token":"x"}', content_type=JSON_CONTENT_TYPE, authorization=basic("billing"), request_id="r"
    )
    answer = await wired_with(OPAQUE).send(REVOCATION_PATH, request)
    assert answer.error == (415, "invalid_request")


class BrokenStore(MemoryStore):
    failure: Exception | None = None

    async def find_access_token(self, ref: TokenRef) -> AccessTokenRecord | None:
        if self.failure is not None:
            raise self.failure
        return await super().find_access_token(ref)

    async def revoke_family(self, family: str, until: int) -> None:
        if self.failure is not None:
            raise self.failure
        await super().revoke_family(family, until)

    async def revoke_jwt(self, ref: TokenRef, until: int, client_id: str | None = None) -> None:
        if self.failure is not None:
            raise self.failure
        await super().revoke_jwt(ref, until, client_id)


@pytest.mark.parametrize("failure", [StoreUnavailable("away"), StoreFull("no room for another mark")])
async def test_200_is_given_only_for_a_revocation_that_is_in_force(failure: Exception) -> None:
    clock = Clock()
    store = BrokenStore(100, clock)
    wired = wired_with(OPAQUE, store=store, clock=clock)
    issued = await wired.issue()
    store.failure = failure
    for token in (issued["access_token"], issued["refresh_token"], signed_by_ring(CLAIMS, "at+jwt")):
        answer = await wired.revoke(token)
        assert answer.error == (503, "temporarily_unavailable")
        assert b"retry-after" in answer.headers
    store.failure = None
    assert await wired.is_active(issued["access_token"])
    assert (await wired.revoke(issued["refresh_token"])).status == 200


class KeepingStore(MemoryStore):
    """Cannot read, and keeps the wish to revoke for later (or cannot do that either)."""

    keeps = True

    def __init__(self, clock: Clock) -> None:
        super().__init__(100, clock)
        self.kept: list[tuple[TokenKind, TokenRef, str]] = []

    async def find_access_token(self, ref: TokenRef) -> AccessTokenRecord | None:
        raise StoreUnavailable("away")

    async def find_refresh_token(self, ref: TokenRef) -> RefreshTokenRecord | None:
        raise StoreUnavailable("away")

    async def defer_revocation(self, kind: TokenKind, ref: TokenRef, client_id: str) -> bool:
        if self.keeps:
            self.kept.append((kind, ref, client_id))
        return self.keeps


async def test_a_revocation_that_is_kept_for_later_is_given_200_and_no_other() -> None:
    clock = Clock()
    store = KeepingStore(clock)
    wired = wired_with(OPAQUE, store=store, clock=clock)
    issued = await wired.issue()
    tokens = {TokenKind.ACCESS: issued["access_token"], TokenKind.REFRESH: issued["refresh_token"]}
    for token in tokens.values():
        assert (await wired.revoke(token)).status == 200
    assert store.kept == [(kind, token_ref(token), "billing") for kind, token in tokens.items()]
    store.keeps = False
    for token in tokens.values():
        assert (await wired.revoke(token)).error == (503, "temporarily_unavailable")


async def test_a_jwts_mark_lasts_as_long_as_the_jwt() -> None:
    wired = wired_with(JWT)
    token = (await wired.issue())["access_token"]
    await wired.revoke(token)
    wired.clock.now = NOW + 3598
    wired.store.sweep()
    assert not await wired.is_active(token)
    assert wired.store.held()["marks"] == 1
    wired.clock.now = NOW + 3610 + MARK_SPARE_SECONDS
    wired.store.sweep()
    assert wired.store.held()["marks"] == 0
