"""Who sees what of a token: the caller's policy against the token's owner and audience."""

import itertools
from typing import Any

import msgspec
import pytest

from app.model.clients import Client, IntrospectionPolicy
from app.model.tokens import RECORD_VERSION, AccessTokenRecord, RefreshTokenRecord
from app.protocol.access_token import AccessTokenClaims
from app.protocol.introspection import (
    INACTIVE,
    ActiveToken,
    encode_introspection,
    introspect_access_token,
    introspect_jwt,
    introspect_refresh_token,
    may_see,
)

NOW = 1_800_000_000
ISSUER = "https://issuer.example"
API, OTHER_API = "https://api.example", "https://other.example"
OWN, AUDIENCE, ALL = IntrospectionPolicy

RECORD = AccessTokenRecord(RECORD_VERSION, "owner", "user-1", "read write", (API,), NOW - 60, NOW + 60, "family")
REFRESH = RefreshTokenRecord(
    RECORD_VERSION, "owner", "user-1", "read write", (API,), NOW - 60, NOW + 60, "family", NOW + 600
)
CLAIMS = AccessTokenClaims(
    iss=ISSUER, sub="user-1", aud=API, client_id="owner", jti="jti", iat=NOW - 60, exp=NOW + 60, scope="read write"
)


def caller(name: str, policy: IntrospectionPolicy, *audiences: str) -> Client:
    return Client(name, introspect=policy, audiences=audiences)


def changed(value: Any, **members: object) -> Any:
    return msgspec.structs.replace(value, **members)


CALLERS = [
    (caller("owner", OWN), True),
    (caller("owner", AUDIENCE), True),
    (caller("owner", ALL), True),
    (caller("stranger", OWN), False),
    (caller("stranger", OWN, API), False),
    (caller("stranger", AUDIENCE), False),
    (caller("stranger", AUDIENCE, OTHER_API), False),
    (caller("stranger", AUDIENCE, API), True),
    (caller("stranger", AUDIENCE, OTHER_API, API), True),
    (caller(API, AUDIENCE), True),  # a resource server registered under its own address
    (caller(API, OWN), False),
    (caller("stranger", ALL), True),
]


@pytest.mark.parametrize(("who", "sees"), CALLERS)
def test_the_policy_decides_who_sees_an_access_token(who: Client, sees: bool) -> None:
    assert may_see(who, "owner", (API,)) is sees
    assert (introspect_access_token(RECORD, who, ISSUER, NOW) is not None) is sees
    assert (introspect_jwt(CLAIMS, False, who, NOW) is not None) is sees


@pytest.mark.parametrize(
    ("who", "sees"), [(caller("stranger", AUDIENCE, OTHER_API), True), (caller("stranger", AUDIENCE, "x"), False)]
)
def test_one_of_several_audiences_is_enough(who: Client, sees: bool) -> None:
    assert may_see(who, "owner", (API, OTHER_API)) is sees
    assert (introspect_jwt(changed(CLAIMS, aud=(API, OTHER_API)), False, who, NOW) is not None) is sees


@pytest.mark.parametrize("policy", IntrospectionPolicy)
@pytest.mark.parametrize("name", ["owner", "stranger"])
def test_a_refresh_token_is_for_its_client_alone(policy: IntrospectionPolicy, name: str) -> None:
    seen = introspect_refresh_token(REFRESH, caller(name, policy, API), ISSUER, NOW)
    assert (seen is not None) is (name == "owner")


OWNER = caller("owner", ALL)


@pytest.mark.parametrize(
    ("answer", "active"),
    [
        (introspect_access_token(RECORD, OWNER, ISSUER, NOW + 59.9), True),
        (introspect_access_token(RECORD, OWNER, ISSUER, NOW + 60), False),
        (introspect_access_token(None, OWNER, ISSUER, NOW), False),
        (introspect_jwt(CLAIMS, False, OWNER, NOW + 59.9), True),
        (introspect_jwt(CLAIMS, False, OWNER, NOW + 60), False),
        (introspect_jwt(CLAIMS, True, OWNER, NOW), False),
        (introspect_refresh_token(REFRESH, OWNER, ISSUER, NOW + 59.9), True),
        (introspect_refresh_token(REFRESH, OWNER, ISSUER, NOW + 60), False),
        (introspect_refresh_token(changed(REFRESH, used_at=NOW), OWNER, ISSUER, NOW), False),
        (introspect_refresh_token(None, OWNER, ISSUER, NOW), False),
    ],
)
def test_only_what_is_alive_is_active(answer: ActiveToken | None, active: bool) -> None:
    assert (answer is not None) is active
    assert (encode_introspection(answer) == INACTIVE) is not active


def body(answer: ActiveToken | None) -> dict[str, object]:
    decoded: dict[str, object] = msgspec.json.decode(encode_introspection(answer))
    return decoded


COMMON = {
    "active": True,
    "client_id": "owner",
    "exp": NOW + 60,
    "iat": NOW - 60,
    "sub": "user-1",
    "aud": API,
    "iss": ISSUER,
    "scope": "read write",
}


def test_the_members_of_the_answer() -> None:
    """RFC 7662 section 2.2. A refresh token has no token_type: RFC 6749 section 7.1 has none for it."""
    assert body(introspect_access_token(RECORD, OWNER, ISSUER, NOW)) == COMMON | {"token_type": "Bearer"}
    assert body(introspect_jwt(CLAIMS, False, OWNER, NOW)) == COMMON | {"token_type": "Bearer", "jti": "jti"}
    assert body(introspect_refresh_token(REFRESH, OWNER, ISSUER, NOW)) == COMMON


def test_several_audiences_are_a_list_and_no_scope_is_left_out() -> None:
    both = (API, OTHER_API)
    answers = (
        introspect_access_token(changed(RECORD, audience=both, scope=""), OWNER, ISSUER, NOW),
        introspect_jwt(changed(CLAIMS, aud=both, scope=""), False, OWNER, NOW),
        introspect_refresh_token(changed(REFRESH, audience=both, scope=""), OWNER, ISSUER, NOW),
    )
    for answer in answers:
        seen = body(answer)
        assert seen["aud"] == list(both)
        assert "scope" not in seen


def test_inactive_is_one_constant() -> None:
    assert encode_introspection(None) == INACTIVE == b'{"active":false}'


def test_every_policy_is_in_the_table() -> None:
    assert {(who.introspect, sees) for who, sees in CALLERS} == {
        *itertools.product((OWN, AUDIENCE, ALL), (True, False))
    } - {(ALL, False)}
