"""What is wrong with a configuration, told all at once."""

import difflib
from collections.abc import Iterable, Sequence

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """One mistake in the configuration."""

    where: str
    """The setting's name, or ``file:line``."""
    what: str
    """What is wrong; never contains a secret."""
    given: str | None = None
    """The value as it was given; None where it may be secret or where there is none."""
    allowed: str | None = None
    """What would be right."""

    def __str__(self) -> str:
        given = "" if self.given is None else f"={_shortened(self.given)}"
        allowed = "" if self.allowed is None else f"; allowed: {self.allowed}"
        return f"{self.where}{given}: {self.what}{allowed}"


class ConfigurationError(Exception):
    """The configuration cannot be used; carries every mistake that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def _shortened(value: str) -> str:
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
    return printable if len(printable) <= 80 else printable[:79] + "…"


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """`` (did you mean …?)`` if ``name`` looks like one of ``known``, else nothing."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f" (did you mean {close[0]!r}?)" if close else ""
