"""Who may use the operators' listener."""

import base64
from typing import Any

import pytest

from app.admin.authorization import ADMIN_SCOPE, Access, AdminAuthorization
from app.endpoints.signed_tokens import SignedTokens
from app.keys.algorithms import generate
from app.keys.document import RingDocument
from app.keys.loading import build_ring
from app.keys.writer import entry_for
from app.model.clients import Client
from app.model.tokens import RECORD_VERSION, AccessTokenRecord, RefreshTokenRecord, TokenKind, TokenRef
from app.protocol.opaque_token import jti_ref, new_token, token_ref
from app.randomness import random_bytes
from app.storage.epochs import end_of_key
from app.storage.interface import Issuance, StoreUnavailable
from app.storage.memory import MemoryStore
from tests.unit.endpoints.wiring import API, ISSUER, NOW, Clock, key_ring, signed_by_ring

pytestmark = pytest.mark.anyio

GRANTED, UNAUTHENTICATED, INVALID_TOKEN, FORBIDDEN, CLOSED, _TOO_MANY, _MISDIRECTED = Access
TOKEN = "operators-token"
JTI = "1a2bAAAAAAAAAAAAAAAAAAAAAA"
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "operator",
    "aud": ISSUER,
    "client_id": "operator",
    "jti": JTI,
    "iat": int(NOW),
    "exp": int(NOW) + 600,
    "scope": ADMIN_SCOPE,
    "family": "1a2bfamily",
}


class Gate:
    """The authorization with its surroundings."""

    def __init__(
        self, *, token: str | None = TOKEN, any_client_may: bool = True, store: MemoryStore | None = None
    ) -> None:
        self.clock = Clock()
        self.store = store or MemoryStore(100, self.clock)
        self.token = token
        self.clients = {"operator": Client(id="operator", scopes=(ADMIN_SCOPE, "read"))}
        self.authorization = AdminAuthorization(
            read_operator_token=lambda: self.token,
            any_client_may=lambda: any_client_may,
            find_client=self.clients.get,
            store=self.store,
            signed_tokens=SignedTokens(key_ring, ISSUER, lambda: None),
            issuer=ISSUER,
            now=self.clock,
        )

    async def check(self, authorization: str | None) -> Access:
        return await self.authorization.check(authorization)

    async def opaque(self, scope: str = ADMIN_SCOPE, audience: tuple[str, ...] = (ISSUER,), seconds: int = 600) -> str:
        """An access token that the store knows."""
        token = new_token(TokenKind.ACCESS, "1a2b", random_bytes)
        now = int(self.clock.now)
        record = AccessTokenRecord(RECORD_VERSION, "operator", "operator", scope, audience, now, now + seconds)
        await self.store.save(Issuance(access=(token_ref(token), record)))
        return token


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "access"),
    [
        (f"Bearer {TOKEN}", GRANTED),
        (f"bearer {TOKEN}", GRANTED),
        (f"BEARER   {TOKEN} ", GRANTED),
        (basic("admin", TOKEN), GRANTED),
        (basic("admin", TOKEN).replace("Basic", "bASIC"), GRANTED),
        (None, UNAUTHENTICATED),
        ("", UNAUTHENTICATED),
        (" ", UNAUTHENTICATED),
        ("Bearer", UNAUTHENTICATED),
        ("Bearer ", UNAUTHENTICATED),
        (TOKEN, UNAUTHENTICATED),
        (f"Bearer {TOKEN}x", INVALID_TOKEN),
        (f"Bearer {TOKEN[:-1]}", INVALID_TOKEN),
        (f"Bearer {TOKEN.upper()}", INVALID_TOKEN),
        (f"Bearer {TOKEN} {TOKEN}", INVALID_TOKEN),
        (f"Token {TOKEN}", UNAUTHENTICATED),
        (f"Digest {TOKEN}", UNAUTHENTICATED),
        ("Bearer \ud800", INVALID_TOKEN),
        ("Bearer ü\0", INVALID_TOKEN),
        ("Bearer " + "a" * 10_000, INVALID_TOKEN),
        (basic("admin", "wrong"), UNAUTHENTICATED),
        (basic("admin", ""), UNAUTHENTICATED),
        (basic("", TOKEN), UNAUTHENTICATED),
        (basic("root", TOKEN), UNAUTHENTICATED),
        (basic("Admin", TOKEN), UNAUTHENTICATED),
        (basic("admin", TOKEN + ":x"), UNAUTHENTICATED),
        ("Basic " + base64.b64encode(b"admin").decode(), UNAUTHENTICATED),
        ("Basic " + base64.b64encode(b"admin:\xff").decode(), UNAUTHENTICATED),
        ("Basic !", UNAUTHENTICATED),
        ("Basic ü", UNAUTHENTICATED),
        ("Basic \ud800", UNAUTHENTICATED),
        (f"Basic {TOKEN}", UNAUTHENTICATED),
    ],
)
@pytest.mark.parametrize("any_client_may", [True, False])
async def test_the_operators_token(authorization: str | None, access: Access, any_client_may: bool) -> None:
    assert await Gate(any_client_may=any_client_may).check(authorization) is access


