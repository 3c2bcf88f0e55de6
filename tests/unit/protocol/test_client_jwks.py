"""The sets of keys that clients publish: what is taken of them, and what spoils them."""

import contextlib
import functools
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from app.protocol.client_jwks import MAX_KEYS, UnusableJwksError, UnusableKeyError, client_key, parse_jwks


@functools.cache
def jwk_of(kind: str) -> dict[str, Any]:
    match kind:
        case "EC":
            jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
        case "OKP":
            jwk = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True)
        case _:
            jwk = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, int(kind)).public_key(), as_dict=True)
    return {name: value for name, value in jwk.items() if name != "key_ops"}


def published(*keys: object, **members: object) -> bytes:
    return json.dumps({"keys": keys, **members}).encode()


def test_usable_keys_are_taken_and_the_rest_is_passed_over() -> None:
    good = [{**jwk_of(kind), "kid": kind} for kind in ("EC", "OKP", "2048")]
    others: list[object] = [
        {**jwk_of("EC"), "use": "enc"},
        {**jwk_of("EC"), "crv": "secp256k1"},
        {**jwk_of("EC"), "x": "AAAA"},
        {**jwk_of("EC"), "kid": 7},
        {**jwk_of("EC"), "key_ops": "verify"},
        {**jwk_of("EC"), "key_ops": ["encrypt"]},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
        {},
        "a key",
        None,
    ]
    extended = {**good[0], "kid": "more", "ext": True, "x-own": {"a": 1}}
    taken = parse_jwks(published(*others, *good, extended, more="members"))
    assert [key.jwk for key in taken] == [*good, {**good[0], "kid": "more"}]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "no list of keys"),
        (b"{}", "no list of keys"),
        (b'{"keys": {}}', "no list of keys"),
        (b'{"keys": []}', "none of its keys can be used"),
        (published({"kty": "EC"}), "none of its keys can be used"),
        (published(*[{"kty": "EC"}] * (MAX_KEYS + 1)), "more than 32 keys"),
        (published({**jwk_of("EC"), "d": "canary"}, jwk_of("OKP")), "a private or symmetric key"),
        (published({"kty": "oct", "k": "canary"}), "a private or symmetric key"),
    ],
)
def test_a_set_of_no_use_is_refused_and_not_repeated(document: bytes, message: str) -> None:
    with pytest.raises(UnusableJwksError) as refused:
        parse_jwks(document)
    assert message in str(refused.value)
    assert "canary" not in str(refused.value)


def test_rsa_keys_are_neither_too_short_nor_too_long() -> None:
    longest = "_" * 682 + "8"  # 4,096 bits, all set
    for jwk, bits in ((jwk_of("2048"), 2048), ({"kty": "RSA", "e": "AQAB", "n": longest}, 4096)):
        assert client_key(jwk).key.key_size == bits
    for jwk, message in (
        (jwk_of("1024"), "is too short"),
        ({"kty": "RSA", "e": "AQAB", "n": "_" * 683 + "w"}, "is too long"),  # 8 bits more
        ({"kty": "RSA", "e": "AQAB", "n": "_" * 1400}, "is too long"),
        ({**jwk_of("2048"), "e": "AQAAAAAB"}, "has too large an exponent"),  # 2**40 + 1
    ):
        with pytest.raises(UnusableKeyError, match=message):
            client_key(jwk)


@pytest.mark.parametrize("jwk", [{"kty": "OKP", "crv": "X25519", "x": "AA"}, {"kty": "oct", "k": "AA"}, {}])
def test_a_key_that_signs_nothing_is_none_of_a_clients(jwk: dict[str, Any]) -> None:
    with pytest.raises(UnusableKeyError):
        client_key(jwk)


@given(st.binary() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_whatever_is_published_is_a_set_or_an_error(document: bytes | str) -> None:
    with pytest.raises(UnusableJwksError):
        parse_jwks(document if isinstance(document, bytes) else document.encode())


_VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())


@given(
    st.lists(st.dictionaries(st.sampled_from(["kty", "kid", "alg", "use", "key_ops", "crv", "x", "n", "e"]), _VALUES))
)
def test_whatever_keys_are_published_nothing_else_is_raised(keys: list[dict[str, object]]) -> None:
    with contextlib.suppress(UnusableJwksError):
        parse_jwks(published(*keys))
