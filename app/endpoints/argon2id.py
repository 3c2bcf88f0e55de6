"""Verifying chosen secrets by argon2id, off the event loop.

One hash takes tens of milliseconds of CPU and 64 MiB by the library's defaults (RFC 9106 section 4, second choice),
so few run at once and few may wait: a flood of wrong secrets is refused at the door instead of queued.
"""

import asyncio
from collections import Counter
from concurrent.futures import Executor

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error

from app.protocol.errors import ErrorCode, ProtocolError

MAX_WAITING = 64
MAX_WAITING_FOR_ONE = 4
"""Attempts on one stored hash that may wait: a flood of guesses at one client takes no place of the others."""


class Argon2idVerifier:
    """Verifies on an executor's threads; argon2-cffi releases the GIL while it hashes."""

    def __init__(
        self, executor: Executor, max_waiting: int = MAX_WAITING, max_waiting_for_one: int = MAX_WAITING_FOR_ONE
    ) -> None:
        self._executor = executor
        self._max_waiting = max_waiting
        self._max_waiting_for_one = max_waiting_for_one
        self._waiting: Counter[str] = Counter()
        self._hasher = PasswordHasher()

    async def verify(self, phc: str, secret: str) -> bool:
        """Whether ``secret`` is the one of ``phc``. Raises ProtocolError (429) if too many are waiting already."""
        if self._waiting.total() >= self._max_waiting or self._waiting[phc] >= self._max_waiting_for_one:
            raise ProtocolError(
                ErrorCode.SLOW_DOWN, "too many attempts, try again", reason="argon2id_queue", retry_after_seconds=1
            )
        self._waiting[phc] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._verify, phc, secret)
        finally:
            self._waiting[phc] -= 1
            if not self._waiting[phc]:
                del self._waiting[phc]

    def _verify(self, phc: str, secret: str) -> bool:
        try:
            return self._hasher.verify(phc, secret)
        except (Argon2Error, ValueError):  # ValueError: what is kept is no argon2id string
            return False
