"""What the Redis store asks of the connections below it, whatever the deployment."""

import asyncio
from typing import Any, Protocol


class Commands(Protocol):
    """Sends commands to the server that has a key. What it returns are plain futures: they may be awaited anywhere."""

    def run(self, key: bytes, *arguments: bytes | str | int) -> asyncio.Future[Any]:
        """The reply to a command that concerns ``key``. Raises, or fails with, StoreError."""


class Engine(Commands, Protocol):
    """A deployment of Redis."""

    @property
    def is_connected(self) -> bool:
        """Whether commands can be sent now."""

    def everywhere(self, *arguments: bytes | str | int) -> list[asyncio.Future[Any]]:
        """The replies of each server that is connected to a command about the server itself."""

    async def open(self) -> None:
        """Connect. Raises StoreUnavailable after the first failed attempt, and goes on trying until closed."""

    async def close(self) -> None:
        """Flush, then disconnect."""

    def read(self, key: bytes) -> asyncio.Future[Any]:
        """The value of a key, or None. Raises, or fails with, StoreError."""
