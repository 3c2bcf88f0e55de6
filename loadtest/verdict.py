"""What a run of k6 came to, read from what it printed.

k6 ends with 0, or with 99 where a threshold was crossed, be it one about the service or one about k6 itself. Which of
them, and that a capacity run found no limit, says the verdict, which the scripts print as their last line of JSON.
"""

from enum import IntEnum
from typing import Any

import msgspec

THRESHOLDS_CROSSED = 99
"""k6's exit code for a run that was made and whose thresholds do not hold."""


class Exit(IntEnum):
    """How ``python -m loadtest`` ends."""

    PASSED = 0
    FAILED = 1
    USAGE = 2
    GENERATOR_LIMITED = 3
    NOT_CALIBRATED = 4
    NOT_RUN = 5
    """k6 ended before it had a verdict: a setting was wrong, or the service was not there."""
    NOT_REACHED = 6
    """Every step of a capacity run held: the capacity is more than was asked for, and not known."""

    @property
    def words(self) -> str:
        """For people: ``generator limited``."""
        return self.name.lower().replace("_", " ")


_EXITS = {
    "pass": Exit.PASSED,
    "fail": Exit.FAILED,
    "generator limited": Exit.GENERATOR_LIMITED,
    "not calibrated": Exit.NOT_CALIBRATED,
    "not reached": Exit.NOT_REACHED,
}


class EndpointFigures(msgspec.Struct, frozen=True):
    """One endpoint's figures over the whole run."""

    endpoint: str
    requests: int
    failed: float
    """A share, 0 to 1."""
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Check(msgspec.Struct, frozen=True):
    """One limit and what was measured."""

    metric: str
    limit: str
    ok: bool
    figure: float | None = None


class Verdict(msgspec.Struct, frozen=True):
    """What a run came to."""

    scenario: str
    run_id: str
    verdict: str
    seconds: float
    endpoints: tuple[EndpointFigures, ...] = ()
    checks: tuple[Check, ...] = ()
    capacity: dict[str, Any] | None = None
    generator: dict[str, float | None] | None = None
    measured_seconds: float | None = None
    """Without what the run spent on preparing; None: all of :attr:`seconds`."""
    outage_seconds: float = 0.0
    """From the first request that failed to the last; 0 where none or one did."""

    @property
    def exit(self) -> Exit:
        return _EXITS[self.verdict]

    def endpoint(self, name: str) -> EndpointFigures | None:
        return next((figures for figures in self.endpoints if figures.endpoint == name), None)


def verdict_in(output: str) -> Verdict | None:
    """The verdict in what k6 printed: the last line that is one; None if there is none."""
    for line in reversed(output.splitlines()):
        if line.startswith('{"scenario":'):
            try:
                return msgspec.json.decode(line, type=Verdict)
            except msgspec.DecodeError:
                return None
    return None


def exit_of(code: int, verdict: Verdict | None) -> Exit:
    """How a run ended, by k6's exit code and its verdict. A run that was aborted has a verdict that counts nothing."""
    if verdict is None or code not in (0, THRESHOLDS_CROSSED):
        return Exit.NOT_RUN
    if code == THRESHOLDS_CROSSED and verdict.exit is Exit.PASSED:
        return Exit.FAILED
    return verdict.exit
