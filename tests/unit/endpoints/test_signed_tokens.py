"""Which JWTs are access tokens of this service."""

from typing import Any

import pytest

from app.endpoints.signed_tokens import SignedTokens
from app.keys.ring import EMPTY_RING, KeyRing
from tests.unit.endpoints.wiring import API, ISSUER, NOW, key_ring, signed_by_ring

CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "user-1",
    "aud": API,
    "client_id": "billing",
    "jti": "1a2bAAAAAAAAAAAAAAAAAAAAAA",
    "iat": int(NOW),
    "exp": int(NOW) + 600,
}


class Verifier:
    def __init__(self, ring: KeyRing) -> None:
        self.unknown_kids = 0
        self.tokens = SignedTokens(lambda: ring, ISSUER, self._count)

    def _count(self) -> None:
        self.unknown_kids += 1

    def accepts(self, token: str, now: float = NOW) -> bool:
        return self.tokens.verify_access_token(token, now) is not None


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_what_the_ring_signed_as_an_access_token_is_one(algorithm: str) -> None:
    ring = key_ring()
    signed = Verifier(ring).tokens.verify_access_token(
        signed_by_ring(CLAIMS | {"scope": "read", "family": "f"}, "at+jwt", algorithm=algorithm), NOW
    )
    assert signed is not None
    claims = signed.claims
    assert (claims.sub, claims.client_id, claims.scope, claims.family, claims.jti) == (
        "user-1",
        "billing",
        "read",
        "f",
        CLAIMS["jti"],
    )


@pytest.mark.parametrize(
    ("changed", "typ", "accepted"),
    [
        ({}, "at+jwt", True),
        ({}, "application/at+jwt", True),  # RFC 9068 section 4
        ({}, "JWT", False),
        ({}, "", False),
        ({}, "dpop+jwt", False),
        ({"iss": "https://other.example"}, "at+jwt", False),
        ({"iss": None}, "at+jwt", False),
        ({"exp": int(NOW)}, "at+jwt", False),
        ({"exp": None}, "at+jwt", False),
        ({"exp": 1e400}, "at+jwt", False),
        ({"exp": NOW + 600}, "at+jwt", False),  # our own dates are whole seconds
        ({"aud": []}, "at+jwt", True),
        ({"aud": 1}, "at+jwt", False),
        ({"client_id": None}, "at+jwt", False),
        ({"jti": 1}, "at+jwt", False),
    ],
)
def test_anything_else_is_none(changed: dict[str, Any], typ: str, accepted: bool) -> None:
    assert Verifier(key_ring()).accepts(signed_by_ring(CLAIMS | changed, typ)) is accepted


def test_it_ends_with_its_last_second() -> None:
    verifier = Verifier(key_ring())
    token = signed_by_ring(CLAIMS, "at+jwt")
    assert verifier.accepts(token, CLAIMS["exp"] - 0.01)
    assert not verifier.accepts(token, CLAIMS["exp"])


def test_a_key_that_is_not_in_the_ring_is_counted() -> None:
    verifier = Verifier(EMPTY_RING)
    assert not verifier.accepts(signed_by_ring(CLAIMS, "at+jwt"))
    assert verifier.unknown_kids == 1
    assert not verifier.accepts("x")
    assert verifier.unknown_kids == 1
