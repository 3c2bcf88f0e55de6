"""Timing a function in this process: calibrated loops, repeated samples, nanoseconds a call.

The way of pyperf (https://pyperf.readthedocs.io): a sample is long enough that the clock does not matter, the first one
only warms up, and what is reported is the middle of many with their spread. The garbage collector stays on, as it is in
the service. A figure includes the call itself, some 50 ns. What counts is the CPU time of this process: what else runs
on the machine takes none of it.
"""

import itertools
import time
from collections.abc import Callable, Mapping

from benchmarks.statistics import Spread, spread

SAMPLE_SECONDS = 0.02
SAMPLES = 15

Work = Callable[[], object]


def measure(work: Work, *, samples: int = SAMPLES, sample_seconds: float = SAMPLE_SECONDS) -> Spread:
    """Nanoseconds a call."""
    loops = 1
    while True:
        seconds = _time(work, loops)
        if seconds >= sample_seconds / 2:
            break
        loops *= 2
    loops = max(1, round(loops * sample_seconds / seconds))
    return spread([_time(work, loops) / loops * 1e9 for _ in range(samples)])


def measure_all(works: Mapping[str, Work], *, samples: int = SAMPLES) -> dict[str, Spread]:
    """Each of some functions, one after the other."""
    return {name: measure(work, samples=samples) for name, work in works.items()}


def _time(work: Work, loops: int) -> float:
    repetitions = itertools.repeat(None, loops)
    started = time.process_time()
    for _ in repetitions:
        work()
    return time.process_time() - started
