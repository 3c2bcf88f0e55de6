"""The only callers of time.

Everything else takes the time as a parameter, so that protocol rules and rotations can be tested at any
instant; ruff's ``banned-api`` refuses the ``time`` module elsewhere.
"""

import time


def unix_now() -> float:
    """Seconds since the epoch: for what leaves the process or outlives it (``exp``, ``iat``, record lives)."""
    return time.time()


def monotonic() -> float:
    """Seconds on a clock that never steps: for intervals and deadlines inside this process."""
    return time.monotonic()


def stopwatch() -> float:
    """Seconds on the finest clock: for durations that become metrics."""
    return time.perf_counter()


def cpu_seconds_of_this_thread() -> float:
    """CPU seconds that the calling thread has used."""
    return time.thread_time()
