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
