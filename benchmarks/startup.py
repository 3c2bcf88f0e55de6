"""How long the service takes from the start of its process to its first answer."""

import os
from pathlib import Path

from benchmarks import rows
from benchmarks.servers import service
from benchmarks.statistics import Spread, spread

TARGET_SECONDS = 2.0


def measure_start(folder: Path, *, times: int = 5) -> Spread:
    """Seconds to the first 200 of ``/health/ready``, keys made, on all cores: as a person meets it."""
    cores = sorted(os.sched_getaffinity(0))
    seconds = []
    for _ in range(times):
        with service(cores, rows.settings(folder)) as server:
            seconds.append(server.seconds_to_answer)
    return spread(seconds)
