"""Client assertions, signed with real keys: what is accepted, and everything that is not."""

import base64
import contextlib
import functools
import hashlib
import hmac
import json
import sys
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from app.protocol.client_assertion import (
    ALGORITHMS,
    CLOCK_SKEW_SECONDS,
    MAX_ASSERTION_LENGTH,
    MAX_LIFE_SECONDS,
    MAX_TRIES,
    VerifiedAssertion,
    key_algorithms,
    peek_subject,
    verify_assertion,
)
from app.protocol.client_jwks import client_key
from app.protocol.errors import ErrorCode, ProtocolError

NOW = 1_800_000_000.5
ISSUER = "https://issuer.example"
AUDIENCES = (ISSUER, ISSUER + "/oauth/token")
EXP = int(NOW) + 60
CLAIMS: dict[str, Any] = {"iss": "billing", "sub": "billing", "aud": ISSUER, "exp": EXP, "jti": "one"}


@functools.cache
def private_key(kind: str) -> Any:
    """A key of a kind, or a second one of it (``RSA 2``)."""
    match kind.split(maxsplit=1)[0]:
        case "RSA":
            return rsa.generate_private_key(65537, 2048)
        case "P-256":
            return ec.generate_private_key(ec.SECP256R1())
        case "P-384":
            return ec.generate_private_key(ec.SECP384R1())
        case "P-521":
            return ec.generate_private_key(ec.SECP521R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def public_jwk(kind: str, **members: Any) -> dict[str, Any]:
    key = private_key(kind).public_key()
    if isinstance(key, rsa.RSAPublicKey):
        jwk = RSAAlgorithm.to_jwk(key, as_dict=True)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        jwk = ECAlgorithm.to_jwk(key, as_dict=True)
    else:
        jwk = OKPAlgorithm.to_jwk(key, as_dict=True)
    return {name: value for name, value in jwk.items() if name != "key_ops"} | members


def signed(
    claims: object = CLAIMS, kind: str = "P-256", algorithm: str = "ES256", header: dict[str, Any] | None = None
) -> str:
    """An assertion of any content: claims as a dict, or as the text of the payload."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return by_hand({"alg": algorithm, "typ": "JWT"} | (header or {}), payload, kind, algorithm)


def by_hand(header: object, payload: bytes, kind: str = "P-256", algorithm: str = "ES256") -> str:
    """An assertion with a header that PyJWT would not write."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    signing_input = b64url(text) + b"." + b64url(payload)
    signature = jwt.get_algorithm_by_name(algorithm).sign(signing_input, private_key(kind))
    return (signing_input + b"." + b64url(signature)).decode()


@contextlib.contextmanager
def c_calls(*names: str) -> Iterator[list[str]]:
    """The calls of functions of these names that are no Python: what cryptography is asked."""
    called: list[str] = []

    def note(_frame: object, event: str, argument: Any) -> None:
        if event == "c_call" and argument.__name__ in names:
            called.append(argument.__name__)

    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(None)


def b64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def verify(assertion: str, *jwks: dict[str, Any], now: float = NOW) -> VerifiedAssertion:
    keys = [client_key(jwk) for jwk in jwks or (public_jwk("P-256"),)]
    return verify_assertion(assertion, client_id="billing", keys=keys, audiences=AUDIENCES, now=now)


def reason_of(assertion: str, *jwks: dict[str, Any]) -> str:
    with pytest.raises(ProtocolError) as raised:
        verify(assertion, *jwks)
    assert (raised.value.error, raised.value.description) == (
        ErrorCode.INVALID_CLIENT,
        "client authentication failed",
    )
    return raised.value.reason


KINDS = [
    ("RSA", "RS256"),
    ("RSA", "RS384"),
    ("RSA", "RS512"),
    ("RSA", "PS256"),
    ("RSA", "PS384"),
    ("RSA", "PS512"),
    ("P-256", "ES256"),
    ("P-384", "ES384"),
    ("P-521", "ES512"),
    ("Ed25519", "EdDSA"),
]


@pytest.mark.parametrize(("kind", "algorithm"), KINDS)
def test_every_allowed_algorithm_is_verified_with_a_fitting_key(kind: str, algorithm: str) -> None:
    assertion = signed(kind=kind, algorithm=algorithm)
    expected = VerifiedAssertion("billing", "one", EXP + CLOCK_SKEW_SECONDS + 1)
    assert peek_subject(assertion) == "billing"
    assert verify(assertion, public_jwk(kind)) == expected
    assert verify(assertion, public_jwk(kind, alg=algorithm, use="sig")) == expected
    assert reason_of(assertion, public_jwk(kind + " 2")) == "assertion_signature"
    assert reason_of(assertion[:-4] + "AAAA", public_jwk(kind)) == "assertion_signature"


def test_the_table_above_is_all_algorithms() -> None:
    assert {algorithm for _, algorithm in KINDS} == ALGORITHMS


ISSUER_AND_OTHER = [ISSUER, "https://other.example"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        ({"aud": ISSUER}, None),
        ({"aud": [ISSUER]}, None),
        ({"aud": ISSUER + "/oauth/token"}, None),
        ({"aud": [ISSUER, ISSUER + "/oauth/token"]}, None),  # several names, all of them this server's
        ({"aud": ISSUER_AND_OTHER}, "assertion_audience"),
        ({"aud": "https://other.example"}, "assertion_audience"),
        ({"aud": ISSUER + "/"}, "assertion_audience"),
        ({"aud": ISSUER.upper()}, "assertion_audience"),
        ({"aud": ISSUER + "/oauth/introspect"}, "assertion_audience"),
        ({"aud": ""}, "assertion_audience"),
        ({"aud": []}, "assertion_audience"),
        ({"aud": [[ISSUER]]}, "assertion_audience"),
        ({"aud": [None]}, "assertion_audience"),
        ({"aud": {ISSUER: 1}}, "assertion_audience"),
        ({"aud": 1}, "assertion_audience"),
        ({"aud": True}, "assertion_audience"),
        ({"aud": None}, "assertion_malformed"),
        ({"iss": "other"}, "assertion_subject"),
        ({"sub": "other"}, "assertion_subject"),
        ({"iss": "other", "sub": "other"}, "assertion_subject"),
        ({"iss": "Billing"}, "assertion_subject"),
        ({"iss": ["billing"]}, "assertion_subject"),
        ({"sub": {"a": "billing"}}, "assertion_subject"),
        ({"iss": None}, "assertion_malformed"),
        ({"exp": int(NOW) + 1}, None),
        ({"exp": NOW + 0.25}, None),
        ({"exp": int(NOW) - CLOCK_SKEW_SECONDS + 1}, None),
        ({"exp": int(NOW) - CLOCK_SKEW_SECONDS}, "assertion_expired"),
        ({"exp": 0}, "assertion_expired"),
        ({"exp": int(NOW) + MAX_LIFE_SECONDS + CLOCK_SKEW_SECONDS}, None),
        ({"exp": int(NOW) + MAX_LIFE_SECONDS + CLOCK_SKEW_SECONDS + 1}, "assertion_lives_too_long"),
        ({"exp": 2**53 - 1}, "assertion_lives_too_long"),
        ({"exp": 2**53}, "assertion_malformed"),
        ({"exp": 10**400}, "assertion_malformed"),
        ({"exp": 1e308}, "assertion_malformed"),
        ({"exp": float("inf")}, "assertion_malformed"),
        ({"exp": float("-inf")}, "assertion_malformed"),
        ({"exp": float("nan")}, "assertion_malformed"),
        ({"exp": -1}, "assertion_malformed"),
        ({"exp": True}, "assertion_malformed"),
        ({"exp": str(EXP)}, "assertion_malformed"),
        ({"exp": [EXP]}, "assertion_malformed"),
        ({"exp": None}, "assertion_malformed"),
        ({"nbf": int(NOW), "iat": int(NOW)}, None),
        ({"nbf": int(NOW) + CLOCK_SKEW_SECONDS, "iat": int(NOW) + CLOCK_SKEW_SECONDS}, None),
        ({"nbf": None, "iat": None}, None),
        ({"nbf": int(NOW) + CLOCK_SKEW_SECONDS + 1}, "assertion_not_yet_valid"),
        ({"iat": int(NOW) + CLOCK_SKEW_SECONDS + 1}, "assertion_not_yet_valid"),
        ({"nbf": "soon"}, "assertion_malformed"),
        ({"nbf": float("nan")}, "assertion_malformed"),
        ({"iat": False}, "assertion_malformed"),
        ({"iat": {}}, "assertion_malformed"),
        ({"jti": "x" * 256}, None),
        ({"jti": "x" * 257}, "assertion_jti"),
        ({"jti": ""}, "assertion_jti"),
        ({"jti": 1}, "assertion_jti"),
        ({"jti": ["one"]}, "assertion_jti"),
        ({"jti": True}, "assertion_jti"),
        ({"jti": "\ud800"}, "assertion_malformed"),  # JSON can write it, and no UTF-8 stands for it
        ({"jti": None}, "assertion_malformed"),
        ({"typ": "anything", "extra": {"a": [1]}}, None),
    ],
)
def test_the_claims_are_checked(changed: dict[str, Any], reason: str | None) -> None:
    assertion = signed(CLAIMS | changed)
    if reason is None:
        assert verify(assertion).client_id == "billing"
    else:
        assert reason_of(assertion) == reason


