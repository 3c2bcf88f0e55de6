"""What a request presents as its client authentication: exactly one method, read by the letter."""

import base64
import math
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.model.clients import ClientAuthMethod, ClientSecret
from app.protocol.client_auth import (
    ASSERTION_TYPE,
    AssertionCredentials,
    Credentials,
    PublicCredentials,
    SecretCredentials,
    generated_secret_ends,
    read_basic,
    read_credentials,
    sha256_secret,
)
from app.protocol.errors import ErrorCode, ProtocolError
from app.protocol.form import Parameters

BASIC, POST = ClientAuthMethod.CLIENT_SECRET_BASIC, ClientAuthMethod.CLIENT_SECRET_POST
# Without the colon, which RFC 7617 keeps out of user ids, and NUL, which is refused.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


def basic(user_and_password: str | bytes) -> bytes:
    raw = user_and_password.encode() if isinstance(user_and_password, str) else user_and_password
    return b"Basic " + base64.b64encode(raw)


def attempt(header: bytes) -> SecretCredentials | ProtocolError:
    try:
        return read_basic(header)
    except ProtocolError as refused:
        return refused


@pytest.mark.parametrize(
    ("sent", "client_id", "secret"),
    [
        ("billing:hunter2", "billing", "hunter2"),
        ("billing:", "billing", ""),
        ("billing:a:b:c", "billing", "a:b:c"),  # the first colon separates (RFC 7617 section 2)
        ("a%3Ab:c%3Ad", "a:b", "c:d"),
        # RFC 6749 section 2.3.1: both halves are form-encoded before they are joined.
        ("a%25b:100%25", "a%b", "100%"),
        ("a+b:c+d", "a b", "c d"),
        ("a%2Bb:c%2Bd", "a+b", "c+d"),
        ("a%20b:c%20d", "a b", "c d"),
        ("%C3%BC:%C3%A9", "ü", "é"),
        ("%c3%bc:%c3%a9", "ü", "é"),
        ("ü:é", "ü", "é"),  # and RFC 7617 allows UTF-8 as it is
        ("ü%C3%BC:x", "üü", "x"),
        ("https%3A%2F%2Fclient.example:s", "https://client.example", "s"),
        # A percent sign that begins no escape was meant as it stands: the client did not encode.
        ("billing:100%", "billing", "100%"),
        ("billing:%zz+%20", "billing", "%zz+%20"),
        ("50%:a%41", "50%", "aA"),
    ],
)
def test_basic_credentials_are_read(sent: str, client_id: str, secret: str) -> None:
    assert read_basic(basic(sent)) == SecretCredentials(client_id, secret, BASIC)


@pytest.mark.parametrize("scheme", [b"Basic", b"basic", b"BASIC", b"bAsIc"])
@pytest.mark.parametrize("space", [b" ", b"   "])
def test_the_scheme_is_read_without_case_and_the_space_may_be_wide(scheme: bytes, space: bytes) -> None:
    header = scheme + space + base64.b64encode(b"a:b") + b" "
    assert read_basic(header) == SecretCredentials("a", "b", BASIC)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"", "unknown_scheme"),
        (b"YTpi", "unknown_scheme"),
        (b"Bearer YTpi", "unknown_scheme"),
        (b"BasicYTpi", "unknown_scheme"),
        (b"Basic\tYTpi", "unknown_scheme"),
        (b"\xff\0", "unknown_scheme"),
        (b"Basic", "malformed_basic"),
        (b"Basic ", "malformed_basic"),
        (b"Basic YTpi, Basic YTpi", "malformed_basic"),  # two headers, joined
        (b"Basic YTpi Basic YTpi", "malformed_basic"),
        (b"Basic YTp", "malformed_basic"),
        (b"Basic YT*pi", "malformed_basic"),
        (b"Basic YTpi\n=", "malformed_basic"),
        (b"Basic \xff\xff\xff\xff", "malformed_basic"),
        (b"Basic YTpi\0", "malformed_basic"),
        (b"Basic YT-_", "malformed_basic"),  # base64url is not base64
        (basic("no colon"), "malformed_basic"),
        (basic(""), "malformed_basic"),
        (basic(":secret"), "malformed_basic"),
        (basic(b"\xff\xfe:x"), "malformed_basic"),
        (basic(b"a:\xff"), "malformed_basic"),
        (basic(b"a:\xed\xa0\x80"), "malformed_basic"),  # a surrogate in UTF-8
        (basic("a\0b:c"), "malformed_basic"),
        (basic("a:b\0c"), "malformed_basic"),
        (basic("a%00b:c"), "malformed_basic"),
        (basic("a:%00"), "malformed_basic"),
        (basic("a:%FF"), "malformed_basic"),
        (basic("%C3:b"), "malformed_basic"),
        (basic("a:%ED%A0%80"), "malformed_basic"),
        (basic("%:x%FF"), "malformed_basic"),
    ],
)
def test_a_header_that_cannot_be_read_fails_authentication(header: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        read_basic(header)
    assert (raised.value.error, raised.value.status, raised.value.reason) == (ErrorCode.INVALID_CLIENT, 401, reason)
    assert raised.value.description == "client authentication failed"


@given(st.binary(max_size=100) | st.binary(max_size=60).map(basic))
@example(basic(b"%\xff:"))
def test_any_header_is_credentials_or_a_failed_authentication(header: bytes) -> None:
    read = attempt(header)
    if isinstance(read, ProtocolError):
        assert read.error is ErrorCode.INVALID_CLIENT
    else:
        assert read.client_id
        assert "\0" not in read.client_id + read.secret
        (read.client_id + read.secret).encode()


@given(TEXT.filter(bool), TEXT, st.sampled_from([quote_plus, quote, lambda text: quote(text, safe="")]))
def test_what_was_form_encoded_is_read_back(client_id: str, secret: str, encode: object) -> None:
    assert callable(encode)
    # quote() leaves '/' as it is, and no encoder leaves a colon.
    assert read_basic(basic(f"{encode(client_id)}:{encode(secret)}")) == SecretCredentials(client_id, secret, BASIC)


@given(TEXT.filter(lambda text: bool(text) and not set(text) & set("%+:")), TEXT.filter(lambda t: not set(t) & {*"%+"}))
def test_what_needs_no_encoding_may_come_as_it_is(client_id: str, secret: str) -> None:
    assert read_basic(basic(f"{client_id}:{secret}")) == SecretCredentials(client_id, secret, BASIC)


ID, SECRET = {"client_id": "billing"}, {"client_secret": "s"}
ASSERTION = {"client_assertion": "a.b.c", "client_assertion_type": ASSERTION_TYPE}
HEADER = basic("billing:s")


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        (HEADER, {}, SecretCredentials("billing", "s", BASIC)),
        (HEADER, ID, SecretCredentials("billing", "s", BASIC)),  # RFC 6749 section 3.2.1 lets it name itself
        (None, {**ID, **SECRET}, SecretCredentials("billing", "s", POST)),
        (None, ID, PublicCredentials("billing")),
        (None, ASSERTION, AssertionCredentials("a.b.c", None)),
        (None, {**ASSERTION, **ID}, AssertionCredentials("a.b.c", "billing")),
    ],
)
def test_one_method_is_found(header: bytes | None, body: dict[str, str], expected: Credentials) -> None:
    assert read_credentials(header, Parameters(body)) == expected


