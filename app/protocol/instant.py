"""Instants as people and programs write them: RFC 3339 date-times, or Unix seconds."""

import math
import re
from datetime import datetime

_UNIX_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
"""RFC 3339 section 5.6, ``date-time``."""


def parse_instant(text: str) -> int:
    """Whole Unix seconds, rounded up. Raises ValueError with a clause that says what is wrong."""
    if _UNIX_SECONDS.fullmatch(text):
        return math.ceil(float(text))
    if not _RFC_3339.fullmatch(text):
        raise ValueError("is neither an RFC 3339 date-time such as 2026-05-04T12:00:00Z nor Unix seconds")
    try:
        # Python reads no more than six digits of a second, and no lower-case letters.
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.upper()))
        seconds = math.ceil(moment.timestamp())
    except (ValueError, OverflowError):
        raise ValueError("is no date and time of the calendar") from None
    if seconds < 0:
        raise ValueError("is earlier than 1970")
    return seconds
