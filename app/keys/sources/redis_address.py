"""How the ``redis:`` source reaches Redis; apart from the source, so that naming one does not load the library."""

from collections.abc import Callable
from pathlib import Path

import msgspec

Credentials = Callable[[], tuple[str | None, str | None]]
"""Returns user name and password, read anew for every connection."""


class RedisAddress(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach Redis. The URL's own credentials hold where ``credentials`` is None."""

    url: str
    """``redis://`` or ``rediss://``."""
    key_prefix: str
    credentials: Credentials | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def __repr__(self) -> str:
        return "RedisAddress(…)"
