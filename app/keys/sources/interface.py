"""What every source of ring documents promises. ``tests/keys`` proves it for each of them.

Rules:
- A source carries bytes. What they mean, and whether private parts in them are sealed, is not its business.
- A write happens only if the source still holds what was read: of concurrent writers exactly one succeeds.
- What it cannot do it says: SourceUnreachable when trying again may help, SourceDenied when it will not.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec


class Stored(msgspec.Struct, frozen=True):
    """A document as it was read."""

    body: bytes
    token: bytes
    """Names exactly this content of the source; for the next write."""

    def __repr__(self) -> str:
        return f"Stored({len(self.body)} bytes)"


class KeySource(Protocol):
    """One place that holds one ring document."""

    kind: str
    """``memory``, ``file``, ``secret`` or ``redis``."""
    must_be_sealed: bool
    """Whether private parts must be sealed here, because others can read the place."""
    volatile: bool
    """Whether the place may lose its content while replicas go on with the ring they hold. They then write it
    back, and never go back to an older revision."""
    settle_seconds: float
    """How long a process that finds the source empty gives others to write back what they hold."""

    @property
    def writable(self) -> bool:
        """Whether this process may write, as far as that can be known without trying."""

    def describe(self) -> str:
        """The place in words for messages: no credentials."""

    async def read(self) -> Stored | None:
        """The document; None if there is none. Raises SourceUnreachable or SourceDenied."""

    async def write(self, body: bytes, replaces: Stored | None) -> bool:
        """Write if the source still holds ``replaces`` (None: nothing); False if another was faster.

        Raises SourceUnreachable, and SourceDenied where this process may not write.
        """

    async def watch(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever the document may have changed; runs until cancelled. Polling sources call it
        without comparing, so that a failed read is tried again."""

    async def close(self) -> None:
        """Release connections and threads."""
