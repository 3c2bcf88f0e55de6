"""An hour of distinct keys through the limits of requests and of failures, in a process of its own.

``python -m tests.programs.limiter_hour KEYS SECONDS`` spreads that many keys over so many seconds of its own clock,
sweeps as the service does, and prints as JSON what it came to.
"""

import gc
import json
import sys
import time
from pathlib import Path

from app.endpoints.limits import SWEEP_SECONDS
from app.ratelimit.failures import Failures
from app.ratelimit.limiter import RateLimiter

LIMIT = 60
FAILURES = 300
_LOOKS = 10


def resident() -> int:
    """Bytes (proc(5))."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def run(keys: int, seconds: float) -> dict[str, object]:
    """What is kept and how large the process is after each tenth, and how long the longest decision and sweep took."""
    limiter, failures = RateLimiter(), Failures(FAILURES)
    sizes, kept = [], []
    swept_at = longest_decision = longest_sweep = 0.0
    for number in range(keys):
        now = 1000 + seconds * number / keys
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        started = time.thread_time()
        limiter.retry_after(f"app\n{address}", LIMIT, now)
        failures.failed(address, "billing", now)
        longest_decision = max(longest_decision, time.thread_time() - started)
        while swept_at < now:
            swept_at = max(swept_at + SWEEP_SECONDS, now - SWEEP_SECONDS)
            started = time.thread_time()
            limiter.sweep(now)
            failures.sweep(now)
            longest_sweep = max(longest_sweep, time.thread_time() - started)
        if (number + 1) % (keys // _LOOKS) == 0:
            sizes.append(resident())
            kept.append((len(limiter), len(failures)))
    return {
        "resident": sizes,
        "kept": kept,
        "longest_decision_ms": longest_decision * 1e3,
        "longest_sweep_ms": longest_sweep * 1e3,
    }


if __name__ == "__main__":
    gc.freeze()  # as the service does once it has started
    print(json.dumps(run(int(sys.argv[1]), float(sys.argv[2]))))
