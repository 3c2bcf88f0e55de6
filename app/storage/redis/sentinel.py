"""Redis Sentinel: who the master is, asked whenever a connection to it is made.

Rules:
- Any sentinel's word is taken, and proven: the server itself must say that it is the master.
- A sentinel that does not answer is asked last the next time.
"""

from app.storage.interface import StoreError, StoreUnavailable
from app.storage.redis.connecting import Connector
from app.storage.redis.link import RedisLink
from app.storage.redis_options import Address


class SentinelResolver:
    """Resolves to the master of a name."""

    def __init__(self, connector: Connector, sentinels: tuple[Address, ...], master_name: str) -> None:
        self._connector = connector
        self._sentinels = list(sentinels)
        self._master_name = master_name

    async def __call__(self) -> Address:
        """The master's address. Raises StoreUnavailable where no sentinel knows it."""
        reasons: list[str] = []
        for sentinel in tuple(self._sentinels):
            try:
                return await self._ask(sentinel)
            except StoreError as error:
                reasons.append(str(error))
                self._sentinels.remove(sentinel)
                self._sentinels.append(sentinel)
        raise StoreUnavailable("no sentinel knows the master: " + "; ".join(dict.fromkeys(reasons)))

    async def _ask(self, sentinel: Address) -> Address:
        link = await self._connector.connect(sentinel, _nothing)
        try:
            answer = await link.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._master_name)
        finally:
            link.abort(StoreUnavailable("the sentinel has been asked"))
        if not isinstance(answer, list) or len(answer) != 2 or not answer[1].isdigit():
            raise StoreUnavailable("a sentinel does not know the master's name")
        return answer[0].decode(), int(answer[1])


def _nothing(link: RedisLink) -> None:
    """The connection was ended by whoever made it."""
