"""Carries audit events from the event loop to their destination: a bounded queue, and one thread that writes.

Rules:
- Any thread may put an event in, and none ever waits: past :data:`MAX_WAITING` events one more is dropped, and counted.
- The thread sleeps while there is nothing to write, and gathers for :data:`GATHER_SECONDS` before it writes, so that
  a busy service pays one wake-up for many events.
- An event is encoded by who puts it in, in 0.2 µs: encoded on the thread, a twentieth of a second later, its parts have
  left the processor's caches, which cost issuance three times as much as the audit itself.
- Lines are written whole, in the order of the events, a bounded number at a time. A destination that blocks holds the
  thread, never the loop; one that fails costs its events, which are counted as dropped.
- A file is opened again when another has taken its name, so that it can be rotated by renaming.
- :meth:`AuditWriter.close` writes what waits, for a bounded time.
"""

import contextlib
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

logger = logging.getLogger("app.audit")

MAX_WAITING = 20_000
"""Lines that may wait: at some 500 bytes each, 10 MB."""
GATHER_SECONDS = 0.05
CLOSE_SECONDS = 5.0
_AT_ONCE = 256
"""Lines of one write: some 100 kB."""
_FILE_MODE = 0o640


class Destination:
    """Where lines go: a standard stream, or a file that may be rotated by renaming."""

    def __init__(self, descriptor: int | None = None, path: Path | None = None) -> None:
        self._descriptor = descriptor
        self._path = path

    def check(self) -> None:
        """Open the destination. Raises OSError where it cannot be written to."""
        self._open()

    def write(self, lines: bytes) -> None:
        """Write whole lines. Raises OSError."""
        descriptor = self._open()
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def close(self) -> None:
        if self._path is not None and self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._path is not None and self._descriptor is not None and not self._is_current(self._descriptor):
            self.close()
        if self._descriptor is None:
            assert self._path is not None  # noqa: S101 - narrows the type: a stream is always open
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        return self._descriptor

    def _is_current(self, descriptor: int) -> bool:
        assert self._path is not None  # noqa: S101 - as above
        try:
            named = self._path.stat()
        except OSError:
            return False
        opened = os.fstat(descriptor)
        return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def destination(name: str) -> Destination | None:
    """What ``AUDIT_LOG`` names: ``off`` (None), ``stdout``, ``stderr`` or the path of a file."""
    if name == "off":
        return None
    if name == "stdout":
        return Destination(sys.__stdout__.fileno() if sys.__stdout__ is not None else 1)
    if name == "stderr":
        return Destination(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2)
    return Destination(path=Path(name))


class AuditWriter:
    """The queue and its thread, which starts with the first event."""

    def __init__(self, to: Destination, *, on_dropped: Callable[[int], None], max_waiting: int = MAX_WAITING) -> None:
        self._to = to
        self._on_dropped = on_dropped
        self._max_waiting = max_waiting
        self._waiting: deque[bytes] = deque()
        self._wake = threading.Event()
        self._awake = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._encode = msgspec.json.Encoder().encode
        self._failing = False

    def put(self, event: msgspec.Struct) -> None:
        """Take an event for writing; never waits. Any thread may call it."""
        waiting = self._waiting
        if len(waiting) >= self._max_waiting:
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
        except OSError as error:
            self._on_dropped(len(lines))
            if not self._failing:  # said once: a full disk would else fill the log too
                logger.error("audit events cannot be written: %s", error)  # noqa: TRY400 - its traceback says nothing
            self._failing = True
        else:
            if self._failing:
                logger.warning("audit events are written again")
            self._failing = False
