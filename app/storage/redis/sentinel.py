"""Redis Sentinel: who the master is, asked whenever a connection to it is made.

Rules:
- All sentinels are asked at once, and the one with the newest configuration is believed: one that lags still names
  the master of before. Who has not answered MORE_SECONDS after the first is not waited for.
- Its word is proven: the server itself must say that it is the master.
"""

import asyncio

from app.storage.interface import StoreError, StoreUnavailable
from app.storage.redis.connecting import Connector
from app.storage.redis.link import RedisLink
from app.storage.redis_options import Address

MORE_SECONDS = 0.2


class SentinelResolver:
    """Resolves to the master of a name."""

    def __init__(self, connector: Connector, sentinels: tuple[Address, ...], master_name: str) -> None:
        self._connector = connector
        self._sentinels = sentinels
        self._master_name = master_name

    async def __call__(self) -> Address:
        """The master's address. Raises StoreUnavailable where no sentinel knows it."""
        asked = {asyncio.create_task(self._ask(sentinel)) for sentinel in self._sentinels}
        waiting = set(asked)
        answers: list[tuple[int, Address]] = []
        reasons: list[str] = []
        try:
            while waiting:
                done, waiting = await asyncio.wait(
                    waiting,
                    timeout=MORE_SECONDS if answers else None,
                    return_when=asyncio.ALL_COMPLETED if answers else asyncio.FIRST_COMPLETED,
                )
                if not done:
                    break
                for task in done:
                    try:
                        answers.append(task.result())
                    except StoreError as error:
                        reasons.append(str(error))
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if not answers:
            raise StoreUnavailable("no sentinel knows the master: " + "; ".join(dict.fromkeys(reasons)))
        return max(answers, key=_epoch)[1]

    async def _ask(self, sentinel: Address) -> tuple[int, Address]:
        """The epoch of a sentinel's configuration, and the master in it."""
        link = await self._connector.connect(sentinel, _nothing)
        try:
            address = await link.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._master_name)
            if not isinstance(address, list) or len(address) != 2 or not address[1].isdigit():
                raise StoreUnavailable("a sentinel does not know the master's name")
            facts = await link.call("SENTINEL", "MASTER", self._master_name)
        finally:
            link.abort(StoreUnavailable("the sentinel has been asked"))
        epoch = dict(zip(facts[::2], facts[1::2], strict=True)).get(b"config-epoch", b"")
        return int(epoch) if epoch.isdigit() else 0, (address[0].decode(), int(address[1]))


def _epoch(answer: tuple[int, Address]) -> int:
    return answer[0]


def _nothing(link: RedisLink) -> None:
    """The connection was ended by whoever made it."""
