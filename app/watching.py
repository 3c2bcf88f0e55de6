"""Noticing that a file or a folder changed.

Polling, on purpose: kubelet publishes a new version of a mounted ConfigMap or Secret by renaming the ``..data``
symlink of its folder, which an inotify watch on the file never sees; NFS and several overlay file systems deliver no
events at all; and a second of delay is far below what a change takes to reach a mount (up to two minutes). One poll
costs a handful of ``stat`` calls.

Rules:
- A fingerprint never reads content, so it costs the same for large files and reveals nothing.
- A watcher outlives everything: a missing file, an unreadable folder, a failing ``on_change``.
"""

import asyncio
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

_MAX_DEPTH: Final = 4
"""Levels of folders that a fingerprint descends; mounted configuration is flat."""
_MAX_ENTRIES: Final = 10_000
"""Entries that a fingerprint looks at, so that a watched folder cannot stall the process."""
_SETTLE_SECONDS: Final = 0.05
_SETTLE_ATTEMPTS: Final = 20
"""A file that is being written is left alone until two looks agree, at most a second."""


def fingerprint(path: Path) -> bytes:
    """What ``path`` looks like now: 32 bytes that change whenever the content visible under it changes.

    Symlinks are followed, so that a swap of any link on the way counts. A path that cannot be looked at has a
    fingerprint too, and another one as soon as it can be. Never raises OSError.
    """
    digest = hashlib.sha256()
    _add(digest.update, str(path), depth=0, budget=[_MAX_ENTRIES])
    return digest.digest()


def _add(update: Callable[[bytes], None], path: str, depth: int, budget: list[int]) -> None:
    budget[0] -= 1
    if budget[0] < 0:
        return
    try:
        seen = os.stat(path)
        real = os.path.realpath(path)
        # ctime as well as mtime: it alone tells of a repaired permission, and of a rewrite that restored its mtime.
        identity = (real, seen.st_dev, seen.st_ino, seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
        update(repr(identity).encode(errors="surrogateescape"))
        if not os.path.isdir(path) or depth >= _MAX_DEPTH:
            return
        names = sorted(os.listdir(path))
    except OSError as error:
        update(f"{path!r} errno {error.errno}".encode(errors="surrogateescape"))
        return
    for name in names:
        # kubelet's own entries (``..data``, ``..2026_01_01…``) are seen through the links that point into them.
        if not name.startswith(".."):
            _add(update, os.path.join(path, name), depth + 1, budget)


class Watcher:
    """Calls ``on_change`` after what it watches changed since the watcher was made.

    Make the watcher *before* the first read of what it watches: a change between the two is then not missed.

    Args:
        path: A file or folder, or a function that names all that are to be watched just now (a changed answer
            counts as a change).
        on_change: Awaited once for each noticed change, never concurrently with itself.
        interval_seconds: The time between two looks.
        logger: Told of errors of ``on_change``; this module's own if not given.
    """

    def __init__(
        self,
        path: Path | Callable[[], Sequence[Path]],
        on_change: Callable[[], Awaitable[object]],
        interval_seconds: float = 1.0,
        *,
        logger: logging.Logger | None = None,
    ) -> None:
        if isinstance(path, Path):
            only = path
            self._paths: Callable[[], Sequence[Path]] = lambda: (only,)
        else:
            self._paths = path
        self._on_change = on_change
        self._interval_seconds = interval_seconds
        self._logger = logger if logger is not None else logging.getLogger(__name__)
        self._last = self._look()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(self._interval_seconds)
            await self.check()

    async def check(self) -> bool:
        """Look once, and call ``on_change`` if something changed. Returns whether it did."""
        try:
            now = await asyncio.to_thread(self._look)
            if now == self._last:
                return False
            now = await self._settled(now)
            self._last = now
            await self._on_change()
        except Exception:
            self._logger.exception("handling a changed file failed; still watching")
        return True

    def _look(self) -> bytes:
        return b"".join(fingerprint(path) for path in self._paths())

    async def _settled(self, now: bytes) -> bytes:
        for _ in range(_SETTLE_ATTEMPTS):
            await asyncio.sleep(_SETTLE_SECONDS)
            before, now = now, await asyncio.to_thread(self._look)
            if now == before:
                break
        return now
