"""A thread that computes does not keep the event loop waiting."""

import subprocess
import sys

PROGRAM = """
import asyncio, threading, time
from app.composition.interpreter import take_short_turns

if {short}:
    take_short_turns()
ended = threading.Event()
def compute():
    while not ended.is_set():
        sum(range(100))
threading.Thread(target=compute).start()
async def turns():
    for _ in range(40):
        await asyncio.sleep(0.001)  # the loop gives up the interpreter, and must get it back
begun = time.perf_counter()
asyncio.run(turns())
print(time.perf_counter() - begun)
ended.set()
"""


def seconds_for_forty_turns(*, short: bool) -> float:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(short=short)], capture_output=True, text=True, check=True, timeout=30
    )
    return float(done.stdout)


def test_the_event_loop_gets_its_turn_early_beside_a_thread_that_computes() -> None:
    usual = min(seconds_for_forty_turns(short=False) for _ in range(3))
    assert min(seconds_for_forty_turns(short=True) for _ in range(3)) < usual * 0.7
