"""Which JWTs are access tokens of this service."""

from typing import Any

import pytest
from msgspec import structs

from app.endpoints import signed_tokens
from app.endpoints.signed_tokens import SignedTokens
from app.keys import jwt
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
        self.ring = ring
        self.tokens = SignedTokens(lambda: self.ring, ISSUER, self._count)

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


@pytest.fixture
def signatures_checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signatures were checked, in the order of the checks."""
    checked: list[str] = []
    check = jwt.verify

    def note(token: str, *args: Any, **kwargs: Any) -> Any:
        checked.append(token)
        return check(token, *args, **kwargs)

    monkeypatch.setattr(signed_tokens, "verify", note)
    return checked


def test_the_signature_of_a_good_token_is_checked_once(signatures_checked: list[str]) -> None:
    verifier, token = Verifier(key_ring()), signed_by_ring(CLAIMS, "at+jwt")
    first = verifier.tokens.verify_access_token(token, NOW)
    assert first is not None
    assert verifier.tokens.verify_access_token(token, NOW + 1) == first
    assert signatures_checked == [token]


def test_a_token_that_differs_in_one_character_is_not_taken_for_one_that_was_good() -> None:
    verifier, token = Verifier(key_ring()), signed_by_ring(CLAIMS, "at+jwt")
    assert verifier.accepts(token)
    middle = token.rindex(".") + 20
    assert not verifier.accepts(token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :])


def test_a_token_that_was_no_good_is_checked_each_time(signatures_checked: list[str]) -> None:
    verifier, token = Verifier(key_ring()), signed_by_ring(CLAIMS | {"iss": "https://other.example"}, "at+jwt")
    assert not verifier.accepts(token)
    assert not verifier.accepts(token)
    assert signatures_checked == [token, token]


def test_a_token_that_was_good_ends_with_its_key() -> None:
    verifier, token = Verifier(key_ring()), signed_by_ring(CLAIMS, "at+jwt")
    assert verifier.accepts(token)
    verifier.ring = EMPTY_RING
    assert not verifier.accepts(token)


def test_a_token_that_was_good_ends_when_its_key_leaves_the_same_ring() -> None:
    verifier, token = Verifier(key_ring()), signed_by_ring(CLAIMS, "at+jwt")
    signed = verifier.tokens.verify_access_token(token, NOW)
    assert signed is not None
    key = verifier.ring.verification_key(signed.key_id, NOW)
    assert key is not None
    leaving = {signed.key_id: structs.replace(key, removed_at=NOW + 60)}
    verifier.ring = KeyRing(verifier.ring.document, leaving, {})
    assert verifier.accepts(token, NOW + 59)
    assert not verifier.accepts(token, NOW + 60)


def test_a_token_that_is_not_yet_valid_again_is_refused_although_it_was_good() -> None:
    verifier, token = Verifier(key_ring()), signed_by_ring(CLAIMS | {"nbf": int(NOW)}, "at+jwt")
    assert verifier.accepts(token, NOW)
    assert not verifier.accepts(token, NOW - 1)


def test_the_tokens_used_least_lately_are_forgotten_when_there_are_too_many(
    signatures_checked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signed_tokens, "MAX_REMEMBERED", 2)
    verifier = Verifier(key_ring())
    a, b, c = (signed_by_ring(CLAIMS | {"sub": subject}, "at+jwt") for subject in "abc")
    for token in (a, b, a, c, a, b):
        assert verifier.accepts(token)
    assert signatures_checked == [a, b, c, b]
