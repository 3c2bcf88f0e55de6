"""The only callers of the operating system's random source.

Everything else takes random bytes, or a function that makes them, as a parameter.
"""

import secrets
from collections.abc import Callable

RandomBytes = Callable[[int], bytes]
"""Takes a number of bytes, returns that many random ones."""


def random_bytes(count: int) -> bytes:
    """``count`` bytes from the operating system's cryptographic source."""
    return secrets.token_bytes(count)
