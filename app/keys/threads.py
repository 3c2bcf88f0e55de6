"""Threads for what must not run on the event loop: RSA signatures and the generation of keys.

Rules: few threads, with a lower priority than the loop's, so that introspection does not notice them. OpenSSL
releases the GIL for this work.
"""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

SIGNING_NICENESS = 5
"""Requests wait for signatures: they yield to the loop but still make way on a busy core."""
GENERATION_NICENESS = 19
"""Nobody waits for a new key: it takes what is left over."""


class LowPriorityPool:
    """A bounded thread pool whose threads lower their own priority. Threads start on first use."""

    def __init__(self, threads: int, niceness: int, name: str) -> None:
        self.executor = ThreadPoolExecutor(threads, f"keys-{name}", initializer=_yield_to_others, initargs=(niceness,))

    def close(self) -> None:
        """Drop what has not begun and wait for what has."""
        self.executor.shutdown(wait=True, cancel_futures=True)


def signing_pool(threads: int | None = None) -> LowPriorityPool:
    """The pool for RSA signatures: by default a thread for each core that this process may use, at most four."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return LowPriorityPool(threads or min(4, cores), SIGNING_NICENESS, "signing")


def generation_pool() -> LowPriorityPool:
    """The pool for new keys. Two threads, so that a small key need not wait for a large one."""
    return LowPriorityPool(2, GENERATION_NICENESS, "generation")


def _yield_to_others(niceness: int) -> None:
    if sys.platform == "linux":
        # On Linux niceness belongs to the thread, not to the process (setpriority(2), "C library/kernel differences").
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
