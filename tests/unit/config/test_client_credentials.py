"""``CLIENT_CREDENTIALS``: clients in short."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config.client_credentials import parse_client_credentials
from app.config.client_entry import ClientDefaults
from app.model.clients import Client, ClientSecret
from app.model.secret_text import SecretText

LONG = "a-secret-of-some-length"


def parse(text: str) -> tuple[list[Client], list[str], list[str]]:
    clients, problems, warnings = parse_client_credentials(SecretText(text), ("read",), ClientDefaults(60, 120))
    return clients, [str(problem) for problem in problems], warnings


def test_clients_get_the_scopes_and_the_defaults() -> None:
    clients, problems, warnings = parse(f" a:{LONG} ; b : {LONG}:with:colons ;")
    assert problems == warnings == []
    assert clients == [
        Client(
            id=name,
            secrets=(ClientSecret(sha256=hashlib.sha256(secret.encode()).digest()),),
            scopes=("read",),
            access_token_seconds=60,
            refresh_token_seconds=120,
        )
        for name, secret in (("a", LONG), ("b", f"{LONG}:with:colons"))
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("canary", "entry 1 is wrong; allowed: id:secret;id:secret"),
        (f"a:{LONG};canary", "entry 2 is wrong"),
        (":canary", "entry 1 is wrong"),
        ("canary:", "entry 1 is wrong"),
        ("cänary:secret", "entry 1 is wrong"),
        (f"canary:{LONG};canary:{LONG}", "entry 2 has the id of another"),
        (";", "names no client"),
    ],
)
def test_a_wrong_entry_is_told_by_its_number(text: str, message: str) -> None:
    _, problems, _ = parse(text)
    assert len(problems) == 1
    assert message in problems[0]
    assert "canary" not in problems[0]


def test_a_short_secret_is_warned_about() -> None:
    clients, problems, warnings = parse("a:short")
    assert len(clients) == 1
    assert problems == []
    assert "entry 1 has fewer than 16 characters" in warnings[0]


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_clients_or_mistakes(text: str) -> None:
    clients, problems, _ = parse(text)
    assert clients or problems
