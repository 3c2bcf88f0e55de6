"""When the configured TLS certificates end, looked at every minute: files are replaced while the process runs."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography import x509

logger = logging.getLogger("app.service")

LOOK_SECONDS = 60.0


async def watch_certificates(files: Mapping[str, Path], tell: Callable[[Mapping[str, float]], None]) -> None:
    """Tell the ends of the certificates, in Unix seconds by use, until cancelled."""
    while files:
        tell({use: end for use, path in files.items() if (end := _end_of(use, path)) is not None})
        await asyncio.sleep(LOOK_SECONDS)


def _end_of(use: str, path: Path) -> float | None:
    try:
        return first_end(path.read_bytes())
    except (OSError, ValueError) as error:  # the last end that was known stays in the metric, and its alert counts on
        logger.warning("the certificate of %s cannot be read: %s", use, error)
        return None


def first_end(pem: bytes) -> float:
    """The first end of validity (RFC 5280 section 4.1.2.5) in a PEM file, Unix seconds. Raises ValueError."""
    return min(each.not_valid_after_utc.timestamp() for each in x509.load_pem_x509_certificates(pem))
