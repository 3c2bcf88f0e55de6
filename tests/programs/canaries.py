"""Searching for what must not be there: marked secrets and tokens, in every form that a careless program gives them.

Rules:
- A part of a secret is as bad as the whole: of long ones their middle and their end are looked for too.
- base64 hides a text that does not begin at a multiple of three bytes, so each of the three alignments is a form.
"""

import base64
import html
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote, quote_plus

_SHORTEST = 12
_LONG = 40
_PART = 24


class Canary(NamedTuple):
    """Something secret."""

    name: str
    value: bytes

    @classmethod
    def text(cls, name: str, value: str) -> "Canary":
        return cls(name, value.encode())


class Found(NamedTuple):
    """A canary where it must not be."""

    place: str
    canary: str
    form: str
    around: bytes
    """A little of what stands before it."""


def search(canaries: Iterable[Canary], places: Mapping[str, bytes]) -> list[Found]:
    """Every canary that is in any place, once a form and place."""
    needles = {needle: (canary.name, form) for canary in canaries for form, needle in forms(canary.value)}
    return [
        Found(place, name, form, content[max(0, at - 80) : at])
        for place, content in places.items()
        for needle, (name, form) in needles.items()
        if (at := content.find(needle)) >= 0
    ]


def forms(value: bytes) -> Iterator[tuple[str, bytes]]:
    """What to look for: the value as it is and encoded, whole and in parts, each with a name. Nothing twice."""
    assert len(value) >= _SHORTEST, f"{value!r} may be anywhere by chance"
    seen: set[bytes] = set()
    for part, piece in _parts(value):
        for name, encoded in _encodings(piece):
            if encoded not in seen:
                seen.add(encoded)
                yield f"{part}{name}", encoded


def _parts(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield "", value
    if len(value) >= _LONG:
        yield "the middle, ", value[10 : 10 + _PART]
        yield "the end, ", value[-_PART:]


def _encodings(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield "raw", value
    for alignment in range(3):
        for name, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
            yield f"{name} at {alignment}", _inner_base64(encode(b"\0" * alignment + value), alignment, len(value))
    digits = value.hex()
    yield "hex", digits.encode()
    yield "HEX", digits.upper().encode()
    yield "spaced hex", value.hex(" ").encode()
    yield "escaped bytes", "".join(f"\\x{byte:02x}" for byte in value).encode()
    yield "percent-encoded whole", "".join(f"%{byte:02X}" for byte in value).encode()
    yield "percent-encoded whole, lower", "".join(f"%{byte:02x}" for byte in value).encode()
    yield "percent-encoded", quote(value, safe="").encode()
    yield "form-encoded", quote_plus(value).encode()
    yield "Python", repr(value)[2:-1].encode()
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return
    yield "JSON", json.dumps(text)[1:-1].encode()
    yield "HTML", html.escape(text).encode()
    yield "UTF-16", text.encode("utf-16-le")


def _inner_base64(encoded: bytes, skipped: int, length: int) -> bytes:
    """The characters that the value alone decides: neither its neighbours' bits nor padding are in them."""
    first = -(-skipped * 8 // 6)
    last = (skipped + length) * 8 // 6
    return encoded[first:last]
