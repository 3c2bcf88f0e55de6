"""Names of keys as RFC 7638 and RFC 8037 compute them, and public keys read as strictly as written."""

import base64

import pytest
from jwt import PyJWK

from app.keys.algorithms import ALGORITHMS, PrivateKey
from app.keys.jwk import b64url, load_public, public_jwk, thumbprint, unb64url

RFC7638_KEY = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJE"
    "CPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Q"
    "vzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6"
    "WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}


def test_the_thumbprint_is_that_of_rfc_7638_section_3_1() -> None:
    assert thumbprint(RFC7638_KEY) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_thumbprint_is_that_of_rfc_8037_appendix_a_3() -> None:
    key = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_a_public_key_survives_its_jwk_and_pyjwt_reads_it(algorithm: str, private_keys: dict[str, PrivateKey]) -> None:
    public = private_keys[algorithm].public_key()
    jwk = public_jwk(public)
    assert public_jwk(load_public(algorithm, jwk)) == jwk
    assert public_jwk(PyJWK(jwk, algorithm).key) == jwk
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(jwk)


POINT = {"kty": "EC", "crv": "P-256", "x": b64url(b"\1" * 32), "y": b64url(b"\2" * 32)}


@pytest.mark.parametrize(
    ("algorithm", "jwk"),
    [
        ("ES256", POINT),  # not on the curve
        ("ES256", {"kty": "EC", "crv": "P-256", "x": POINT["x"]}),
        ("ES256", POINT | {"crv": "P-384"}),
        ("ES256", POINT | {"kty": "RSA"}),
        ("ES256", POINT | {"x": "not base64url!"}),
        ("RS256", {"kty": "RSA", "e": "AQAB", "n": b64url(b"\xff" * 128)}),  # 1024 bits
        ("RS256", {"kty": "RSA", "e": "", "n": RFC7638_KEY["n"]}),
        ("EdDSA", {"kty": "OKP", "crv": "Ed25519", "x": b64url(b"\1" * 31)}),
        ("EdDSA", {}),
    ],
)
def test_a_malformed_public_key_is_refused(algorithm: str, jwk: dict[str, str]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the messages are OpenSSL's
        load_public(algorithm, jwk)


@pytest.mark.parametrize("text", ["A", "AB=", "AA+A", "AA/A", "AB", "A A", "AAA\n", "ä"])
def test_only_canonical_base64url_is_read(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of whatever kind
        unb64url(text)


def test_base64url_is_what_the_standard_library_writes_without_padding() -> None:
    for length in range(5):
        data = bytes(range(250, 250 + length))
        assert b64url(data) == base64.urlsafe_b64encode(data).decode().rstrip("=")
        assert unb64url(b64url(data)) == data
    assert b64url(b"\xfb\xff") == "-_8"
