"""Redis Cluster's slots: which one a name falls into, and who serves which.

Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ (key distribution model).
"""

from binascii import crc_hqx
from collections.abc import Container, Iterator
from typing import Any

from app.storage.interface import StoreUnavailable
from app.storage.redis_options import Address

SLOTS = 16_384

TAG_LENGTH = 4
"""All our tags are as long: four hexadecimal digits, or ``meta``."""

BIRTH_TAGS = 64
"""How many tags, spread over the slots, each node is asked for when it was born."""


def slot_of_tag(tag: bytes) -> int:
    """The slot of every name with this hash tag: its CRC-16 (XMODEM) modulo 16384."""
    return crc_hqx(tag, 0) % SLOTS


def all_tags() -> Iterator[str]:
    """Every tag that a token can have."""
    return (f"{number:04x}" for number in range(1 << 16))


def spread_tags() -> tuple[str, ...]:
    """One tag for each of BIRTH_TAGS equal ranges of slots, in the order of the ranges; always the same ones."""
    width = SLOTS // BIRTH_TAGS
    found: dict[int, str] = {}
    for tag in all_tags():
        found.setdefault(slot_of_tag(tag.encode()) // width, tag)
        if len(found) == BIRTH_TAGS:
            break
    return tuple(found[part] for part in sorted(found))


def tag_within(slots: Container[int]) -> str | None:
    """Some tag whose slot is one of these; None if there is none."""
    return next((tag for tag in all_tags() if slot_of_tag(tag.encode()) in slots), None)


def read_slots(reply: Any, asked: Address) -> dict[Address, list[range]]:
    """Which master serves which slots, from the reply to CLUSTER SLOTS. Raises StoreUnavailable.

    A node that does not know its own address stands for the one that was ``asked``.
    """
    served: dict[Address, list[range]] = {}
    try:
        for first, last, master, *_ in reply:
            host = master[0].decode() if master[0] else asked[0]
            served.setdefault((host, int(master[1])), []).append(range(int(first), int(last) + 1))
    except (TypeError, ValueError, IndexError, AttributeError):
        raise StoreUnavailable("what Redis says of its cluster cannot be read") from None
    if not served:
        raise StoreUnavailable("no node of the Redis cluster serves any slot yet")
    return served
