"""What the C library's allocator keeps after memory was freed.

Every dict that holds tokens grows and shrinks tables of 100 KiB and more. glibc maps blocks from 128 KiB on one by one
and gives each back when it is freed, but raises that size with every one that it frees, to 32 MiB (mallopt(3), section
"M_MMAP_THRESHOLD"). From then on the tables lie in the heap, which shrinks from its end only: one small block that
lives keeps all below it. Measured, five waves of a million tokens that all ended: resident 92, 69, 100, 104, 109 MiB;
with the size fixed 54, 57, 56, 59, 60. A map and its release cost a few microseconds for each doubling of a table.
"""

import ctypes
import os

M_MMAP_THRESHOLD = -3
"""The parameter's number in glibc's malloc.h."""

MAPPED_FROM_BYTES = 64 * 1024


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