@pytest.mark.parametrize(
    "authorization",
    [None, "", f"Bearer {TOKEN}", basic("admin", TOKEN), basic("admin", ""), basic("admin", "None"), "Bearer None"],
)
async def test_with_neither_a_token_nor_a_client_that_may_nobody_may(authorization: str | None) -> None:
    assert await Gate(token=None, any_client_may=False).check(authorization) is CLOSED


async def test_without_a_token_file_no_access_token_gets_in_unless_a_client_may_have_the_scope() -> None:
    gate = Gate(token=None, any_client_may=False)
    assert await gate.check(f"Bearer {await gate.opaque()}") is CLOSED


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", basic("admin", TOKEN), basic("admin", ""), "Bearer None"])
async def test_without_a_token_file_there_is_no_operators_token(authorization: str) -> None:
    refused = INVALID_TOKEN if authorization.startswith("Bearer") else UNAUTHENTICATED
    assert await Gate(token=None).check(authorization) is refused


async def test_a_changed_token_counts_at_once() -> None:
    gate = Gate()
    gate.token = "another"
    assert await gate.check(f"Bearer {TOKEN}") is INVALID_TOKEN
    assert await gate.check("Bearer another") is GRANTED


@pytest.mark.parametrize("token", [TOKEN, None])
@pytest.mark.parametrize(
    ("scope", "audience", "access"),
    [
        (ADMIN_SCOPE, (ISSUER,), GRANTED),
        (f"read {ADMIN_SCOPE}", (API, ISSUER), GRANTED),
        ("read", (ISSUER,), FORBIDDEN),
        ("", (ISSUER,), FORBIDDEN),
        (ADMIN_SCOPE + "s", (ISSUER,), FORBIDDEN),
        ("auth-service", (ISSUER,), FORBIDDEN),
        (ADMIN_SCOPE.upper(), (ISSUER,), FORBIDDEN),
        # RFC 9068 section 4: a token for another resource server is not for this one, whatever its scope.
        (ADMIN_SCOPE, (API,), INVALID_TOKEN),
        (ADMIN_SCOPE, (ISSUER + "/",), INVALID_TOKEN),
    ],
)
async def test_an_access_token(token: str | None, scope: str, audience: tuple[str, ...], access: Access) -> None:
    gate = Gate(token=token)
    assert await gate.check(f"Bearer {await gate.opaque(scope, audience)}") is access
    aud = audience[0] if len(audience) == 1 else list(audience)
    assert await gate.check(f"Bearer {signed_by_ring(CLAIMS | {'scope': scope, 'aud': aud}, 'at+jwt')}") is access


