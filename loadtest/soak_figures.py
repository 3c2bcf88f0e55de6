"""What a soak came to. Pure: samples in, verdict and text out."""

from collections.abc import Iterator, Sequence
from statistics import median

import msgspec

from benchmarks.load import Load
from benchmarks.machine import Machine
from loadtest.checklist import LEAK_SHARE, Line

WINDOW_SHARE = 1 / 30
"""Which part of the measured time is "after warm-up", and which is "the end": a minute of half an hour."""
DESCRIPTORS = 2
"""By how much the number of open descriptors may differ: a scrape and an operator's look may be under way."""


class Sample(msgspec.Struct, frozen=True):
    """The process at one moment."""

    at_seconds: float
    """Since the load began."""
    resident_bytes: int
    descriptors: int
    cpu_seconds: float
    """So far."""
    requests: int
    """Answered so far, by its own metrics."""
    live_tokens: int


class Soak(msgspec.Struct, frozen=True):
    """A whole run."""

    machine: Machine
    measured_at: str
    store: str
    maximum_rate: float
    """Requests a second of the same load, unthrottled, before."""
    warm_up_seconds: float
    load: Load
    """Of the whole time, warm-up included; ``refused`` are wrong answers."""
    samples: tuple[Sample, ...]


class Window(msgspec.Struct, frozen=True):
    """Medians of a part of a run."""

    resident_bytes: float
    descriptors: float


def windows(soak: Soak) -> tuple[Window, Window]:
    """After the warm-up, and at the end. Raises ValueError without samples in both."""
    after = [sample for sample in soak.samples if sample.at_seconds >= soak.warm_up_seconds]
    if len(after) < 2:
        raise ValueError("there are no samples after the warm-up")
    first, last = after[0].at_seconds, after[-1].at_seconds
    width = (last - first) * WINDOW_SHARE
    return (
        _window([sample for sample in after if sample.at_seconds <= first + width]),
        _window([sample for sample in after if sample.at_seconds >= last - width]),
    )


def _window(samples: Sequence[Sample]) -> Window:
    return Window(median(sample.resident_bytes for sample in samples), median(sample.descriptors for sample in samples))


def lines(soak: Soak) -> tuple[Line, ...]:
    """The verdict, a line for each thing that must hold."""
    begin, end = windows(soak)
    growth = end.resident_bytes / begin.resident_bytes - 1
    rate, wanted = soak.load.rate, soak.maximum_rate / 2
    measured = f"{begin.resident_bytes / 1e6:.1f} MB, then {end.resident_bytes / 1e6:.1f} MB ({growth:+.1%})"
    wrong = soak.load.refused + soak.load.failed
    return (
        Line("Resident size at the end", f"≤ {LEAK_SHARE:.0%} over after warm-up", measured, growth <= LEAK_SHARE),
        Line(
            "Open file descriptors",
            f"as many (± {DESCRIPTORS})",
            f"{begin.descriptors:.0f}, then {end.descriptors:.0f}",
            abs(end.descriptors - begin.descriptors) <= DESCRIPTORS,
        ),
        Line("Wrong or missing answers", "0", f"{wrong:,} of {soak.load.requests:,}", wrong == 0),
        Line(
            "Load",
            "half the maximum",
            f"{rate:,.0f} of {soak.maximum_rate:,.0f} requests/s",
            0.9 * wanted <= rate <= 1.1 * wanted,
        ),
    )


def rates(soak: Soak) -> Iterator[tuple[float, float, float]]:
    """For each interval: its end in seconds, requests a second, and cores used."""
    for before, after in zip(soak.samples, soak.samples[1:], strict=False):
        seconds = after.at_seconds - before.at_seconds
        if seconds > 0:
            yield (
                after.at_seconds,
                (after.requests - before.requests) / seconds,
                (after.cpu_seconds - before.cpu_seconds) / seconds,
            )
