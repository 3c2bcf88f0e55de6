"""The rollback switches, all at once: with ``TEST_PLAIN=1`` every service and store of the tests takes the plain path.

A test that sets one of them itself is about that switch, and keeps it.
"""

import os

PLAIN_SETTINGS = {
    "FAST_PATH": "off",
    "STORE_BATCHING": "off",
    "CACHE_MAX_ENTRIES": "0",
    "RATE_LIMIT_BACKEND": "memory",
}


def is_plain() -> bool:
    """Whether this run takes the plain path."""
    return os.environ.get("TEST_PLAIN", "") == "1"


def plain_settings() -> dict[str, str]:
    """What every started service is given beneath its own settings: the switches in a plain run, else nothing."""
    return dict(PLAIN_SETTINGS) if is_plain() else {}
