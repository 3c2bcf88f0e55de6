"""The caller's trace, as W3C Trace Context's ``traceparent`` field names it (section 3.2).

Rules: a field that breaks the format names no trace; a version that is not known yet is read as far as version 00 goes.
"""

import re

_TRACEPARENT = re.compile(
    rb"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<rest>-.*)?"
)


def trace_id(traceparent: bytes | None) -> str | None:
    """The trace's id, 32 lower-case hexadecimal digits; None without a valid ``traceparent``."""
    if traceparent is None:
        return None
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None or (match["version"] == b"00" and match["rest"] is not None):
        return None
    return match["trace"].decode()
