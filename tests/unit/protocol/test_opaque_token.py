"""Opaque tokens: everything that can be told from the string, and that no string does harm."""

import hashlib
import itertools
from binascii import crc32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.model.tokens import TokenKind
from app.protocol.opaque_token import (
    TOKEN_LENGTH,
    family_tag,
    has_form_of_token,
    jti_ref,
    looks_like_access_token,
    new_access_token,
    new_family,
    new_jti,
    new_tag,
    new_token,
    token_digest,
    token_kind,
    token_ref,
)

PREFIXES = {TokenKind.ACCESS: "asa_1", TokenKind.REFRESH: "asr_1", TokenKind.CODE: "asc_1"}
TAGS = st.binary(min_size=2, max_size=2).map(bytes.hex)
SECRETS = st.binary(min_size=32, max_size=32)
URL_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def token_of(secret: bytes) -> str:
    return new_token(TokenKind.ACCESS, "1a2b", lambda count: secret[:count])


TOKEN = token_of(bytes(range(32)))


def checked(body: str) -> str:
    """Any text with the right checksum behind it: what an attacker who read this file can make."""
    return f"{body}{crc32(body.encode()):08x}"


def test_the_form_is_the_documented_one() -> None:
    """A change of this form makes every token that is alive unknown."""
    assert TOKEN == "asa_11a2bAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh88d4d36b1"
    assert checked(TOKEN[:-8]) == TOKEN
    assert len(TOKEN) == TOKEN_LENGTH == 60


@given(st.sampled_from(TokenKind), TAGS, SECRETS)
def test_a_new_token_is_of_its_kind_and_carries_its_tag(kind: TokenKind, tag: str, secret: bytes) -> None:
    token = new_token(kind, tag, lambda count: secret[:count])
    assert token.startswith(PREFIXES[kind] + tag)
    assert len(token) == TOKEN_LENGTH
    assert URL_SAFE.issuperset(token)
    assert token_kind(token) is kind
    assert token_ref(token).tag == tag
    assert token_ref(token).digest == hashlib.sha256(token.encode()).digest()


@given(st.binary(min_size=34, max_size=34))
def test_a_new_access_token_is_the_one_that_is_made_in_steps(random: bytes) -> None:
    token, ref = new_access_token(lambda count: random[:count])
    assert token == new_token(TokenKind.ACCESS, random[:2].hex(), lambda count: random[2 : 2 + count])
    assert ref == token_ref(token)
    assert ref.digest == token_digest(token)


@given(st.binary(min_size=18, max_size=18))
def test_a_jti_of_no_family_has_the_form_of_one_and_a_tag_of_its_own(random: bytes) -> None:
    jti = new_jti(lambda count: random[:count])
    assert jti == new_family(random[:2].hex(), lambda count: random[2 : 2 + count])
    assert jti_ref(jti).tag == family_tag(jti) == random[:2].hex()


@given(st.one_of(st.text(max_size=70), st.binary(min_size=32, max_size=32).map(token_of)))
@example("asa_1" + "\N{GREEK SMALL LETTER ALPHA}" * 55)
@example("asa_1" + "x" * 55)
@example("asr_1" + "x" * 55)
def test_every_access_token_looks_like_one(text: str) -> None:
    if token_kind(text) is TokenKind.ACCESS:
        assert looks_like_access_token(text)
    if looks_like_access_token(text):
        assert text.isascii()
        assert (len(text), text[:5]) == (TOKEN_LENGTH, PREFIXES[TokenKind.ACCESS])


def test_the_random_bits_are_all_in_the_token() -> None:
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return bytes(count)

    new_token(TokenKind.REFRESH, "0000", random_bytes)
    new_tag(random_bytes)
    new_family("0000", random_bytes)
    assert asked == [32, 2, 16]
    secrets = [(1 << bit).to_bytes(32) for bit in range(256)]
    digests = {token_ref(token_of(secret)).digest for secret in secrets}
    assert len(digests) == 256


@pytest.mark.parametrize("position", range(TOKEN_LENGTH))
def test_no_change_of_a_single_character_goes_unnoticed(position: int) -> None:
    for replacement in (*map(chr, range(128)), "é", "\ud800", "\U0001f600"):
        if replacement != TOKEN[position]:
            assert token_kind(TOKEN[:position] + replacement + TOKEN[position + 1 :]) is None