@pytest.mark.parametrize("name", CLAIMS)
def test_no_required_claim_may_be_missing(name: str) -> None:
    assert reason_of(signed({k: v for k, v in CLAIMS.items() if k != name})) == "assertion_malformed"


def test_a_jti_is_to_be_remembered_for_longer_than_its_assertion_is_accepted() -> None:
    assertion = signed(CLAIMS | {"exp": EXP + 0.75})
    until = verify(assertion).expires_at
    assert isinstance(until, int)
    verify(assertion, now=EXP + 0.75 + CLOCK_SKEW_SECONDS - 0.01)
    with pytest.raises(ProtocolError):
        verify(assertion, now=until - 0.01)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b'"billing"',
        b"1",
        b"{",
        b"\xff",
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 8_000,
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
    ],
)
def test_a_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    assertion = signed(payload)
    assert peek_subject(assertion) is None
    assert reason_of(assertion) == "assertion_malformed"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"alg": "none"}, "assertion_algorithm"),
        ({"alg": "None"}, "assertion_algorithm"),
        ({"alg": "HS256"}, "assertion_algorithm"),
        ({"alg": "ES256K"}, "assertion_algorithm"),
        ({"alg": "es256"}, "assertion_algorithm"),
        ({"alg": ""}, "assertion_algorithm"),
        ({"alg": None}, "assertion_algorithm"),
        ({"alg": 256}, "assertion_algorithm"),
        ({"alg": ["ES256"]}, "assertion_algorithm"),
        ({"alg": {"ES256": 1}}, "assertion_algorithm"),
        ({}, "assertion_algorithm"),
        # Registered for ES256, and the header asks for another algorithm.
        ({"alg": "RS256"}, "assertion_signature"),
        ({"alg": "ES384"}, "assertion_signature"),
        ({"alg": "EdDSA"}, "assertion_signature"),
        ({"alg": "ES256", "crit": ["b64"], "b64": True}, "assertion_algorithm"),
        ({"alg": "ES256", "crit": ["exp"]}, ("assertion_algorithm", "assertion_malformed")),
        ({"alg": "ES256", "crit": []}, ("assertion_algorithm", "assertion_malformed")),
        ({"alg": "ES256", "crit": None}, ("assertion_algorithm", "assertion_malformed")),
        ({"alg": "ES256", "b64": False}, "assertion_malformed"),
        ({"alg": "ES256", "kid": "unknown"}, "assertion_signature"),
        ({"alg": "ES256", "kid": ["one"]}, "assertion_malformed"),
        ({"alg": "ES256", "kid": None}, "assertion_malformed"),
        ({"alg": "ES256", "kid": "../../dev/null"}, "assertion_signature"),
        ({"alg": "ES256", "kid": "one' OR '1'='1"}, "assertion_signature"),
        ([], "assertion_malformed"),
        ("ES256", "assertion_malformed"),
        (b"[" * 8_000, "assertion_malformed"),
        (b'{"alg":' * 1_200 + b"1" + b"}" * 1_200, ("assertion_algorithm", "assertion_malformed")),
        (b"\xff", "assertion_malformed"),
    ],
)
def test_the_header_decides_nothing(header: object, reason: str | tuple[str, ...]) -> None:
    assertion = by_hand(header, json.dumps(CLAIMS).encode())
    assert reason_of(assertion, public_jwk("P-256", kid="one")) in (reason if isinstance(reason, tuple) else (reason,))


