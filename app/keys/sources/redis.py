"""``redis:``, a sealed ring document under one key of Redis.

Rules:
- Private parts are always sealed: Redis, its replicas, its backups and its operators never see them.
- Writes compare and set in one script, which runs alone in Redis (EVAL is atomic).
- Redis may lose everything (``volatile``): a process that finds it empty or older writes back what it holds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from redis import exceptions

from app.keys.errors import SourceDenied, SourceUnreachable
from app.keys.sources.interface import Stored
from app.keys.sources.redis_address import RedisAddress
from app.keys.sources.redis_client import TIMEOUT_SECONDS, Client, MasterUnknown, RedisClients

POLL_SECONDS = 2.0
_COMPARE_AND_SET = """
local held = redis.call('GET', KEYS[1])
if (held or '') == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2])
  return 1
end
return 0
"""


class RedisSource:
    """One document under ``prefix{keyring}document``; the tag is the Redis Cluster slot."""

    kind = "redis"
    must_be_sealed = True
    volatile = True
    writable = True

    def __init__(self, address: RedisAddress, *, poll_seconds: float = POLL_SECONDS) -> None:
        self.key = f"{address.key_prefix}{{keyring}}document"
        self._poll_seconds = poll_seconds
        self.settle_seconds = 2 * poll_seconds
        self._clients = RedisClients(address)

    def describe(self) -> str:
        return f"redis: ({self.key})"

    async def read(self) -> Stored | None:
        body = await self._ask(lambda client: client.get(self.key))
        return Stored(body, body) if body else None

    async def write(self, body: bytes, replaces: Stored | None) -> bool:
        before = replaces.body if replaces else b""
        answer = await self._ask(lambda client: client.eval(_COMPARE_AND_SET, 1, self.key, before, body))
        return bool(answer)

    async def watch(self, changed: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            changed()

    async def close(self) -> None:
        await self._clients.close()

    async def _ask(self, question: Callable[[Client], object]) -> Any:
        try:
            async with asyncio.timeout(2 * TIMEOUT_SECONDS):
                return await cast("Awaitable[Any]", question(await self._clients.current()))
        except (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError) as error:
            raise SourceDenied(f"{self.describe()} refuses: {_word(error)}") from None
        except exceptions.ReadOnlyError:
            # A replica after a failover: the client finds the new primary on its next connection.
            raise SourceUnreachable(f"{self.describe()} is a read-only replica") from None
        except (exceptions.RedisError, exceptions.RedisClusterException, OSError, TimeoutError) as error:
            raise SourceUnreachable(f"{self.describe()} cannot be reached: {_word(error)}") from None


def _word(error: BaseException) -> str:
    """What happened, without the address or whatever else a message of the library may quote."""
    if isinstance(error, TimeoutError | exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(error, MasterUnknown):
        return "no sentinel knows the master"
    if isinstance(error, exceptions.ConnectionError | exceptions.RedisClusterException | OSError):
        return "no connection"
    return type(error).__name__