@pytest.mark.parametrize("position", range(TOKEN_LENGTH))
def test_no_missing_added_or_swapped_character_goes_unnoticed(position: int) -> None:
    assert token_kind(TOKEN[:position] + TOKEN[position + 1 :]) is None
    assert token_kind(TOKEN[:position] + "A" + TOKEN[position:]) is None
    swapped = TOKEN[:position] + TOKEN[position : position + 2][::-1] + TOKEN[position + 2 :]
    assert swapped == TOKEN or token_kind(swapped) is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        TOKEN + " ",
        TOKEN[:-1] + "\n",
        TOKEN.upper(),
        TOKEN[:-8] + TOKEN[-8:].upper(),
        checked("asx_1" + TOKEN[5:-8]),  # no such kind
        checked("asa_2" + TOKEN[5:-8]),  # no such version
        checked("ASA_1" + TOKEN[5:-8]),
        checked("asa_1" + "1A2B" + TOKEN[9:-8]),  # tags are lower case, or one token would have two slots
        checked("asa_1" + "1a2g" + TOKEN[9:-8]),
        checked("asa_1" + "}1a{" + TOKEN[9:-8]),
        checked("asa_1" + "1a2b" + TOKEN[9:-9]),
        checked("asa_1" + "1a2b" + TOKEN[9:-8] + "A"),
        "é" * TOKEN_LENGTH,
        "\ud800" * TOKEN_LENGTH,
        "٣" * TOKEN_LENGTH,
        "\0" * TOKEN_LENGTH,
        "eyJhbGciOiJub25lIn0.e30.",
    ],
)
def test_what_this_service_cannot_have_made_has_no_kind(token: str) -> None:
    assert token_kind(token) is None


@given(st.text(max_size=80) | st.text(min_size=TOKEN_LENGTH, max_size=TOKEN_LENGTH))
@example("asa_1" + "\ud800" * 55)
def test_any_string_has_a_kind_or_none(token: str) -> None:
    kind = token_kind(token)
    assert kind is None or token.startswith(PREFIXES[kind])


@pytest.mark.parametrize(
    ("text", "has"),
    [
        (TOKEN, True),
        ("eyJhbGciOiJFUzI1NiJ9.e30.c2ln", True),
        (TOKEN[:-1], False),
        ("eyJhbGciOiJFUzI1NiJ9.e30", False),
        ("correct.horse.battery", False),
        ("hunter2", False),
        ("", False),
    ],
)
def test_a_password_has_not_the_form_of_a_token(text: str, has: bool) -> None:
    assert has_form_of_token(text) is has


@given(st.sampled_from(list(PREFIXES.values())), st.text("0123456789abcdefG-_ é", min_size=47, max_size=47))
def test_whoever_computes_the_checksum_gains_no_more_than_a_lookup(prefix: str, rest: str) -> None:
    token = checked(prefix + rest)
    kind = token_kind(token)
    if kind is not None:
        ref = token_ref(token)
        assert len(ref.digest) == 32
        assert set(ref.tag) <= set("0123456789abcdef")


def test_kinds_share_no_reference() -> None:
    tokens = [new_token(kind, "1a2b", bytes) for kind in TokenKind]
    for one, other in itertools.combinations(tokens, 2):
        assert token_ref(one) != token_ref(other)


@given(TAGS, st.binary(min_size=16, max_size=16))
def test_a_family_and_a_jti_begin_with_their_slots_tag(tag: str, secret: bytes) -> None:
    name = new_family(tag, lambda count: secret[:count])
    assert family_tag(name) == tag
    assert len(name) == 4 + 22
    assert URL_SAFE.issuperset(name)
    assert jti_ref(name).tag == tag
    assert jti_ref(name).digest == hashlib.sha256(name.encode()).digest()


@given(st.binary(min_size=2, max_size=2))
def test_a_tag_is_four_hexadecimal_digits(secret: bytes) -> None:
    assert int(new_tag(lambda count: secret[:count]), 16) == int.from_bytes(secret)
    assert len(new_tag(lambda count: secret[:count])) == 4
