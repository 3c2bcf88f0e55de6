"""The claims of JWT access tokens (RFC 9068)."""

from typing import Any

import msgspec
import pytest

from app.protocol.access_token import (
    TYP,
    AccessTokenClaims,
    audience_claim,
    audience_values,
    decode_claims,
    encode_claims,
)

CLAIMS = AccessTokenClaims(
    iss="https://issuer.example", sub="user-1", aud="https://api", client_id="billing", jti="1a2bx", iat=1, exp=2
)
PAYLOAD: dict[str, Any] = {
    "iss": "https://issuer.example",
    "sub": "user-1",
    "aud": "https://api",
    "client_id": "billing",
    "jti": "1a2bx",
    "iat": 1,
    "exp": 2,
}


def test_the_type_is_that_of_the_profile() -> None:
    assert TYP == "at+jwt"


@pytest.mark.parametrize(
    ("changed", "payload"),
    [
        ({}, {}),
        ({"scope": "read write"}, {"scope": "read write"}),
        ({"scope": ""}, {}),
        ({"family": "1a2bfamily"}, {"family": "1a2bfamily"}),
        ({"aud": ("a", "b")}, {"aud": ["a", "b"]}),
    ],
)
def test_claims_are_written_and_read_back(changed: dict[str, Any], payload: dict[str, Any]) -> None:
    claims = msgspec.structs.replace(CLAIMS, **changed)
    written = msgspec.json.decode(encode_claims(claims))
    assert written == PAYLOAD | payload
    assert decode_claims(written) == claims
    assert decode_claims(written | {"unknown": [1]}) == claims


@pytest.mark.parametrize("name", PAYLOAD)
def test_a_payload_that_lacks_a_required_claim_is_not_of_the_profile(name: str) -> None:
    assert decode_claims({key: value for key, value in PAYLOAD.items() if key != name}) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": 1},
        {"aud": [1]},
        {"aud": None},
        {"exp": "2"},
        {"exp": 2.5},
        {"jti": 1},
        {"scope": ["read"]},
        {"sub": None},
    ],
)
def test_a_payload_with_another_type_of_claim_is_not_of_the_profile(changed: dict[str, Any]) -> None:
    assert decode_claims(PAYLOAD | changed) is None


@pytest.mark.parametrize(("audience", "claim"), [(("a",), "a"), (("a", "b"), ("a", "b")), (["a"], "a")])
def test_one_audience_is_a_string_and_several_are_an_array(audience: Any, claim: Any) -> None:
    assert audience_claim(audience) == claim
    assert audience_values(claim) == tuple(audience)
