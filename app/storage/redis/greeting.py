"""What a server must be before it is asked anything: the master, of a known release, and one that forgets nothing.

Rules:
- Looked at on every new connection: who answers there may be another than last time.
- Only INFO and ROLE are asked, which managed services leave open where CONFIG is closed.
"""

from collections.abc import Awaitable, Callable

import msgspec

from app.storage.interface import StoreUnavailable
from app.storage.redis.errors import StoreRefused
from app.storage.redis.link import RedisLink

OLDEST_RELEASE = (6, 2)
"""The first with GETDEL."""

OLDEST_CLUSTER_RELEASE = (7, 0)

Greet = Callable[[RedisLink], Awaitable[None]]
"""A step at the beginning of a connection. Raises StoreError where it must not be used."""


class ServerMemory(msgspec.Struct, frozen=True):
    """How full a server is."""

    used_bytes: int
    max_bytes: int
    """0 for no limit of its own."""
    evicted_keys: int

    @property
    def fill(self) -> float:
        """The part of its limit that is used; 0 without a limit."""
        return self.used_bytes / self.max_bytes if self.max_bytes else 0.0


async def information(link: RedisLink, section: str) -> dict[str, str]:
    """A section of INFO. Raises StoreError."""
    text: bytes = await link.call("INFO", section)
    return read_information(text)


def read_information(text: bytes) -> dict[str, str]:
    """INFO's lines as names and values."""
    lines = text.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def read_memory(text: bytes) -> ServerMemory:
    """How full a server is, from its INFO sections ``memory`` and ``stats``."""
    told = read_information(text)
    return ServerMemory(
        used_bytes=int(told.get("used_memory", "0")),
        max_bytes=int(told.get("maxmemory", "0")),
        evicted_keys=int(told.get("evicted_keys", "0")),
    )


class MasterGreeting:
    """Checks a server, then lets others speak with it."""

    def __init__(self, *, oldest_release: tuple[int, int], allow_eviction: bool, then: Greet) -> None:
        """``allow_eviction`` accepts a server that may drop revocations when it is full."""
        self._oldest_release = oldest_release
        self._allow_eviction = allow_eviction
        self._then = then

    async def __call__(self, link: RedisLink) -> None:
        role = await link.call("ROLE")
        if role[0] != b"master":
            raise StoreUnavailable("Redis is a replica; the service writes and needs the master")
        server, memory = await information(link, "server"), await information(link, "memory")
        release = server.get("redis_version", "")
        if _release(release) < self._oldest_release:
            oldest = ".".join(map(str, self._oldest_release))
            raise StoreRefused(f"Redis is {release[:20] or 'of unknown release'}; the oldest supported is {oldest}")
        policy = memory.get("maxmemory_policy", "noeviction")
        if policy != "noeviction" and not self._allow_eviction:
            raise StoreRefused(
                f"Redis' maxmemory-policy is {policy[:20]}: it would drop revocations when it is full; only noeviction "
                "is accepted"
            )
        await self._then(link)


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
