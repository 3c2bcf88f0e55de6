"""Slots are those of Redis, and its map is read or refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from app.storage.interface import StoreUnavailable
from app.storage.redis.slots import BIRTH_TAGS, SLOTS, read_slots, slot_of_tag, spread_tags, tag_within


@given(st.binary(min_size=1, max_size=8).filter(lambda tag: b"}" not in tag))
def test_a_tag_has_the_slot_that_redis_gives_it(tag: bytes) -> None:
    assert slot_of_tag(tag) == key_slot(b"prefix{" + tag + b"}name")


def test_birth_tags_are_spread_over_all_slots() -> None:
    slots = [slot_of_tag(tag.encode()) for tag in spread_tags()]
    assert len(slots) == BIRTH_TAGS
    assert [slot // (SLOTS // BIRTH_TAGS) for slot in slots] == list(range(BIRTH_TAGS))


@pytest.mark.parametrize("slots", [range(100), range(16_000, 16_384), {slot_of_tag(b"ffff")}])
def test_a_tag_is_found_for_slots(slots: Any) -> None:
    tag = tag_within(slots)
    assert tag is not None
    assert slot_of_tag(tag.encode()) in slots


def test_no_tag_is_found_for_no_slots() -> None:
    assert tag_within(()) is None


def test_the_map_is_read() -> None:
    reply = [
        [0, 99, [b"10.0.0.1", 6379, b"id-1", []], [b"10.0.0.2", 6379, b"id-2", []]],
        [200, 299, [b"10.0.0.1", 6379, b"id-1", []]],
        [100, 199, [b"", 6380, b"id-3", []]],
        [300, 16_383, [None, 6380, b"id-3", []]],
    ]
    assert read_slots(reply, ("asked", 1)) == {
        ("10.0.0.1", 6379): [range(100), range(200, 300)],
        ("asked", 6380): [range(100, 200), range(300, 16_384)],
    }


@pytest.mark.parametrize(
    "reply", [[], None, b"OK", [[]], [[0, 1]], [[0, 1, None]], [["x", 1, [b"h", 1]]], [[0, 1, []]]]
)
def test_anything_else_is_refused(reply: Any) -> None:
    with pytest.raises(StoreUnavailable, match="cluster"):
        read_slots(reply, ("asked", 1))
