"""How the ``redis:`` source reaches Redis; apart from the source, so that naming one does not load the library."""

from collections.abc import Callable
from enum import Enum
from pathlib import Path

import msgspec

Credentials = Callable[[], tuple[str | None, str | None]]
"""Returns user name and password, read anew for every connection."""


class Topology(Enum):
    """What the hosts of an address are."""

    SINGLE = "the server"
    SENTINEL = "sentinels that know the master"
    CLUSTER = "some of the cluster's nodes"


class RedisAddress(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach Redis."""

    hosts: tuple[tuple[str, int], ...]
    """Names or addresses, with ports."""
    key_prefix: str
    topology: Topology = Topology.SINGLE
    master_name: str = ""
    """What the sentinels call the master."""
    database: int = 0
    tls: bool = False
    credentials: Credentials | None = None
    ca_file: Path | None = None
    """For TLS; None for the system's authorities."""
    cert_file: Path | None = None
    key_file: Path | None = None

    def __repr__(self) -> str:
        return "RedisAddress(…)"
