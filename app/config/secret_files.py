"""Secrets that are given as files: mounted Secrets and the like."""

from pathlib import Path
from typing import Final

_MAX_BYTES: Final = 1024 * 1024


def read_secret_file(path: Path) -> str:
    """The secret that a file holds: its text without surrounding white space.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is empty, too large or not UTF-8; the message says which.
    """
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError("holds more than 1 MiB")
    try:
        text = content.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    if not text:
        raise ValueError("is empty")
    return text
