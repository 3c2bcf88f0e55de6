"""Scope: what may be asked for, what is given, what is refused."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.errors import ErrorCode, ProtocolError
from app.protocol.scopes import grant_scope, narrow_scope, split_scope

SCOPE_TOKENS = st.text(st.characters(codec="ascii", min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'))


@pytest.mark.parametrize(
    ("scope", "tokens"),
    [
        ("read", ("read",)),
        ("read write", ("read", "write")),
        ("write read", ("write", "read")),
        ("read write read", ("read", "write")),
        ("https://api.example.com/read", ("https://api.example.com/read",)),
        ("auth-service:admin", ("auth-service:admin",)),
        ("!#[]~", ("!#[]~",)),
    ],
)
def test_a_scope_is_split_without_repeats(scope: str, tokens: tuple[str, ...]) -> None:
    assert split_scope(scope) == tokens


@pytest.mark.parametrize(
    "scope",
    ["", " ", " read", "read ", "read  write", "read\twrite", "read\n", 'a"b', "a\\b", "é", "a\x7f", "a\0b", "read,é"],
)
def test_a_malformed_scope_is_refused(scope: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        split_scope(scope)
    assert (raised.value.error, raised.value.reason) == (ErrorCode.INVALID_SCOPE, "scope_malformed")


@given(st.text(max_size=20))
def test_any_text_is_scope_tokens_or_refused(text: str) -> None:
    try:
        tokens = split_scope(text)
    except ProtocolError:
        return
    assert tokens
    assert all(token and not set(token) & set(' "\\') for token in tokens)
    assert split_scope(" ".join(tokens)) == tokens


@given(st.lists(SCOPE_TOKENS.filter(bool), min_size=1, max_size=5, unique=True))
def test_every_scope_token_of_the_grammar_is_accepted(tokens: list[str]) -> None:
    assert split_scope(" ".join(tokens)) == tuple(tokens)


ALLOWED = ("read", "write", "admin")


@pytest.mark.parametrize(
    ("requested", "default", "granted"),
    [
        (None, None, "read write admin"),
        (None, ("read",), "read"),
        (None, (), ""),
        ("read", None, "read"),
        ("write read", ("read",), "write read"),
        ("read read", None, "read"),
        ("admin", ("read",), "admin"),
    ],
)
def test_scope_is_granted(requested: str | None, default: Sequence[str] | None, granted: str) -> None:
    assert grant_scope(requested, ALLOWED, default) == granted


@pytest.mark.parametrize("requested", ["delete", "read delete", "READ", "read,write", "rea"])
@pytest.mark.parametrize("default", [None, ("read",)])
def test_more_than_allowed_is_refused_as_a_whole(requested: str, default: Sequence[str] | None) -> None:
    with pytest.raises(ProtocolError) as raised:
        grant_scope(requested, ALLOWED, default)
    assert (raised.value.error, raised.value.reason) == (ErrorCode.INVALID_SCOPE, "scope_not_allowed")


def test_a_client_without_scopes_gets_none_and_may_ask_for_none() -> None:
    assert grant_scope(None, (), None) == ""
    with pytest.raises(ProtocolError):
        grant_scope("read", (), None)


@pytest.mark.parametrize(
    ("requested", "granted", "narrowed"),
    [
        (None, "read write", "read write"),
        (None, "", ""),
        ("read", "read write", "read"),
        ("write read", "read write", "write read"),
    ],
)
def test_a_refresh_may_narrow_the_scope(requested: str | None, granted: str, narrowed: str) -> None:
    assert narrow_scope(requested, granted) == narrowed


@pytest.mark.parametrize(("requested", "granted"), [("write", "read"), ("read write", "read"), ("read", "")])
def test_a_refresh_may_not_widen_the_scope(requested: str, granted: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        narrow_scope(requested, granted)
    assert (raised.value.error, raised.value.reason) == (ErrorCode.INVALID_SCOPE, "scope_widened")
