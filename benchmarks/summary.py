"""What a row comes to over all its rounds, and how it is written down."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from benchmarks.load import Load
from benchmarks.statistics import Spread, round_ratios, spread


class RowResult(msgspec.Struct, frozen=True):
    """One row over all rounds."""

    name: str
    rate: Spread
    """Requests a second."""
    ratio: Spread
    """To the bare server of the same round."""
    ratio_on_cpu: Spread
    """The same by the servers' CPU time: the figure to believe where the machine was not quiet."""
    core_share: float
    """Median of the part of its core that the server had."""
    p50_ms: float
    p99_ms: float
    """Medians over the rounds, at full load: what a client sees that waits behind the others."""
    target: float | None
    loads: tuple[Load, ...]

    @property
    def met(self) -> bool | None:
        """Whether both ratios reach the target; None where there is none.

        The one of requests a second flatters where the bare server did not get its core, or waited for the load.
        """
        return None if self.target is None else min(self.ratio.median, self.ratio_on_cpu.median) >= self.target


def summarise(
    loads: Mapping[str, Sequence[Load]], yardstick: str, targets: Mapping[str, float | None]
) -> tuple[RowResult, ...]:
    """The rows of interleaved loads, in their order; the yardstick is one of them, with ratio 1."""
    measure = [load.rate for load in loads[yardstick]]
    measure_on_cpu = [load.rate_on_cpu for load in loads[yardstick]]
    return tuple(
        RowResult(
            name=name,
            rate=spread([load.rate for load in of]),
            ratio=spread(round_ratios([load.rate for load in of], measure)),
            ratio_on_cpu=spread(round_ratios([load.rate_on_cpu for load in of], measure_on_cpu)),
            core_share=spread([load.core_share for load in of]).median,
            p50_ms=spread([load.p50_ms for load in of]).median,
            p99_ms=spread([load.p99_ms for load in of]).median,
            target=targets.get(name),
            loads=tuple(of),
        )
        for name, of in loads.items()
    )


def verdict(met: bool | None) -> str:
    """A word for the table."""
    return "" if met is None else "met" if met else "NOT MET"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of text in columns, the first to the left and the others to the right."""
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    for line in (head, *lines):
        first, *others = line
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