@pytest.mark.parametrize("claim", ["jwk", "jku", "x5u", "x5c"])
def test_a_key_that_the_assertion_brings_is_not_used(claim: str) -> None:
    stranger = public_jwk("P-256 2")
    header = {"alg": "ES256", claim: {"jwk": stranger, "x5c": ["MIIB"]}.get(claim, "https://evil.example/jwks")}
    payload = json.dumps(CLAIMS).encode()
    assert reason_of(by_hand(header, payload, "P-256 2")) == "assertion_signature"
    assert verify(by_hand(header, payload)).client_id == "billing"


@pytest.mark.parametrize("kind", ["RSA", "P-256", "Ed25519"])
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", "RS256", "ES256"])
def test_a_public_key_is_no_shared_secret(kind: str, algorithm: str) -> None:
    """RFC 8725 section 2.1: an HMAC made with the public key, under an HMAC's name and under the key's own."""
    public = private_key(kind).public_key()
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(public_jwk(kind)).encode(),
    ):
        signing_input = b64url(json.dumps({"alg": algorithm}).encode()) + b"." + b64url(json.dumps(CLAIMS).encode())
        digest = hmac.digest(secret, signing_input, hashlib.sha256)
        reason = reason_of((signing_input + b"." + b64url(digest)).decode(), public_jwk(kind))
        assert reason in ("assertion_algorithm", "assertion_signature")


