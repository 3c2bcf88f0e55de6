"""Where audit events go: a standard stream, or a file.

Rules:
- A line begins where a line ends: what a failure left half written is ended before the next line, so that it takes no
  other with it. That holds for what an earlier process left in a file, too.
- A file is opened again when another has taken its name, so that it can be rotated by renaming.
"""

import os
import select
import stat
import sys
from pathlib import Path

_FILE_MODE = 0o640
_END = b"\n"


class WriteFailed(Exception):
    """The destination did not take all lines; what it did take are ``lines`` whole ones."""

    def __init__(self, lines: int) -> None:
        super().__init__(f"only {lines} lines were written")
        self.lines = lines


class Destination:
    """Where lines go: a standard stream, or a file that may be rotated by renaming."""

    def __init__(self, descriptor: int | None = None, path: Path | None = None) -> None:
        self._descriptor = descriptor
        self._path = path
        self._torn = False  # whether what was written last does not end a line

    def check(self) -> None:
        """Open the destination. Raises OSError where it cannot be written to."""
        self._open()

    def write(self, lines: bytes) -> None:
        """Write whole lines, behind the end of a line. Raises WriteFailed from the OSError."""
        written, start = 0, b""
        try:
            descriptor = self._open()
            start = _END if self._torn else b""
            rest = memoryview(start + lines)
            while rest:
                count = _write_some(descriptor, rest)
                self._torn = rest[count - 1 : count] != _END
                rest = rest[count:]
                written += count
        except OSError as error:
            raise WriteFailed(lines.count(_END, 0, max(0, written - len(start)))) from error

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
            self._torn = _ends_within_a_line(self._path, self._descriptor)
        return self._descriptor

    def _is_current(self, descriptor: int) -> bool:
        assert self._path is not None  # noqa: S101 - as above
        try:
            named = self._path.stat()
        except OSError:
            return False
        opened = os.fstat(descriptor)
        return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _write_some(descriptor: int, data: memoryview) -> int:
    """Write the beginning of ``data``, at least a byte; how many. Raises OSError."""
    while True:
        try:
            return os.write(descriptor, data)
        except BlockingIOError:  # a stream that another program has set so: what it cannot take now it takes later
            waiting = select.poll()
            waiting.register(descriptor, select.POLLOUT)
            waiting.poll()


def _ends_within_a_line(path: Path, descriptor: int) -> bool:
    """Whether a file that was opened ends within a line: an earlier process was ended, or failed, while it wrote."""
    opened = os.fstat(descriptor)
    if not stat.S_ISREG(opened.st_mode) or opened.st_size == 0:
        return False
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != _END
    except OSError:  # one that may be written and not read
        return False


def destination(name: str) -> Destination | None:
    """What ``AUDIT_LOG`` names: ``off`` (None), ``stdout``, ``stderr`` or the path of a file."""
    if name == "off":
        return None
    if name == "stdout":
        return Destination(sys.__stdout__.fileno() if sys.__stdout__ is not None else 1)
    if name == "stderr":
        return Destination(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2)
    return Destination(path=Path(name))
