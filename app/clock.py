"""The only callers of time.

Everything else takes the time as a parameter, so that protocol rules and rotations can be tested at any
instant; ruff's ``banned-api`` refuses the ``time`` module elsewhere. The names are the system's own functions: a
request asks them six times.
"""

import time

unix_now = time.time
"""Seconds since the epoch: for what leaves the process or outlives it (``exp``, ``iat``, record lives)."""

unix_now_ns = time.time_ns
"""Nanoseconds since the epoch: for spans."""

monotonic = time.monotonic
"""Seconds on a clock that never steps: for intervals and deadlines inside this process."""

stopwatch = time.perf_counter
"""Seconds on the finest clock: for durations that become metrics."""

cpu_seconds_of_this_thread = time.thread_time
"""CPU seconds that the calling thread has used."""