def test_an_unsigned_assertion_is_refused() -> None:
    for algorithm in ("none", "ES256"):
        head = b64url(json.dumps({"alg": algorithm}).encode()) + b"." + b64url(json.dumps(CLAIMS).encode())
        assert reason_of(head.decode() + ".") in ("assertion_algorithm", "assertion_signature")


ONE, TWO = public_jwk("P-256", kid="one"), public_jwk("P-256 2", kid="two")
ANONYMOUS = public_jwk("P-256")


@pytest.mark.parametrize(
    ("kid", "kind", "jwks", "accepted"),
    [
        (None, "P-256", [ONE, TWO], True),
        (None, "P-256 2", [ONE, TWO], True),
        (None, "P-256 3", [ONE, TWO], False),
        ("one", "P-256", [ONE, TWO], True),
        ("two", "P-256 2", [ONE, TWO], True),
        ("two", "P-256", [ONE, TWO], False),  # signed by a registered key, but not by the one that it names
        ("three", "P-256", [ONE, TWO], False),
        ("three", "P-256", [ANONYMOUS], True),  # registered without a name: any name will do
        ("", "P-256", [ONE], False),
        (None, "P-256", [public_jwk("RSA"), TWO, ONE], True),
        (None, "P-256", [], False),
    ],
)
def test_of_several_keys_the_fitting_one_counts(
    kid: str | None, kind: str, jwks: list[dict[str, Any]], accepted: bool
) -> None:
    header = {"alg": "ES256"} | ({} if kid is None else {"kid": kid})
    assertion = by_hand(header, json.dumps(CLAIMS).encode(), kind)
    try:
        keys = [client_key(jwk) for jwk in jwks]
        verify_assertion(assertion, client_id="billing", keys=keys, audiences=AUDIENCES, now=NOW)
    except ProtocolError as refused:
        outcome = refused.reason
    else:
        outcome = "accepted"
    assert outcome == ("accepted" if accepted else "assertion_signature")


RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


def okp(curve: str, key: ed448.Ed448PublicKey | x25519.X25519PublicKey) -> dict[str, Any]:
    return {"kty": "OKP", "crv": curve, "x": b64url(key.public_bytes_raw()).decode()}


@pytest.mark.parametrize(
    ("jwk", "algorithms"),
    [
        (public_jwk("RSA"), RSA_ALGORITHMS),
        (public_jwk("RSA", alg="PS256"), ("PS256",)),
        (public_jwk("RSA", alg="HS256"), ()),
        (public_jwk("RSA", alg="ES256"), ()),
        (public_jwk("RSA", alg="RSA-OAEP"), ()),
        (public_jwk("RSA", use="enc"), ()),
        (public_jwk("RSA", use="sig"), RSA_ALGORITHMS),
        (public_jwk("P-256"), ("ES256",)),
        (public_jwk("P-384"), ("ES384",)),
        (public_jwk("P-521"), ("ES512",)),
        (public_jwk("P-256", alg="ES384"), ()),
        ({"kty": "EC", "crv": "secp256k1"}, ()),
        ({"kty": "EC"}, ()),
        (public_jwk("Ed25519"), ("EdDSA",)),
        (okp("Ed448", ed448.Ed448PrivateKey.generate().public_key()), ()),
        (okp("X25519", x25519.X25519PrivateKey.generate().public_key()), ()),
        ({"kty": "OKP"}, ()),
        ({"kty": "oct", "k": "c2VjcmV0"}, ()),
        ({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}, ()),
        ({"kty": ["RSA"]}, ()),
        ({}, ()),
    ],
)
def test_a_key_serves_the_algorithms_of_its_kind_alone(jwk: dict[str, Any], algorithms: tuple[str, ...]) -> None:
    assert key_algorithms(jwk) == algorithms


MANY = [public_jwk("P-256" if number == 0 else f"P-256 {number}", kid=str(number)) for number in range(MAX_TRIES + 1)]


def test_who_has_more_keys_than_are_tried_must_name_the_one() -> None:
    """What a request without a proof may cost is bounded: no key is tried where too many would fit."""
    unnamed = signed(kind=f"P-256 {MAX_TRIES - 1}")
    assert verify(unnamed, *MANY[:-1], public_jwk("RSA"), public_jwk("P-384")).client_id == "billing"
    with c_calls("verify") as verified:
        assert reason_of(unnamed, *MANY) == "assertion_needs_kid"
        assert reason_of(signed(), *[public_jwk("P-256")] * (MAX_TRIES + 1)) == "assertion_needs_kid"
        assert reason_of(signed(header={"kid": "?"}), *[public_jwk("P-256")] * 32) == "assertion_needs_kid"
    assert verified == []
    for number in range(MAX_TRIES + 1):
        named = signed(kind="P-256" if number == 0 else f"P-256 {number}", header={"kid": str(number)})
        assert verify(named, *MANY).client_id == "billing"
    with c_calls("verify") as verified:
        assert reason_of(signed(kind="P-256 9"), *MANY[:-1]) == "assertion_signature"
    assert len(verified) == MAX_TRIES


def test_a_key_is_made_once_and_not_at_each_request() -> None:
    keys = [client_key(public_jwk(kind)) for kind in ("RSA", "P-256", "Ed25519")]
    assertion = signed()
    with c_calls("public_key", "from_public_bytes") as made:
        verify_assertion(assertion, client_id="billing", keys=keys, audiences=AUDIENCES, now=NOW)
    assert made == []