async def test_an_expired_or_revoked_access_token_is_none() -> None:
    gate = Gate()
    short, revoked = await gate.opaque(seconds=10), await gate.opaque()
    await gate.store.revoke_access_token(token_ref(revoked))
    assert await gate.check(f"Bearer {revoked}") is INVALID_TOKEN
    assert await gate.check(f"Bearer {short}") is GRANTED
    gate.clock.now += 10
    assert await gate.check(f"Bearer {short}") is INVALID_TOKEN
    assert await gate.check(f"Bearer {signed_by_ring(CLAIMS | {'exp': int(NOW) + 10}, 'at+jwt')}") is INVALID_TOKEN


@pytest.mark.parametrize("what", ["token", "family"])
async def test_a_revoked_jwt_is_none(what: str) -> None:
    gate = Gate()
    token = signed_by_ring(CLAIMS, "at+jwt")
    assert await gate.check(f"Bearer {token}") is GRANTED
    if what == "token":
        await gate.store.revoke_jwt(jti_ref(JTI), CLAIMS["exp"])
    else:
        await gate.store.revoke_family(CLAIMS["family"], CLAIMS["exp"])
    assert await gate.check(f"Bearer {token}") is INVALID_TOKEN


async def test_a_jwt_of_a_key_that_the_store_knows_as_revoked_is_none() -> None:
    gate = Gate()
    token = signed_by_ring(CLAIMS, "at+jwt")
    await gate.store.revoke_before(end_of_key("another", int(NOW) + 600))
    assert await gate.check(f"Bearer {token}") is GRANTED
    await gate.store.revoke_before(end_of_key(key_ring().signing_key("ES256", NOW).kid, int(NOW) + 600))
    assert await gate.check(f"Bearer {token}") is INVALID_TOKEN


def foreign_ring() -> Any:
    return build_ring(RingDocument(keys=(entry_for("ES256", generate("ES256", 2048), NOW, NOW),)), None)


async def test_nothing_else_that_is_signed_gets_in() -> None:
    gate = Gate()
    for token in (
        signed_by_ring(CLAIMS, "JWT"),
        signed_by_ring(CLAIMS, "dpop+jwt"),
        signed_by_ring(CLAIMS | {"iss": API}, "at+jwt"),
        signed_by_ring(CLAIMS, "at+jwt", foreign_ring()),
        new_token(TokenKind.ACCESS, "1a2b", random_bytes),
        "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30.",
    ):
        assert await gate.check(f"Bearer {token}") is INVALID_TOKEN


async def test_a_refresh_token_is_no_access_token() -> None:
    gate = Gate()
    token = new_token(TokenKind.REFRESH, "1a2b", random_bytes)
    now = int(NOW)
    record = RefreshTokenRecord(
        RECORD_VERSION, "operator", "operator", ADMIN_SCOPE, (ISSUER,), now, now + 600, "1a2bfamily", now + 600
    )
    await gate.store.save(Issuance(refresh=(token_ref(token), record)))
    assert await gate.check(f"Bearer {token}") is INVALID_TOKEN


async def test_while_the_store_is_away_only_the_operators_token_is_known() -> None:
    class Away(MemoryStore):
        async def find_access_token(self, ref: TokenRef) -> AccessTokenRecord | None:
            raise StoreUnavailable("away")

    gate = Gate(store=Away(100, Clock()))
    assert await gate.check(f"Bearer {TOKEN}") is GRANTED
    with pytest.raises(StoreUnavailable):
        await gate.check(f"Bearer {new_token(TokenKind.ACCESS, '1a2b', random_bytes)}")


async def test_a_client_that_was_removed_or_lost_the_scope_is_out_at_once() -> None:
    gate = Gate()
    bearers = [f"Bearer {await gate.opaque()}", f"Bearer {signed_by_ring(CLAIMS, 'at+jwt')}"]
    for bearer in bearers:
        assert await gate.check(bearer) is GRANTED
    gate.clients["operator"] = Client(id="operator", scopes=("read",))
    for bearer in bearers:
        assert await gate.check(bearer) is FORBIDDEN
    gate.clients.clear()
    for bearer in bearers:
        assert await gate.check(bearer) is INVALID_TOKEN
