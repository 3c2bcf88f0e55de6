"""Client ids and secrets that the service makes up.

A generated secret is ``ascs_`` and 256 random bits in base64url: the prefix lets secret scanners find leaks, and says
that a fast hash is enough.
"""

from typing import Final

from app.protocol.base64url import base64url
from app.protocol.client_auth import GENERATED_PREFIX, sha256_secret
from app.randomness import RandomBytes

_SECRET_BYTES: Final = 32
_ID_BYTES: Final = 8


def new_secret(random_bytes: RandomBytes) -> str:
    return GENERATED_PREFIX + base64url(random_bytes(_SECRET_BYTES)).decode("ascii")


def new_client_id(random_bytes: RandomBytes) -> str:
    """An id of 64 random bits: unlikely to be taken, not meant to be secret."""
    return f"client-{random_bytes(_ID_BYTES).hex()}"


def sha256_entry(secret: str) -> str:
    """The ``hash`` of a clients file's secret."""
    return f"sha256:{base64url(sha256_secret(secret)).decode('ascii')}"
