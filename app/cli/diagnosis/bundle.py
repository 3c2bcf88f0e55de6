"""The support file: what was seen, as a tar archive that may be handed on.

Rules:
- Nothing secret: settings as ``config check`` shows them, and every text searched once more for what looks like a
  secret. No log, no token's record, no clients file, no key.
- Nobody but its owner may read it, and a file that is there already is never written over.
"""

import io
import os
import platform
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from app.observability.redaction import redact_text

_ONLY_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = "auth-service-doctor"


def write_bundle(path: Path, texts: Mapping[str, str], at: float) -> None:
    """Write a gzipped tar of these texts by their names. Raises OSError, FileExistsError included."""
    with os.fdopen(os.open(path, _ONLY_NEW, 0o600), "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in texts.items():
            content = redact_text(text).encode()
            entry = tarfile.TarInfo(f"{_FOLDER}/{name}")
            entry.size, entry.mtime, entry.mode = len(content), int(at), 0o600
            archive.addfile(entry, io.BytesIO(content))


def about_this_machine(version: str, distributions: Iterable[tuple[str, str]]) -> str:
    """Releases of everything that runs here."""
    lines = [f"auth-service {version}", f"python {platform.python_version()}", platform.platform()]
    return "\n".join([*lines, *(f"{name} {release}" for name, release in sorted(distributions))]) + "\n"
