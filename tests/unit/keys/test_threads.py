"""Work on keys yields to the event loop."""

import os
import sys
import threading

import pytest

from app.keys.threads import GENERATION_NICENESS, SIGNING_NICENESS, generation_pool, signing_pool


@pytest.mark.skipif(sys.platform != "linux", reason="niceness belongs to threads on Linux alone")
def test_threads_lower_their_own_priority_and_nobody_elses() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    for pool, niceness in ((signing_pool(1), SIGNING_NICENESS), (generation_pool(), GENERATION_NICENESS)):
        seen = pool.executor.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result(10)
        pool.close()
        assert seen == niceness
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_signing_has_a_thread_for_each_core_and_few_at_most() -> None:
    pool = signing_pool()
    assert 1 <= pool.executor._max_workers <= 4
    pool.close()
