"""The ring as people read it. Times are UTC."""

from collections.abc import Iterable
from datetime import UTC, datetime

from app.keys.ring import KeyState
from app.keys.status import KeyStatus

_COLUMNS = ("KID", "ALGORITHM", "STATE", "AGE", "WHAT NEXT")


def as_table(rows: Iterable[KeyStatus], now: float) -> list[str]:
    """The lines of a table, a key each."""
    cells = [_COLUMNS, *((r.kid, r.algorithm, r.state.value, duration(r.age_seconds), _next(r, now)) for r in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _next(row: KeyStatus, now: float) -> str:
    if row.state is KeyState.REVOKED:
        return f"revoked {instant(row.revoked_at)}: {row.revoked_reason or 'no reason given'}"
    if row.state is KeyState.REMOVED:
        return f"left the JWKS {instant(row.removed_at)}"
    if row.state is KeyState.RETIRED:
        return f"leaves the JWKS {_when(row.removed_at, now)}" if row.removed_at is not None else "stays in the JWKS"
    if row.state is KeyState.SIGNING:
        return (
            f"retires {_when(row.retires_at, now)}"
            if row.retires_at is not None
            else "signs until a successor is scheduled"
        )
    return f"signs from {_when(row.signs_from, now)}" if row.signs_from is not None else "stands ready"


def _when(at: float | None, now: float) -> str:
    return "" if at is None else f"{instant(at)}, in {duration(at - now)}"


def instant(at: float | None) -> str:
    """``2026-11-24 20:12:45Z``"""
    if at is None:
        return ""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def duration(seconds: float) -> str:
    """The two largest units, as in ``3 h 12 min``."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
