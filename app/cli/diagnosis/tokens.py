"""What is known of a token by its digest: its record in the store, and its audit events where they are in a file.

The token itself is never needed, taken or shown.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from app.cli.key_table import instant
from app.composition.token_trace import TokenRecord
from app.model.tokens import RefreshTokenRecord
from app.observability.redaction import redact_text

DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)
MAX_READ_BYTES = 256 * 1024 * 1024
"""Of an audit file, its last part."""
MAX_EVENTS = 100


def looks_like_a_secret(text: str) -> bool:
    """Whether a word may be a token, so that nothing of it is repeated."""
    return len(text) > 40 or redact_text(text) != text


def audit_events(path: Path, digest: str) -> list[dict[str, Any]]:
    """The last events of a token in an audit file, the newest last. Raises OSError."""
    found: list[dict[str, Any]] = []
    for line in _last_lines(path):
        if digest.encode() not in line:
            continue
        try:
            event = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if f"sha256:{digest}" in (event.get("token_hash"), event.get("refresh_token_hash")):
            found.append(event)
    return found[-MAX_EVENTS:]


def _last_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - MAX_READ_BYTES))
        yield from file


def facts(found: TokenRecord, now: float) -> Mapping[str, str]:
    """A record's members as people read them."""
    record = found.record
    told = {
        "kind": f"opaque {found.kind} token",
        "state": _state(found, now),
        "client": record.client_id,
        "subject": record.subject,
        "scope": record.scope or "(none)",
        "audience": " ".join(record.audience) or "(none)",
        "issued": instant(record.issued_at),
        "expires": instant(record.expires_at),
    }
    if isinstance(record, RefreshTokenRecord):
        told["family ends"] = instant(record.family_expires_at)
        told["used"] = "not yet" if record.used_at is None else instant(record.used_at)
    else:
        told["family"] = "none" if record.family is None else "ends with its refresh token"
    return told


def _state(found: TokenRecord, now: float) -> str:
    if found.alive:
        return "active"
    if found.record.expires_at <= now:
        return "expired"
    if isinstance(found.record, RefreshTokenRecord) and found.record.used_at is not None:
        return "used: its successor was issued then"
    return "ended with many others (a client's, a subject's, or everything before an instant)"


def event_line(event: Mapping[str, Any]) -> str:
    """One audit event."""
    rest = ("client_id", "address", "grant_type", "reason", "request_id")
    shown = " ".join(f"{name}={event[name]}" for name in rest if event.get(name) is not None)
    return f"{event.get('timestamp', '?')}  {event.get('event', '?')} {event.get('outcome', '')}  {shown}"