def test_an_oversized_assertion_is_refused_unread() -> None:
    largest = signed(CLAIMS | {"pad": "x" * 11_900})
    assert len(largest) < MAX_ASSERTION_LENGTH
    assert peek_subject(largest) == "billing"
    assert verify(largest).client_id == "billing"
    oversized = signed(CLAIMS | {"pad": "x" * 13_000})
    assert len(oversized) > MAX_ASSERTION_LENGTH
    assert peek_subject(oversized) is None
    assert reason_of(oversized) == "assertion_too_large"


@pytest.mark.parametrize(
    ("claims", "subject"),
    [
        ({"sub": "billing"}, "billing"),
        ({"sub": "ü"}, "ü"),
        ({"sub": ""}, None),
        ({"sub": 1}, None),
        ({"sub": ["billing"]}, None),
        ({"sub": None}, None),
        ({}, None),
    ],
)
def test_the_subject_can_be_peeked_at(claims: dict[str, Any], subject: str | None) -> None:
    assert peek_subject(signed(claims)) == subject


@pytest.mark.parametrize(
    "assertion",
    ["", ".", "..", "...", "a.b.c", "a.b", "é.é.é", "\ud800.x.y", "\0", "eyJhbGciOiJFUzI1NiJ9.e30", "e30.e30.AA.AA"],
)
def test_what_is_no_jwt_is_refused(assertion: str) -> None:
    assert peek_subject(assertion) is None
    assert reason_of(assertion) == "assertion_malformed"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=50)
@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "cty", "zip"]), json_values),
    st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "jti"]), json_values),
)
def test_any_signed_content_is_accepted_or_refused(header: dict[str, Any], claims: dict[str, Any]) -> None:
    """A registered client signs whatever it likes: the answer is never anything but a refusal, or a sound identity."""
    assertion = by_hand({"alg": "ES256"} | header, json.dumps(CLAIMS | claims).encode())
    subject = peek_subject(assertion)
    assert subject is None or isinstance(subject, str)
    outcome = attempt(assertion)
    assert isinstance(outcome, VerifiedAssertion) or outcome.status == 401


@given(
    st.text(max_size=100)
    | st.lists(st.binary(max_size=30), max_size=4).map(lambda p: b".".join(map(b64url, p)).decode())
)
def test_any_text_is_refused(assertion: str) -> None:
    assert peek_subject(assertion) is None or isinstance(peek_subject(assertion), str)
    outcome = attempt(assertion)
    assert isinstance(outcome, ProtocolError)
    assert outcome.status == 401


def attempt(assertion: str) -> VerifiedAssertion | ProtocolError:
    try:
        return verify(assertion)
    except ProtocolError as refused:
        return refused


REAL = signed()
_EDITED = st.builds(
    lambda at, text: REAL[: at % len(REAL)] + text + REAL[at % len(REAL) + len(text) :],
    st.integers(0, 10_000),
    st.text(alphabet="abcAB01-_.=é \n", max_size=3),
)
_MADE = st.builds(
    lambda header, claims: by_hand({"alg": "ES256"} | header, json.dumps(CLAIMS | claims).encode()),
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "zip"]), json_values, max_size=2),
    st.dictionaries(st.sampled_from(["nbf", "iat", "jti", "extra"]), json_values, max_size=2),
)


@given(_EDITED | _MADE)
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_accepted_pyjwt_accepts_too(assertion: str) -> None:
    """The envelope is read here: never more laxly than by the library that others trust."""
    if isinstance(attempt(assertion), VerifiedAssertion):
        options: Any = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        claims = jwt.decode(assertion, private_key("P-256").public_key(), algorithms=["ES256"], options=options)
        assert claims["sub"] == peek_subject(assertion) == "billing"
