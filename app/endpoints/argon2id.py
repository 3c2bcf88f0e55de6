"""Verifying chosen secrets by argon2id, off the event loop, fairly.

One hash takes tens of milliseconds of CPU and 64 MiB by the library's defaults (RFC 9106 section 4, second choice),
so few run at once and few may wait: a flood of wrong secrets is refused at the door instead of queued.

Rules:
- Addresses take turns: however many attempts one has waiting, another's first attempt is behind at most one of each.
- An IPv6 address counts by its /64, as for failures: else one subscriber would be as many as there are turns.
- What one address, and what all attempts on one stored hash, may have waiting is bounded; so is the whole.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from concurrent.futures import Executor
from functools import partial
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error

from app.protocol.errors import ErrorCode, ProtocolError
from app.ratelimit.failures import network_of

MAX_WAITING = 64
MAX_WAITING_FOR_ONE = 4
"""Attempts of one address on one stored hash that may wait."""
MAX_WAITING_OF_ADDRESS = 8


class _Attempt:
    """An attempt that waits for its turn."""

    __slots__ = ("phc", "secret", "verdict")

    def __init__(self, phc: str, secret: str, verdict: "asyncio.Future[bool]") -> None:
        self.phc = phc
        self.secret = secret
        self.verdict = verdict


class Argon2idVerifier:
    """Verifies on an executor's threads; argon2-cffi releases the GIL while it hashes."""

    def __init__(
        self,
        executor: Executor,
        max_waiting: int = MAX_WAITING,
        max_waiting_for_one: int = MAX_WAITING_FOR_ONE,
        max_waiting_of_address: int = MAX_WAITING_OF_ADDRESS,
        at_once: int = 1,
    ) -> None:
        """``at_once``: how many hashes run at once; the executor has a thread for each."""
        self._executor = executor
        self._max_waiting = max_waiting
        self._max_waiting_for_one = max_waiting_for_one
        self._max_waiting_of_address = max_waiting_of_address
        self._idle = at_once
        self._waiting: Counter[tuple[str | None, str]] = Counter()
        self._of_address: Counter[str | None] = Counter()
        self._queues: OrderedDict[str | None, deque[_Attempt]] = OrderedDict()
        self._hasher = PasswordHasher()

    async def verify(self, phc: str, secret: str, address: str | None = None) -> bool:
        """Whether ``secret`` is the one of ``phc``. Raises ProtocolError (429) if too many are waiting already."""
        if address is not None and ":" in address:
            address = network_of(address)
        one = (address, phc)
        if (
            self._of_address.total() >= self._max_waiting
            or self._waiting[one] >= self._max_waiting_for_one
            or self._of_address[address] >= self._max_waiting_of_address
        ):
            raise ProtocolError(
                ErrorCode.SLOW_DOWN, "too many attempts, try again", reason="argon2id_queue", retry_after_seconds=1
            )
        attempt = _Attempt(phc, secret, asyncio.get_running_loop().create_future())
        self._waiting[one] += 1
        self._of_address[address] += 1
        self._queues.setdefault(address, deque()).append(attempt)
        self._start_next()
        try:
            return await attempt.verdict
        finally:
            _take_off(self._waiting, one)
            _take_off(self._of_address, address)

    def _start_next(self) -> None:
        while self._idle and self._queues:
            address, queue = self._queues.popitem(last=False)
            attempt = queue.popleft()
            if queue:
                self._queues[address] = queue  # behind the other addresses
            if attempt.verdict.done():  # who waited went away
                continue
            self._idle -= 1
            running = asyncio.get_running_loop().run_in_executor(
                self._executor, self._verify, attempt.phc, attempt.secret
            )
            running.add_done_callback(partial(self._finished, attempt))

    def _finished(self, attempt: _Attempt, done: "asyncio.Future[bool]") -> None:
        self._idle += 1
        if not attempt.verdict.done():
            if done.cancelled():
                attempt.verdict.cancel()
            elif (failure := done.exception()) is not None:
                attempt.verdict.set_exception(failure)
            else:
                attempt.verdict.set_result(done.result())
        self._start_next()

    def _verify(self, phc: str, secret: str) -> bool:
        try:
            return self._hasher.verify(phc, secret)
        except (Argon2Error, ValueError):  # ValueError: what is kept is no argon2id string
            return False


def _take_off(counter: "Counter[Any]", key: Any) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
