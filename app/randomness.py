"""The only callers of the operating system's random source.

Everything else takes random bytes, or a function that makes them, as a parameter.
"""

import os
from collections.abc import Callable

RandomBytes = Callable[[int], bytes]
"""Takes a number of bytes, returns that many random ones."""

random_bytes: RandomBytes = os.urandom
"""Bytes from the operating system's cryptographic source: what ``secrets.token_bytes`` calls, called twice a token."""
