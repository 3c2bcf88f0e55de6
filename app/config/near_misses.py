"""Names in the environment that look like misspelt settings.

The environment also holds what others put there (Kubernetes adds variables for every service), so an unknown name is
at most warned about, and only when it is a slip away from one of ours.
"""

from collections.abc import Iterable
from typing import Final

from app.config.fields import all_fields

_SLIPS: Final = 2
"""Insertions, deletions, replacements and swaps of neighbours that a misspelling may be away."""
_SHORTEST: Final = 6
"""Shorter names are too near to everything."""
_OF_OTHERS: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_KEY_FILE")
"""Names that other programs gave a meaning."""


def unknown_names(names: Iterable[str]) -> list[str]:
    """A warning for each name that is nearly, but not quite, the name of a setting."""
    ours = {field.name for field in all_fields()}
    known = sorted(ours)
    warnings = []
    for name in sorted(names):
        if name in ours or name in _OF_OTHERS:
            continue
        shape = name.upper().replace("-", "_").replace(".", "_")
        if len(shape) < _SHORTEST:
            continue
        close = min(known, key=lambda candidate: _slips(shape, candidate))
        if _slips(shape, close) <= _SLIPS:
            warnings.append(f"{name} is not a setting: did you mean {close}?")
    return warnings


def _slips(a: str, b: str) -> int:
    """Optimal string alignment distance, or more than ``_SLIPS`` as soon as it is certain to be."""
    if abs(len(a) - len(b)) > _SLIPS:
        return _SLIPS + 1
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        row = [i]
        for j, y in enumerate(b, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > _SLIPS:
            return _SLIPS + 1
        before, last = last, row
    return last[-1]
