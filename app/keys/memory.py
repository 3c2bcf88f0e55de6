"""``memory:``, the source that lives and dies with the process: for development and tests.

Rules: private keys never leave the process. A restart makes a new ring, and tokens of the old one are then unknown.
"""

import asyncio
import hashlib
from collections.abc import Callable

from app.keys.sources.interface import Stored


class MemorySource:
    """One document in memory. Use it from one event loop."""

    kind = "memory"
    must_be_sealed = False
    volatile = False
    settle_seconds = 0.0
    writable = True

    def __init__(self) -> None:
        self._stored: Stored | None = None
        self._changed = asyncio.Event()

    def describe(self) -> str:
        return "memory:"

    async def read(self) -> Stored | None:
        return self._stored

    async def write(self, body: bytes, replaces: Stored | None) -> bool:
        held = self._stored.token if self._stored else None
        if held != (replaces.token if replaces else None):
            return False
        self._stored = Stored(body, hashlib.sha256(body).digest())
        self._changed.set()
        return True

    async def watch(self, changed: Callable[[], None]) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            changed()

    async def close(self) -> None:
        self._stored = None
