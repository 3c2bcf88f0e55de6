"""The ring document: what is read, what is refused and why, and that nothing is lost between versions."""

import contextlib
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.keys.document import MAX_BYTES, KeyEntry, PrivatePart, RingDocument, decode, encode
from app.keys.errors import RingDocumentError

HEAD = b'{"format": "auth-service/keyring", "version": "1.0", "revision": 1, "keys": '


def test_a_document_survives_writing_and_reading(new_entry: Callable[..., KeyEntry]) -> None:
    entries = (new_entry(signs_from=1.0, retires_at=2.5, removed_at=3.0), new_entry("EdDSA"))
    document = RingDocument(revision=7, keys=entries)
    assert decode(encode(document)) == document


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"", "empty", "empty"),
        (b" \n", "empty", "empty"),
        (b'{"format": "auth-service/keyring", "ver', "corrupt", "truncated"),
        (b"\xff\xfe", "corrupt", "truncated or damaged"),
        (b"[" * 5000, "corrupt", "truncated or damaged"),
        (b"[]", "corrupt", '"format"'),
        (b"{}", "corrupt", '"format"'),
        (b'{"format": "auth-service/keyring", "keys": []}', "corrupt", '"version"'),
        (b'{"format": "auth-service/keyring", "version": 1, "keys": []}', "corrupt", '"version"'),
        (b'{"format": "auth-service/keyring", "version": "1", "keys": []}', "corrupt", '"version"'),
        (b'{"format": "auth-service/keyring", "version": "2.0", "keys": []}', "future_version", "reads 1.x"),
        (b'{"format": "auth-service/keyring", "version": "2.0", "rings": {}}', "future_version", "reads 1.x"),
        (HEAD + b"{}}", "corrupt", '"keys"'),
        (HEAD + b"[1]}", "corrupt", '"keys"'),
        (HEAD + b"[{}]}", "corrupt", "keys[0]"),
        (HEAD + b'[{"kid": "a", "algorithm": "ES256", "created_at": "x", "public": {}}]}', "corrupt", "created_at"),
        (HEAD + b"[" + b",".join([b"{}"] * 201) + b"]}", "corrupt", "201 keys, 200"),
        (HEAD + b"[]" + b" " * MAX_BYTES + b"}", "corrupt", "bytes"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_cause(body: bytes, kind: str, says: str) -> None:
    with pytest.raises(RingDocumentError) as refusal:
        decode(body)
    assert refusal.value.kind == kind
    assert says in str(refusal.value)


def test_a_newer_minor_version_is_read_and_nothing_of_it_is_lost(new_entry: Callable[..., KeyEntry]) -> None:
    raw = msgspec.json.decode(encode(RingDocument(revision=3, keys=(new_entry(),))))
    raw["version"] = "1.9"
    raw["purpose"] = {"new": True}
    raw["keys"][0]["certificate"] = ["abc"]
    document = decode(msgspec.json.encode(raw))
    assert document.revision == 3
    assert msgspec.json.decode(encode(document)) == raw


def test_a_member_called_surplus_is_a_member_like_others() -> None:
    raw = {"format": "auth-service/keyring", "version": "1.1", "revision": 1, "keys": [], "surplus": [1]}
    assert msgspec.json.decode(encode(decode(msgspec.json.encode(raw)))) == raw


@given(st.binary(max_size=200) | st.builds(lambda x: HEAD + x + b"}", st.binary(max_size=60)))
def test_no_bytes_make_it_fail_otherwise(body: bytes) -> None:
    with contextlib.suppress(RingDocumentError):
        decode(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = ("format", "version", "revision", "keys", "surplus", "x")
KEY_MEMBERS = (*KeyEntry.__struct_fields__, "x")


@given(
    st.dictionaries(st.sampled_from(MEMBERS), json_values),
    st.lists(st.dictionaries(st.sampled_from(KEY_MEMBERS), json_values), max_size=2),
)
def test_no_json_makes_it_fail_otherwise(members: dict[str, object], keys: list[dict[str, object]]) -> None:
    whole = {**members, "format": "auth-service/keyring", "version": "1.0", "keys": keys}
    with contextlib.suppress(RingDocumentError):
        encode(decode(msgspec.json.encode(whole)))


def test_no_representation_shows_a_private_part() -> None:
    part = PrivatePart(pkcs8="c2VjcmV0")
    entry = KeyEntry(kid="k", algorithm="ES256", created_at=0, public={}, private=part)
    for shown in (repr(part), repr(entry), str(RingDocument(keys=(entry,)))):
        assert "c2VjcmV0" not in shown