@pytest.mark.parametrize(
    ("header", "body", "error", "reason"),
    [
        (None, {}, "invalid_client", "no_credentials"),
        (None, {"token": "x"}, "invalid_client", "no_credentials"),
        (b"Bearer x", ID, "invalid_client", "unknown_scheme"),
        (HEADER, SECRET, "invalid_request", "several_auth_methods"),
        (HEADER, {**ID, **SECRET}, "invalid_request", "several_auth_methods"),
        (HEADER, ASSERTION, "invalid_request", "several_auth_methods"),
        (HEADER, {"client_assertion": "x"}, "invalid_request", "several_auth_methods"),
        (HEADER, {"client_assertion_type": ASSERTION_TYPE}, "invalid_request", "several_auth_methods"),
        (b"Bearer x", {**ID, **SECRET}, "invalid_request", "several_auth_methods"),
        (HEADER, {"client_id": "other"}, "invalid_request", "client_id_mismatch"),
        (None, {**ASSERTION, **SECRET}, "invalid_request", "several_auth_methods"),
        (None, {**ASSERTION, **ID, **SECRET}, "invalid_request", "several_auth_methods"),
        (None, {"client_assertion": "x"}, "invalid_request", "assertion"),
        (None, {"client_assertion_type": ASSERTION_TYPE}, "invalid_request", "assertion"),
        (None, {**ASSERTION, "client_assertion_type": "saml2-bearer"}, "invalid_request", "assertion"),
        (None, SECRET, "invalid_request", "missing_parameter"),
    ],
)
def test_none_several_and_contradicting_methods_are_refused(
    header: bytes | None, body: dict[str, str], error: str, reason: str
) -> None:
    with pytest.raises(ProtocolError) as raised:
        read_credentials(header, Parameters(body))
    assert (raised.value.error.code, raised.value.reason) == (error, reason)


@pytest.mark.parametrize(
    ("presented", "kept", "matches"),
    [
        ("s1", ["s1"], True),
        ("s1", ["s1", "s2"], True),
        ("s2", ["s1", "s2"], True),
        ("s3", ["s1", "s2"], False),
        ("S1", ["s1"], False),
        ("s1 ", ["s1"], False),
        ("", ["s1"], False),
        ("s1", [], False),
        ("", [], False),
        ("compared with where a client has no secret", [], False),
        ("compared with where a client has no secret", ["s1"], False),
        ("s" * 5000, ["s" * 5000], True),
        ("s" * 5000 + "x", ["s" * 5000], False),  # long secrets are not cut
        ("ü", ["ü"], True),
    ],
)
def test_generated_secrets_match_by_digest(presented: str, kept: list[str], matches: bool) -> None:
    secrets = [ClientSecret(sha256=sha256_secret(secret)) for secret in kept]
    assert (generated_secret_ends(presented, secrets) is not None) is matches


def test_a_chosen_secret_is_not_matched_by_digest() -> None:
    assert generated_secret_ends("x", [ClientSecret(argon2id="$argon2id$v=19$x")]) is None
    assert (
        generated_secret_ends("x", [ClientSecret(argon2id="$x"), ClientSecret(sha256=sha256_secret("x"))]) == math.inf
    )


@pytest.mark.parametrize(
    "secretive",
    [
        SecretCredentials("billing", "hunter2", BASIC),
        AssertionCredentials("hunter2", "billing"),
        ClientSecret(sha256=b"hunter2"),
        ClientSecret(argon2id="hunter2"),
    ],
)
def test_representations_hide_secrets(secretive: object) -> None:
    assert "hunter2" not in repr(secretive)
    assert "hunter2" not in f"{secretive}"
