"""Names become addresses in threads of their own: the system's resolver cannot be told to stop, and may hang.

Rules:
- Nobody else's threads are used: keys, clients and connections to Redis go on while names hang.
- A thread keeps its place until its look-up is done, whether anybody still waits for it or not.
- Where all places are taken nothing is looked up and nobody waits: it fails at once.
- The threads are daemons: a process that ends waits for none of them.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""(host, port) → the addresses of a host, in the order in which they are to be tried. Raises OSError, LookUpFailed."""

PLACES = 16
"""Twice as many as there are fetches at a time: some may hang on behind fetches that have given up."""
LOOK_UP_SECONDS = 4.0
"""Of the five that a fetch may take."""


class LookUpFailed(Exception):
    """A name was not looked up; the message says why, without the name."""


class SystemNames:
    """What the system's resolver knows. It also reads forms such as ``127.1`` and ``0x7f000001``. One a process."""

    def __init__(
        self,
        look_up: Callable[..., Sequence[Any]] = socket.getaddrinfo,
        places: int = PLACES,
        seconds: float = LOOK_UP_SECONDS,
    ) -> None:
        """``look_up`` answers like :func:`socket.getaddrinfo`; ``seconds`` is how long it is waited for."""
        self._look_up = look_up
        self._places = places
        self._free = threading.Semaphore(places)
        self._seconds = seconds

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of a host. Raises OSError, UnicodeError where it has none; LookUpFailed."""
        if not self._free.acquire(blocking=False):
            raise LookUpFailed(f"all {self._places} places for looking up names are taken by others that hang")
        answer: asyncio.Future[Sequence[Any]] = asyncio.get_running_loop().create_future()
        thread = threading.Thread(target=self._run, args=(host, port, answer), name="outgoing-name", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system gives no thread
            self._free.release()
            raise LookUpFailed("there is no thread to look up a name in") from None
        try:
            async with asyncio.timeout(self._seconds):
                found = await answer
        except TimeoutError:
            raise LookUpFailed(f"the name was not looked up within {self._seconds:g} s") from None
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def _run(self, host: str, port: int, answer: "asyncio.Future[Sequence[Any]]") -> None:
        found: Sequence[Any] = ()
        failure: Exception | None = None
        try:
            found = self._look_up(host, port, type=socket.SOCK_STREAM)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            failure = error
        finally:
            self._free.release()
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            answer.get_loop().call_soon_threadsafe(_settle, answer, found, failure)


def _settle(answer: "asyncio.Future[Sequence[Any]]", found: Sequence[Any], failure: Exception | None) -> None:
    if answer.done():
        return  # who waited has given up
    if failure is None:
        answer.set_result(found)
    else:
        answer.set_exception(failure)
