"""ID tokens: the claims of OpenID Connect Core section 2, and the hash that binds the access token."""

import base64
import hashlib
from typing import Any

import msgspec
import pytest

from app.protocol.id_token import LIFE_SECONDS, Authentication, id_token_claims, left_half_hash

NOW = 1_800_000_000
MINIMAL = {
    "iss": "https://issuer.example",
    "sub": "user-1",
    "aud": "billing",
    "exp": NOW + LIFE_SECONDS,
    "iat": NOW,
    "auth_time": NOW - 5,
    "at_hash": left_half_hash("token", "RS256"),
}


@pytest.mark.parametrize(
    ("authentication", "claims"),
    [
        ({}, {}),
        ({"nonce": "n-0S6_WzA2Mj"}, {"nonce": "n-0S6_WzA2Mj"}),
        ({"nonce": ""}, {"nonce": ""}),
        ({"acr": "urn:mace:incommon:iap:silver"}, {"acr": "urn:mace:incommon:iap:silver"}),
        ({"amr": ("pwd", "otp")}, {"amr": ["pwd", "otp"]}),
    ],
)
def test_the_claims_say_who_for_whom_and_how(authentication: dict[str, Any], claims: dict[str, Any]) -> None:
    made = id_token_claims(
        issuer="https://issuer.example",
        subject="user-1",
        client_id="billing",
        authentication=Authentication(auth_time=NOW - 5, **authentication),
        access_token="token",
        algorithm="RS256",
        now=NOW,
    )
    assert msgspec.json.decode(msgspec.json.encode(made)) == MINIMAL | claims


def test_at_hash_is_that_of_the_specifications_example() -> None:
    """OpenID Connect Core appendices A.3, A.4 and A.6: an access token and a code with the hashes printed there."""
    assert left_half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256") == "77QmUPtjPfzWtF2AnpK9RQ"
    code = "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk"
    assert left_half_hash(code, "RS256") == "LDktKdoQak3Pk0cnXxCltA"


@pytest.mark.parametrize(
    ("algorithms", "function"),
    [
        (("RS256", "PS256", "ES256"), hashlib.sha256),
        (("RS384", "PS384", "ES384"), hashlib.sha384),
        (("RS512", "PS512", "ES512", "EdDSA"), hashlib.sha512),
    ],
)
def test_the_hash_is_that_of_the_signature(algorithms: tuple[str, ...], function: Any) -> None:
    digest = function(b"token").digest()
    expected = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    assert {left_half_hash("token", algorithm) for algorithm in algorithms} == {expected}
