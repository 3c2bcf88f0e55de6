"""Verifying chosen secrets by argon2id, off the event loop, fairly.

One hash takes tens of milliseconds of CPU and 64 MiB by the library's defaults (RFC 9106 section 4, second choice),
so few run at once and few may wait (:mod:`app.endpoints.waiting_room`): a flood of wrong secrets is refused at the door
instead of queued.

An IPv6 address counts by its /64, as for failures: else one subscriber would be as many as there are turns.
"""

import asyncio
from concurrent.futures import Executor
from functools import partial

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error

from app.endpoints.waiting_room import PLACES, Attempt, Places, WaitingRoom
from app.protocol.networks import network_of


class Argon2idVerifier:
    """Verifies on an executor's threads; argon2-cffi releases the GIL while it hashes."""

    def __init__(self, executor: Executor, places: Places = PLACES, at_once: int = 1) -> None:
        """``at_once``: how many hashes run at once; the executor has a thread for each."""
        self._executor = executor
        self._idle = at_once
        self._room = WaitingRoom(places)
        self._hasher = PasswordHasher()

    async def verify(
        self, phc: str, secret: str, address: str | None = None, known: bool = False, failures: int = 0
    ) -> bool:
        """Whether ``secret`` is the one of ``phc``. Raises NoPlace if too many are waiting already.

        ``known`` and ``failures`` decide who goes first (:meth:`~app.endpoints.waiting_room.WaitingRoom.enter`).
        """
        attempt = self._room.enter((network_of(address), phc), secret, known=known, failures=failures)
        self._start_next()
        try:
            return await attempt.verdict
        finally:
            self._room.leave(attempt)

    def _start_next(self) -> None:
        while self._idle and (attempt := self._room.take()) is not None:
            self._idle -= 1
            running = asyncio.get_running_loop().run_in_executor(
                self._executor, self._verify, attempt.pair[1], attempt.secret
            )
            running.add_done_callback(partial(self._finished, attempt))

    def _finished(self, attempt: Attempt, done: "asyncio.Future[bool]") -> None:
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
