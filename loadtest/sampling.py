"""The service's own figures while a load test runs, taken every few seconds like Prometheus takes them.

Rules:
- A scrape that fails, or lacks a figure, is left out and counted; it never ends a run that is half an hour old.
- What is kept is as read: shares and trends are computed from the file, so an old run can be judged again.
"""

import csv
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from loadtest import scrape

INTERVAL_SECONDS = 5.0
SETTLED = (0.40, 0.55)
"""The part of a stage whose median resident size is the one to begin with: tokens that end are by then as many as new
ones, where they live for less than 0.4 of the stage."""
LAST = (0.85, 1.0)
_LEAST_SAMPLES = 3
"""In each of the two parts; with fewer a median says nothing."""


class Sample(msgspec.Struct, frozen=True):
    """One look at the service."""

    at: float
    """Seconds since the stage began."""
    cpu_seconds: float
    """Of the process so far."""
    resident_bytes: float
    live_tokens: float


class Trend(msgspec.Struct, frozen=True):
    """How the resident size went on, once the number of live tokens had settled."""

    settled_bytes: float
    last_bytes: float
    settled_tokens: float
    last_tokens: float


class Sampling(AbstractContextManager["Sampling"]):
    """Takes samples on a thread of its own until the block ends, and writes them into ``copy`` as CSV."""

    def __init__(
        self,
        url: str,
        copy: Path,
        *,
        interval: float = INTERVAL_SECONDS,
        fetch: Callable[[str], str] = scrape.fetch,
    ) -> None:
        self.samples: list[Sample] = []
        self.failed = 0
        self._url, self._copy, self._interval, self._fetch = url, copy, interval, fetch
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="sampling", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        write(self._copy, self.samples)

    def _go_on(self) -> None:
        began = time.monotonic()
        while True:
            at = time.monotonic() - began
            try:
                self.samples.append(_sample(at, scrape.parse(self._fetch(self._url))))
            except (OSError, ValueError):
                self.failed += 1
            if self._ended.wait(self._interval):
                return


def _sample(at: float, series: scrape.Series) -> Sample:
    """Raises ValueError where the service does not tell one of the figures."""
    figures = []
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "active_tokens"):
        value = scrape.plain(series, name)
        if value is None:
            raise ValueError(f"the service tells no {name}")
        figures.append(value)
    return Sample(at, *figures)


def write(path: Path, samples: Iterable[Sample]) -> None:
    """The samples as CSV with a line of names."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(Sample.__struct_fields__)
        rows.writerows(
            (f"{s.at:.1f}", f"{s.cpu_seconds:.2f}", int(s.resident_bytes), int(s.live_tokens)) for s in samples
        )


def read(path: Path) -> Sequence[Sample]:
    """What :func:`write` wrote. Raises OSError or ValueError."""
    with path.open(newline="") as file:
        return [Sample(*map(float, row.values())) for row in csv.DictReader(file)]


def trend(samples: Sequence[Sample]) -> Trend | None:
    """The resident size from where it settled to the end; None where there are too few samples to say."""
    if not samples:
        return None
    seconds = samples[-1].at
    first, last = ([s for s in samples if low * seconds <= s.at <= high * seconds] for low, high in (SETTLED, LAST))
    if min(len(first), len(last)) < _LEAST_SAMPLES:
        return None
    return Trend(
        _median([s.resident_bytes for s in first]),
        _median([s.resident_bytes for s in last]),
        _median([s.live_tokens for s in first]),
        _median([s.live_tokens for s in last]),
    )


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
