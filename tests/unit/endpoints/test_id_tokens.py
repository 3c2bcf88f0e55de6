"""ID tokens, through a grant of the test's own that has a person: the grants of people come with their endpoints."""

import functools
import threading
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from jwt import PyJWK

from app.grants import GRANTS
from app.grants.decision import Decision, Issue, Loaded, TokenPolicy
from app.keys.algorithms import generate
from app.keys.document import RingDocument
from app.keys.loading import build_ring
from app.keys.ring import KeyRing, SigningKey
from app.keys.writer import entry_for
from app.model.clients import Client
from app.protocol.id_token import Authentication, left_half_hash
from app.protocol.metadata import TOKEN_PATH
from app.protocol.token_request import TokenRequest
from tests.unit.endpoints.wiring import API, ISSUER, JWT, NOW, OPAQUE, Wired, confidential, key_ring

pytestmark = pytest.mark.anyio

SECOND = int(NOW)
AUTHENTICATION = Authentication(auth_time=SECOND - 30, nonce="n-0S6_WzA2Mj", acr="silver", amr=("pwd", "otp"))


class PersonGrant:
    """Gives tokens for ``user-1``, who was authenticated, or for someone of whom that is not known."""

    grant_type = "urn:example:person"

    def __init__(self, authentication: Authentication | None = AUTHENTICATION) -> None:
        self.authentication = authentication

    def permitted(self, client: Client) -> bool:
        return self.grant_type in client.grants

    def refresh_token_of(self, request: TokenRequest) -> str | None:
        return None

    def decide(self, request: TokenRequest, client: Client, loaded: Loaded, now: int, policy: TokenPolicy) -> Decision:
        return Issue(
            subject="user-1",
            scope=request.scope or "",
            audience=(API,),
            with_refresh_token=client.refresh_token_enabled,
            authentication=self.authentication,
        )


def person_client(**members: Any) -> Client:
    return confidential(
        "billing", grants=frozenset({PersonGrant.grant_type}), scopes=("openid", "read", "openid2"), **members
    )


async def issue(wired: Wired, scope: str = "openid read") -> dict[str, Any]:
    answer = await wired.post(TOKEN_PATH, {"grant_type": PersonGrant.grant_type, "scope": scope})
    assert answer.status == 200, answer.body
    return answer.json


def verified(token: str, ring: KeyRing) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Header and claims, by PyJWT."""
    header = jwt.get_unverified_header(token)
    key = PyJWK(next(key.jwk for key in ring.published(NOW) if key.kid == header["kid"]))
    options: Any = {"verify_iat": False, "verify_exp": False}
    return header, jwt.decode(token, key, [key.algorithm_name], audience="billing", issuer=ISSUER, options=options)


@pytest.mark.parametrize("access_token_format", [OPAQUE, JWT])
async def test_a_person_with_the_scope_openid_gets_an_id_token_by_rs256(access_token_format: Any) -> None:
    """OpenID Connect Core section 2: RS256 "The default, if omitted, is RS256" of client registration."""
    wired = Wired(person_client(access_token_format=access_token_format), grants=(*GRANTS, PersonGrant()))
    issued = await issue(wired)
    header, claims = verified(issued["id_token"], key_ring())
    assert (header["alg"], header["typ"]) == ("RS256", "JWT")
    assert claims == {
        "iss": ISSUER,
        "sub": "user-1",
        "aud": "billing",
        "iat": SECOND,
        "exp": SECOND + 300,
        "auth_time": SECOND - 30,
        "nonce": "n-0S6_WzA2Mj",
        "acr": "silver",
        "amr": ["pwd", "otp"],
        "at_hash": left_half_hash(issued["access_token"], "RS256"),
    }
    seen = (await wired.introspect(issued["access_token"])).json
    assert (seen["sub"], seen["scope"], seen["client_id"]) == ("user-1", "openid read", "billing")


@functools.cache
def ring_of_four() -> KeyRing:
    keys = [entry_for(name, generate(name, 2048), NOW, NOW) for name in ("ES256", "PS256", "EdDSA", "RS256")]
    return build_ring(RingDocument(keys=tuple(keys)), None)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_the_algorithm_is_the_one_that_the_client_registered(algorithm: str) -> None:
    ring = ring_of_four()
    client = person_client(id_token_signed_response_alg=algorithm)
    issued = await issue(Wired(client, grants=(PersonGrant(),), ring=ring))
    header, claims = verified(issued["id_token"], ring)
    assert header["alg"] == algorithm
    assert claims["at_hash"] == left_half_hash(issued["access_token"], algorithm)


@pytest.mark.parametrize(
    ("scope", "authentication"), [("read", AUTHENTICATION), ("openid2", AUTHENTICATION), ("openid", None)]
)
async def test_without_the_scope_or_a_person_there_is_none(scope: str, authentication: Authentication | None) -> None:
    wired = Wired(person_client(), grants=(PersonGrant(authentication),))
    assert "id_token" not in await issue(wired, scope)


async def test_a_client_on_its_own_gets_none() -> None:
    wired = Wired(confidential("billing", scopes=("openid",)))
    assert "id_token" not in await wired.issue(scope="openid")


async def test_rsa_signatures_are_made_off_the_event_loop() -> None:
    signed_on: list[int] = []

    class NotingKey(SigningKey):
        def __init__(self, key: SigningKey) -> None:
            super().__init__(key.kid, key.algorithm, key.key)
            sign = self.sign

            def noting(message: bytes) -> bytes:
                signed_on.append(threading.get_ident())
                return sign(message)

            self.sign = noting

    ring = key_ring()
    published = {key.kid: key for key in ring.published(NOW)}
    signing = {key.kid: NotingKey(key) for key in (ring.signing_key(name, NOW) for name in ("RS256", "ES256"))}
    noting_ring = KeyRing(ring.document, published, dict(signing))
    await issue(Wired(person_client(access_token_format=JWT), grants=(PersonGrant(),), ring=noting_ring))
    access_token_thread, id_token_thread = signed_on
    assert access_token_thread == threading.get_ident()
    assert id_token_thread != threading.get_ident()


async def test_an_id_token_is_no_access_token() -> None:
    wired = Wired(person_client(), grants=(PersonGrant(),))
    issued = await issue(wired)
    assert not await wired.is_active(issued["id_token"])
    assert (await wired.revoke(issued["id_token"])).status == 200
    assert await wired.is_active(issued["access_token"])


async def test_without_a_key_for_the_id_token_nothing_is_issued() -> None:
    document = RingDocument(keys=(entry_for("ES256", generate("ES256", 2048), NOW, NOW),))
    wired = Wired(person_client(refresh_token_enabled=True), grants=(PersonGrant(),), ring=build_ring(document, None))
    answer = await wired.post(TOKEN_PATH, {"grant_type": PersonGrant.grant_type, "scope": "openid"})
    assert answer.error == (503, "temporarily_unavailable")
    assert wired.wrote_nothing()


async def test_the_grant_of_a_person_may_found_a_family() -> None:
    wired = Wired(person_client(refresh_token_enabled=True), grants=(*GRANTS, PersonGrant()))
    issued = await issue(wired)
    refreshed = await wired.refresh(issued["refresh_token"])
    assert refreshed.status == 200
    assert "id_token" not in refreshed.json  # OpenID Connect Core section 12.2: it "might not contain an id_token"
    assert (await wired.introspect(refreshed.json["access_token"])).json["sub"] == "user-1"
