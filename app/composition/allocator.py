"""What the C library's allocator keeps after memory was freed.

Every dict that holds tokens grows and shrinks tables of 100 KiB and more. glibc maps blocks from 128 KiB on one by one
and gives each back when it is freed, but raises that size with every one that it frees, to 32 MiB (mallopt(3), section
"M_MMAP_THRESHOLD"). From then on the tables lie in the heap, which shrinks from its end only: one small block that
lives keeps all below it. Measured, five waves of a million tokens that all ended: resident 92, 69, 100, 104, 109 MiB;
with the size fixed 54, 57, 56, 59, 60. A map and its release cost a few microseconds for each doubling of a table.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable

M_MMAP_THRESHOLD = -3
"""The parameter's number in glibc's malloc.h."""

MAPPED_FROM_BYTES = 64 * 1024

LOOK_SECONDS = 5.0
FREED_BYTES = 4 * 1024 * 1024
"""How much must have become free in the heap to be worth a walk through it: the loop stands still for 1 to 9 ms (40 MB
in blocks of 20 KB, on a busy machine)."""


def give_back_large_blocks() -> bool:
    """Fix the size from which a block is mapped on its own; whether the C library is one that has it.

    Must be called before the first tokens. ``MALLOC_MMAP_THRESHOLD_`` in the environment goes first.
    """
    if "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False  # not glibc
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    return bool(mallopt(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES))


class _Mallinfo2(ctypes.Structure):
    """glibc's ``struct mallinfo2`` (mallinfo(3))."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


async def give_back_free_pages(resident_bytes: Callable[[], int], every_seconds: float = LOOK_SECONDS) -> None:
    """Give free memory inside the heap back to the system, whenever there is much of it, for ever.

    Thousands of connections that were held open, each with half a body, leave free blocks between others that live:
    the heap shrinks from its end only. malloc_trim(3) gives back the pages in between.
    """
    try:
        libc = ctypes.CDLL(None)
        mallinfo2, malloc_trim = libc.mallinfo2, libc.malloc_trim
    except (AttributeError, OSError):
        return  # not glibc, or older than 2.33
    mallinfo2.restype, mallinfo2.argtypes = _Mallinfo2, ()
    malloc_trim.restype, malloc_trim.argtypes = ctypes.c_int, (ctypes.c_size_t,)
    known_free, known_resident = mallinfo2().fordblks, resident_bytes()
    while True:
        await asyncio.sleep(every_seconds)
        free, resident = mallinfo2().fordblks, resident_bytes()
        # What was given back counts as free all the same. So either more is free now, or what was given back was used
        # and freed again, which shows in the resident size alone.
        if free >= known_free + FREED_BYTES or (free >= FREED_BYTES and resident >= known_resident + FREED_BYTES):
            malloc_trim(0)
            known_free, known_resident = mallinfo2().fordblks, resident_bytes()
        known_free, known_resident = min(known_free, free), min(known_resident, resident)
