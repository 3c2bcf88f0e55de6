"""Freed tables go back to the system, whatever lies behind them."""

import subprocess
import sys

PROGRAM = """
import resource
from pathlib import Path
from app.composition.allocator import give_back_large_blocks

if {fixed}:
    assert give_back_large_blocks()
del [bytearray(16_000_000)][0]  # a freed block of this size raises the size from which glibc maps
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
before = resident()
tables, kept = [], []
for _ in range(200):
    tables.append(bytearray(200_000))
    kept.append(bytearray(1_000))
del tables
print(resident() - before)
"""


def left_after_freeing(*, fixed: bool) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(fixed=fixed)], capture_output=True, text=True, check=True, timeout=30
    )
    return int(done.stdout)


def test_freed_tables_do_not_stay_resident_below_small_blocks_that_live() -> None:
    assert left_after_freeing(fixed=True) < 2_000_000
    assert left_after_freeing(fixed=False) > 20_000_000, "this C library keeps nothing: the setting can go"


FREED_BODIES = """
import asyncio, resource
from pathlib import Path
from app.composition import allocator

allocator.give_back_large_blocks()
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
before = resident()
async def live():
    giving_back = asyncio.create_task(allocator.give_back_free_pages(resident, 0.01)) if {gives_back} else None
    await asyncio.sleep(0.1)
    kept = []
    for _ in range(3):  # what was given back is used again, and freed again
        bodies = []
        for _ in range(2000):
            bodies.append(bytearray(20_000))
            kept.append(bytearray(1_000))
        await asyncio.sleep(0.1)
        del bodies
        await asyncio.sleep(0.2)
    return kept
kept = asyncio.run(live())
print(resident() - before)
"""


def left_of_bodies(*, gives_back: bool) -> int:
    program = FREED_BODIES.format(gives_back=gives_back)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    return int(done.stdout)


def test_bodies_that_were_freed_between_blocks_that_live_do_not_stay_resident() -> None:
    assert left_of_bodies(gives_back=True) < 20_000_000
    assert left_of_bodies(gives_back=False) > 30_000_000, "this C library keeps nothing: the walk can go"
