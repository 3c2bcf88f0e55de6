"""The caller's trace, as W3C Trace Context's ``traceparent`` field names it (section 3.2).

Rules: a field that breaks the format names no trace; a version that is not known yet is read as far as version 00 goes.
"""

import re

import msgspec

_TRACEPARENT = re.compile(
    rb"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<parent>(?!0{16})[0-9a-f]{16})"
    rb"-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?"
)
_SAMPLED = 0x01


class TraceParent(msgspec.Struct, frozen=True, gc=False):
    """What the caller says of its trace."""

    trace_id: str
    """32 lower-case hexadecimal digits."""
    parent_id: str
    """Of the caller's span: 16 lower-case hexadecimal digits."""
    sampled: bool
    """Whether the caller records its part (section 3.2.2.5.1)."""


def parse_traceparent(field: bytes | None) -> TraceParent | None:
    """The caller's trace; None without a valid field."""
    if field is None:
        return None
    match = _TRACEPARENT.fullmatch(field)
    if match is None or (match["version"] == b"00" and match["rest"] is not None):
        return None
    return TraceParent(match["trace"].decode(), match["parent"].decode(), bool(int(match["flags"], 16) & _SAMPLED))


def trace_id(field: bytes | None) -> str | None:
    """The trace's id, 32 lower-case hexadecimal digits; None without a valid ``traceparent``."""
    parent = parse_traceparent(field)
    return None if parent is None else parent.trace_id


def sampled_traceparent(trace_id: str, span_id: str) -> str:
    """The field that makes a recorded span the parent of what is asked of others."""
    return f"00-{trace_id}-{span_id}-01"
