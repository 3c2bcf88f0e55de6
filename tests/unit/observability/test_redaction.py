"""The safety net: what looks like a secret is hidden wherever it stands, and nothing else is."""

import base64
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.secret_text import HIDDEN, SecretText
from app.model.tokens import TokenKind
from app.observability.redaction import plain, redact_arguments, redact_text
from app.protocol.opaque_token import new_tag, new_token

CANARY = "c4n4ryc4n4ryc4n4ry"
KEY = "a key of at least thirty-two bytes"

surroundings = st.text(max_size=30)


def basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


@given(
    before=surroundings, after=surroundings, kind=st.sampled_from(TokenKind), random=st.binary(min_size=32, max_size=32)
)
def test_opaque_tokens_are_hidden_anywhere(before: str, after: str, kind: TokenKind, random: bytes) -> None:
    token = new_token(kind, new_tag(lambda n: random[:n]), lambda n: random[:n])
    shown = redact_text(f"{before}{token}{after}")
    assert token[4:] not in shown
    assert HIDDEN in shown


@given(before=surroundings, after=surroundings, claims=st.dictionaries(st.text(max_size=5), st.text(max_size=10)))
def test_jwts_are_hidden_anywhere(before: str, after: str, claims: dict[str, str]) -> None:
    token = jwt.encode(claims, KEY, algorithm="HS256")
    shown = redact_text(f"{before}{token}{after}")
    header, _, signature = token.split(".")
    assert header not in shown
    assert signature not in shown


@given(
    name=st.sampled_from(["client_secret", "client_assertion", "refresh_token", "token", "password", "code_verifier"]),
    secret=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8),
)
def test_form_and_json_fields_are_hidden(name: str, secret: str) -> None:
    secret = f"{CANARY}{secret}"
    for text in (
        f"grant_type=x&{name}={secret}&scope=read",
        json.dumps({"a": 1, name: secret}),
        repr({name: secret}),
        repr({name: secret.encode()}),
        f"POST /?{name}={secret} HTTP/1.1",
    ):
        assert secret not in redact_text(text), text


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Basic {basic('billing', CANARY)}",
        f"authorization: bearer {CANARY}",
        f"{{'Authorization': 'Basic {basic('billing', CANARY)}'}}",
        f"(b'authorization', b'Basic {basic('billing', CANARY)}')",
        f"Authorization: Custom {CANARY}",
        f"header was Basic {basic('billing', CANARY)}",
        f"DPoP {CANARY}",
        f"redis://user:{CANARY}@redis:6379/0",
        f"https://{CANARY}@example.com",
        f"code={CANARY}&state=x",
        f"ascs_{CANARY}",
        f"$argon2id$v=19$m=65536,t=3,p=4${CANARY}${CANARY}",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n",
        json.dumps({"kty": "EC", "d": CANARY}),
    ],
)
def test_other_secrets_are_hidden(text: str) -> None:
    shown = redact_text(text)
    assert CANARY not in shown
    assert basic("billing", CANARY) not in shown
    assert HIDDEN in shown or "hidden]" in shown


@pytest.mark.parametrize(
    "text",
    [
        "clients reloaded: added billing, changed none, removed none",
        "worker 1 ended with exit code=1: started again",
        "JWKS_RETAIN_SECONDS: is 5, and the longest-lived signed token lives 3600 seconds",
        "listening on [::1]:8080",
        "GET /.well-known/oauth-authorization-server 200",
        "the token was refused: expired",
        "basic auth is missing",
        "status_code=200000000000000000000",
        "mail to ops@example.com",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "piece", ["eyJ", "eyJ.", "asa_", "Basic ", "token=", "://", "-----BEGIN ", "'token':'", "authorization:"]
)
def test_no_text_takes_long(piece: str) -> None:
    # A quadratic pattern would take minutes here, and meet the test's time limit.
    assert len(redact_text(piece * 100_000)) > 0


def test_arguments_are_hidden_by_their_type() -> None:
    arguments = redact_arguments((b"canary", bytearray(b"canary"), SecretText("canary"), 5))
    assert "canary" not in "%s %s %s %d" % arguments  # noqa: UP031 - as log calls format
    assert redact_arguments({"token": b"canary"}) == {"token": "<6 bytes>"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (1.5, 1.5),
        (True, True),
        (b"canary", "<6 bytes>"),
        (SecretText("canary"), HIDDEN),
        ({"password": "short", "client_id": "billing"}, {"password": HIDDEN, "client_id": "billing"}),
        ({"a": [{"token": "canary"}, ("x", b"y")]}, {"a": [{"token": HIDDEN}, ["x", "<1 bytes>"]]}),
        ({1: ValueError("token=canary12")}, {"1": f"token={HIDDEN}"}),
    ],
)
def test_fields_are_plain_and_redacted(value: Any, shown: Any) -> None:
    assert plain(value) == shown


def test_deep_fields_become_text() -> None:
    nested: list[Any] = []
    nested.append(nested)
    assert isinstance(plain(nested), list)
