"""The keys' lives on a line of time, as what a page draws: numbers, no markup."""

from collections.abc import Mapping, Sequence

import msgspec

from app.keys.ring import KeyState
from app.keys.status import KeyStatus

WIDTH = 720
"""Units across."""
_MARGIN = 0.05
"""Of the whole time, before the first event and behind the last one."""


class Span(msgspec.Struct, frozen=True):
    """A part of a key's life."""

    stage: str
    """``published``, ``signing`` or ``retained``."""
    x: float
    width: float


class Row(msgspec.Struct, frozen=True):
    """One key."""

    key: KeyStatus
    spans: tuple[Span, ...]


class Timeline(msgspec.Struct, frozen=True):
    """All keys on one line of time."""

    rows: tuple[Row, ...]
    now_x: float


def as_planned(keys: Sequence[KeyStatus], rotations: Mapping[str, float]) -> list[KeyStatus]:
    """The keys with what the next rotation of their algorithm (Unix seconds) will make of them."""
    planned = []
    for key in keys:
        at = rotations.get(key.algorithm)
        if at is not None and key.state is KeyState.SIGNING and key.retires_at is None:
            planned.append(msgspec.structs.replace(key, retires_at=at))
        elif at is not None and key.state is KeyState.PUBLISHED and key.signs_from is None:
            planned.append(msgspec.structs.replace(key, signs_from=at))
        else:
            planned.append(key)
    return planned


def timeline(keys: Sequence[KeyStatus], now: float) -> Timeline:
    """Where each key's stages lie; what has no planned end goes on to the edge. ``now`` is Unix seconds."""
    moments = [now, *(moment for key in keys for moment in _moments(key))]
    length = max(max(moments) - min(moments), 1.0)
    begin, length = min(moments) - _MARGIN * length, length * (1 + 2 * _MARGIN)

    def x(moment: float) -> float:
        return round((moment - begin) / length * WIDTH, 1)

    end = begin + length
    rows = []
    for key in keys:
        signs, retires, removed = key.signs_from, key.retires_at, key.removed_at
        gone = min(moment for moment in (removed, key.revoked_at, end) if moment is not None)
        stages = (
            ("published", key.created_at, gone if signs is None else signs),
            ("signing", signs, gone if retires is None else retires),
            ("retained", retires, gone),
        )
        spans = tuple(
            Span(stage, x(first), round(x(min(last, gone)) - x(first), 1))
            for stage, first, last in stages
            if first is not None and min(last, gone) > first
        )
        rows.append(Row(key, spans))
    return Timeline(tuple(rows), x(now))


def _moments(key: KeyStatus) -> list[float]:
    known = (key.created_at, key.signs_from, key.retires_at, key.removed_at, key.revoked_at)
    return [moment for moment in known if moment is not None]
