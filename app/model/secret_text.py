"""Text that must not be shown."""

from typing import Final

HIDDEN: Final = "[hidden]"
"""What stands for a secret wherever one would otherwise be shown."""


class SecretText:
    """A password, token or other secret; ``reveal`` is the only way to its content.

    Logs, errors and representations show ``[hidden]``. Two secrets compare by content (not in constant time: this
    is for noticing changed settings, never for authenticating anyone).
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretText) and self._text == other._text

    def __hash__(self) -> int:
        return hash((SecretText, self._text))

    def __reduce__(self) -> str:
        raise TypeError("a secret is not serialised")
