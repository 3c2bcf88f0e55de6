"""``file:``, a ring document in a file or a mounted folder.

Rules:
- Reading follows symlinks, as kubelet's mounts need; writing through one is refused, because it would replace
  kubelet's link and not the Secret.
- A write is a rename of a complete, synchronised file, so that a reader never sees half a document. Writers exclude
  each other with a lock on a file beside it.
- A document that everybody on the machine may write is refused: whoever can write it can sign tokens.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.keys.document import MAX_BYTES
from app.keys.errors import SourceDenied, SourceUnreachable
from app.keys.sources.interface import Stored
from app.watching import Watcher

DOCUMENT_NAME = "keyring.json"
"""The document's name in a folder, and its key in a Kubernetes Secret."""
LOCK_SECONDS = 10.0
"""How long a writer waits for the lock; another holds it for milliseconds."""
_LOCK_PAUSE_SECONDS = 0.02
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


class FileSource:
    """One document in one file."""

    kind = "file"
    must_be_sealed = False
    volatile = False
    settle_seconds = 0.0

    def __init__(self, path: Path, *, interval_seconds: float = 1.0) -> None:
        """``path``: the document, or a folder that has or will have one. ``interval_seconds``: between two looks."""
        self.path = path / DOCUMENT_NAME if path.is_dir() else path
        self._interval_seconds = interval_seconds
        self._changed: Callable[[], None] | None = None
        # Made before the first read, so that no change falls between the two.
        self._watcher = Watcher(self.path, self._notice, interval_seconds)

    @property
    def writable(self) -> bool:
        return not self.path.is_symlink() and os.access(self.path.parent, os.W_OK)

    def describe(self) -> str:
        return f"file://{self.path}"

    async def read(self) -> Stored | None:
        return await asyncio.to_thread(self._read)

    async def write(self, body: bytes, replaces: Stored | None) -> bool:
        for _ in range(int(LOCK_SECONDS / _LOCK_PAUSE_SECONDS)):
            written = await asyncio.to_thread(self._try_to_write, body, replaces)
            if written is not None:
                return written
            await asyncio.sleep(_LOCK_PAUSE_SECONDS)
        raise SourceUnreachable(f"{self.describe()}: another process has held the lock for {LOCK_SECONDS:g} seconds")

    async def watch(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        await self._watcher.run()

    async def close(self) -> None:
        self._changed = None

    async def _notice(self) -> None:
        if self._changed is not None:
            self._changed()

    def _read(self) -> Stored | None:
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
                    raise SourceDenied(f"{self.describe()} may be written by everybody; take that away: chmod o-w")
                body = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._translated(error, "read") from None
        return Stored(body, hashlib.sha256(body).digest())

    def _try_to_write(self, body: bytes, replaces: Stored | None) -> bool | None:
        """None while another process writes."""
        if self.path.is_symlink():
            raise SourceDenied(f"{self.describe()} is a symlink (a mounted Secret?); write to what it is mounted from")
        try:
            with _locked(self.path.with_name(f".{self.path.name}.lock")) as held:
                if not held:
                    return None
                now = self._read()
                if (now.token if now else None) != (replaces.token if replaces else None):
                    return False
                _replace(self.path, body)
                return True
        except OSError as error:
            raise self._translated(error, "written") from None

    def _translated(self, error: OSError, done: str) -> SourceDenied | SourceUnreachable:
        message = f"{self.describe()} cannot be {done}: {os.strerror(error.errno or 0)}"
        if error.errno in _DENIED or isinstance(error, IsADirectoryError | NotADirectoryError | FileNotFoundError):
            return SourceDenied(message)
        return SourceUnreachable(message)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether the lock could be had; it is released at the end, and by the kernel if the process dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _keep_owner(descriptor, path.parent)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _replace(path: Path, body: bytes) -> None:
    """Put a complete new file in the place of the old one, with its mode and owner."""
    temporary = path.with_name(f".{path.name}.new")
    model = path if path.exists() else path.parent
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            if model is path:
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            _keep_owner(file.fileno(), model)
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _keep_owner(descriptor: int, model: Path) -> None:
    """Written by root, say in `docker exec -u 0`, the file still belongs to whom the service runs as."""
    if os.geteuid() == 0:
        seen = model.stat()
        os.fchown(descriptor, seen.st_uid, seen.st_gid)
