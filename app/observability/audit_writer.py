"""Carries audit events from the event loop to their destination: a bounded queue, and one thread that writes.

Rules:
- Any thread may put an event in, and none ever waits: past :data:`MAX_WAITING` events one more is dropped, and counted.
- Some events are worth more than others (:class:`Worth`), and find room where those do not: no flood of refusals, which
  anybody can cause, drops the word of a key that was revoked.
- The thread sleeps while there is nothing to write, and gathers for :data:`GATHER_SECONDS` before it writes, so that
  a busy service pays one wake-up for many events.
- An event is encoded by who puts it in, in 0.2 µs: encoded on the thread, a twentieth of a second later, its parts have
  left the processor's caches, which cost issuance three times as much as the audit itself.
- Lines are written whole, in the order of the events, a bounded number at a time. A destination that blocks holds the
  thread, never the loop; one that fails costs the events that it did not take whole, which are counted as dropped.
- :meth:`AuditWriter.close` writes what waits, for a bounded time.
"""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from enum import IntEnum

import msgspec

from app.observability.audit_destination import Destination, WriteFailed

logger = logging.getLogger("app.audit")

MAX_WAITING = 20_000
"""Lines that may wait: at some 500 bytes each, 10 MB."""
RESERVE = 2_000
"""Lines more for each step of :class:`Worth`."""
GATHER_SECONDS = 0.05
CLOSE_SECONDS = 5.0
_AT_ONCE = 256
"""Lines of one write: some 100 kB."""


class Worth(IntEnum):
    """Which events find room where others do not, from the least on."""

    USUAL = 0
    """What clients get and are refused: as much as they ask."""
    TOKENS_ENDED = 1
    """Revocations, and reuse: clients cause them too, and so they leave room for the next."""
    OPERATORS = 2
    """Keys, and what operators change."""


class AuditWriter:
    """The queue and its thread, which starts with the first event."""

    def __init__(
        self,
        to: Destination,
        *,
        on_dropped: Callable[[int], None],
        max_waiting: int = MAX_WAITING,
        reserve: int = RESERVE,
    ) -> None:
        """``max_waiting`` lines of usual worth may wait, and ``reserve`` more for each step of worth."""
        self._to = to
        self._on_dropped = on_dropped
        self._max_waiting = max_waiting
        self._bounds = {worth: max_waiting + worth * reserve for worth in Worth}
        self._waiting: deque[bytes] = deque()
        self._wake = threading.Event()
        self._awake = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._encode = msgspec.json.Encoder().encode
        self._failing = False

    @property
    def crowded(self) -> bool:
        """Whether half of the places are taken: who has many events to tell, and time, should wait."""
        return len(self._waiting) > self._max_waiting // 2

    def put(self, event: msgspec.Struct, worth: Worth = Worth.USUAL) -> None:
        """Take an event for writing; never waits. Any thread may call it."""
        waiting = self._waiting
        if len(waiting) >= self._max_waiting and len(waiting) >= self._bounds[worth]:
            self._on_dropped(1)
            return
        try:
            waiting.append(self._encode(event))
        except (msgspec.MsgspecError, ValueError) as error:
            logger.error("an audit event cannot be written: %s", error)  # noqa: TRY400 - its traceback says nothing
            self._on_dropped(1)
            return
        if not self._awake:
            # The thread clears it before it looks into the queue: an event that comes between is seen or wakes it.
            self._awake = True
            self._start()
            self._wake.set()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Write what waits, for at most ``seconds``; what is left then is counted as dropped."""
        if self._thread is not None:
            self._closing.set()
            self._wake.set()
            self._thread.join(seconds)
            if self._thread.is_alive():
                left = len(self._waiting)
                logger.error("%d audit events were not written: the destination does not take them", left)
                self._on_dropped(left)
                return
            self._thread = None
            self._closing.clear()
        self._to.close()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if not self._closing.is_set():
                self._closing.wait(GATHER_SECONDS)
            closing = self._closing.is_set()
            self._wake.clear()
            self._awake = False
            while self._waiting:
                self._write(self._take())
            if closing and not self._waiting:
                return

    def _take(self) -> list[bytes]:
        taken: list[bytes] = []
        with contextlib.suppress(IndexError):
            while len(taken) < _AT_ONCE:
                taken.append(self._waiting.popleft())
        return taken

    def _write(self, lines: Sequence[bytes]) -> None:
        try:
            self._to.write(b"\n".join((*lines, b"")))
        except WriteFailed as failure:
            self._on_dropped(len(lines) - failure.lines)
            if not self._failing:  # said once: a full disk would else fill the log too
                logger.error("audit events cannot be written: %s", failure.__cause__)  # noqa: TRY400 - its traceback says no more
            self._failing = True
        else:
            if self._failing:
                logger.warning("audit events are written again")
            self._failing = False
