"""Records survive the way to bytes and back, over a release's distance in either direction."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.tokens import RECORD_VERSION, AccessTokenRecord, RefreshTokenRecord
from app.storage.codec import (
    NEWEST_READABLE_VERSION,
    REFRESH_USED_AT_FIELD,
    decode_access_record,
    decode_refresh_record,
    encode_record,
)
from app.storage.interface import CorruptRecord, StoreError, UnsupportedRecordVersion

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SECONDS = st.integers(0, 2**40)
AUDIENCES = st.lists(TEXT, max_size=4).map(tuple)
FIRST_FIELDS: dict[str, Any] = {
    "version": st.just(RECORD_VERSION),
    "client_id": TEXT,
    "subject": TEXT,
    "scope": TEXT,
    "audience": AUDIENCES,
    "issued_at": SECONDS,
    "expires_at": SECONDS,
}
ACCESS = st.builds(AccessTokenRecord, **FIRST_FIELDS, family=st.none() | TEXT)
REFRESH = st.builds(
    RefreshTokenRecord, **FIRST_FIELDS, family=TEXT, family_expires_at=SECONDS, used_at=st.none() | SECONDS
)
ARRAY: list[Any] = [RECORD_VERSION, "billing", "user-1", "read", ["api"], 1_000, 2_000]


def packed(values: object) -> bytes:
    return msgspec.msgpack.encode(values)


@given(ACCESS)
def test_access_records_come_back_as_they_were(record: AccessTokenRecord) -> None:
    assert decode_access_record(encode_record(record)) == record


@given(REFRESH)
def test_refresh_records_come_back_as_they_were(record: RefreshTokenRecord) -> None:
    assert decode_refresh_record(encode_record(record)) == record


@given(REFRESH)
def test_used_at_stands_where_scripts_look_for_it(record: RefreshTokenRecord) -> None:
    assert msgspec.msgpack.decode(encode_record(record))[REFRESH_USED_AT_FIELD] == record.used_at


@given(ACCESS, st.lists(st.none() | st.integers(0, 9) | TEXT | st.lists(TEXT, max_size=2), max_size=5))
def test_the_next_release_may_append_fields(record: AccessTokenRecord, appended: list[Any]) -> None:
    array = msgspec.to_builtins(record)
    newer = packed([NEWEST_READABLE_VERSION, *array[1:], *appended])
    assert decode_access_record(newer) == msgspec.structs.replace(record, version=NEWEST_READABLE_VERSION)


def test_fields_that_an_older_release_did_not_write_have_their_defaults() -> None:
    assert decode_access_record(packed(ARRAY)).family is None
    assert decode_refresh_record(packed([*ARRAY, "a1b2f", 3_000])).used_at is None


@pytest.mark.parametrize(
    "array",
    [
        [NEWEST_READABLE_VERSION + 1, *ARRAY[1:]],
        [NEWEST_READABLE_VERSION + 1, {"client": "billing"}],
        [NEWEST_READABLE_VERSION + 1],
        [2**60, "x"],
    ],
)
def test_a_release_too_new_is_told_apart_from_garbage(array: list[Any]) -> None:
    for decode in (decode_access_record, decode_refresh_record):
        with pytest.raises(UnsupportedRecordVersion, match=f"has form {array[0]}"):
            decode(packed(array))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"OK",
        packed([]),
        packed({}),
        packed(["1", *ARRAY[1:]]),
        packed([0, *ARRAY[1:]]),
        packed([-1, *ARRAY[1:]]),
        packed([RECORD_VERSION, "billing"]),
        packed(ARRAY)[:-1],
        packed(ARRAY) + b"\x00",
        b"\x97\x01\xa1\xff" + packed("s") * 2 + b"\x90\x01\x02",
        b"\x91" * 5_000,
    ],
)
def test_bytes_that_are_no_record_are_corrupt(data: bytes) -> None:
    for decode in (decode_access_record, decode_refresh_record):
        with pytest.raises(CorruptRecord, match="cannot be decoded"):
            decode(data)


MSGPACK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXT | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=15,
).map(packed)


@given(st.binary(max_size=300) | MSGPACK | st.builds(lambda a, b: packed(ARRAY)[:a] + b, st.integers(0, 40), MSGPACK))
def test_no_input_raises_anything_but_a_store_error(data: bytes) -> None:
    for decode in (decode_access_record, decode_refresh_record):
        try:
            decode(data)
        except StoreError:
            continue


def test_errors_quote_nothing_of_the_record() -> None:
    with pytest.raises(CorruptRecord) as caught:
        decode_access_record(packed([RECORD_VERSION, "billing", "user-1", 5]))
    assert "billing" not in str(caught.value)
    assert caught.value.__suppress_context__
