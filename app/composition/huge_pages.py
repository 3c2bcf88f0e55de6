"""Pages of 2 MiB for a heap that has grown large.

A store of a million tokens lies in 70,000 pages of 4 KiB, which is forty times what a core's second TLB holds: nearly
every look-up walks the page tables, in a virtual machine those of the host as well. Measured there, alone in a process:
to recall one of a million tokens took 1.8 µs with cold caches, and 0.4 less with pages of 2 MiB; on another machine 1.9
and 2.3 before, and 1.7 to 2.5 after, 1.7 at the least.

Where the system's setting is ``always`` the kernel does this by itself, in its own time. Where it is ``madvise``, the
default of Debian and Ubuntu, nothing in CPython asks for it: its allocator maps pieces of 1 MiB. They are gathered here
afterwards, by MADV_COLLAPSE (madvise(2), Linux 6.1). Where the setting is ``never`` nothing is done: that call does not
heed it, but who chose it meant it.
"""

import asyncio
import ctypes
import errno
import logging
import mmap
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import msgspec

logger = logging.getLogger("app.service")

HUGE_BYTES = 2 * 1024 * 1024
MADV_COLLAPSE = 25
"""The advice's number in the kernel's mman-common.h."""
SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")
MAPS = Path("/proc/self/maps")
_PAGE_BYTES = 4096
_FIELDS_WITHOUT_NAME = 5

GROWN_BYTES = 64 * 1024 * 1024
"""By so much the process must have grown for another pass: what is smaller gains nothing that can be measured."""
LOOK_SECONDS = 5.0
AT_ONCE = 4
PAUSE_SECONDS = 0.01
"""After so many pages: to copy one takes 0.2 to 0.5 ms, during which who touches it waits."""
_FULL = 7 / 8
"""The part of a huge page that must be in use already: the rest is filled with zeros, and stays resident."""


class Gathered(msgspec.Struct, frozen=True):
    """What was tried."""

    pages: int
    """Of 2 MiB, those that were huge already included."""
    refusals: frozenset[int] = frozenset()
    """The errors of the others (errno(3))."""

    @property
    def has_room(self) -> bool:
        """Whether it is worth to go on: the system, and the memory's limit, have room for another."""
        return not self.refusals & {errno.ENOMEM, errno.EBUSY}

    def __add__(self, other: "Gathered") -> "Gathered":
        return Gathered(self.pages + other.pages, self.refusals | other.refusals)


def is_wanted(setting: Path = SETTING) -> bool:
    """Whether the system leaves it to programs to ask for huge pages, and those have 2 MiB."""
    try:
        return "[madvise]" in setting.read_text() and mmap.PAGESIZE == _PAGE_BYTES
    except OSError:
        return False  # a kernel without them


def places(maps: str) -> Iterator[int]:
    """Where a huge page could lie: every aligned 2 MiB of private memory without a name.

    ``maps``: the text of /proc/self/maps (proc_pid_maps(5)). The C library's heap has a name; it is left alone because
    free pages inside it are given back.
    """
    for line in maps.splitlines():
        fields = line.split()
        if len(fields) != _FIELDS_WITHOUT_NAME or fields[1] != "rw-p":
            continue
        begin, end = (int(bound, 16) for bound in fields[0].split("-"))
        yield from range(-(-begin // HUGE_BYTES) * HUGE_BYTES, end - HUGE_BYTES + 1, HUGE_BYTES)


def gather(at: Sequence[int]) -> Gathered:
    """Make huge pages at these places, where nearly all is in use. Lets other threads run."""
    libc = ctypes.CDLL(None, use_errno=True)
    madvise, mincore = libc.madvise, libc.mincore
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
    resident = ctypes.create_string_buffer(HUGE_BYTES // _PAGE_BYTES)
    pages, refusals = 0, set()
    for place in at:
        # What was unmapped meanwhile is an error of either call, and no harm.
        if mincore(place, HUGE_BYTES, resident) or resident.raw.count(1) < _FULL * len(resident):
            continue
        if madvise(place, HUGE_BYTES, MADV_COLLAPSE) == 0:
            pages += 1
        else:
            refusals.add(ctypes.get_errno())
    return Gathered(pages, frozenset(refusals))


async def gather_all(pause_seconds: float = PAUSE_SECONDS) -> Gathered:
    """Go through all of the process's memory, on a thread and by and by."""
    found = list(places(await asyncio.to_thread(MAPS.read_text)))
    gathered = Gathered(0)
    for start in range(0, len(found), AT_ONCE):
        gathered += await asyncio.to_thread(gather, found[start : start + AT_ONCE])
        if not gathered.has_room:
            break
        await asyncio.sleep(pause_seconds)
    return gathered


async def keep_gathering(
    resident_bytes: Callable[[], int],
    every_seconds: float = LOOK_SECONDS,
    gather_all: Callable[[], Awaitable[Gathered]] = gather_all,
) -> None:
    """Gather whenever the process has grown by GROWN_BYTES, for ever, or until it proves impossible."""
    known = resident_bytes()
    while True:
        await asyncio.sleep(every_seconds)
        resident = resident_bytes()
        if resident < known + GROWN_BYTES:
            known = min(known, resident)
            continue
        gathered = await gather_all()
        if not gathered.pages and gathered.refusals == {errno.EINVAL}:
            logger.debug("memory stays in pages of 4 KiB: to gather it needs Linux 6.1")
            return
        logger.debug("%d MiB of memory are in pages of 2 MiB", gathered.pages * HUGE_BYTES >> 20)
        known = resident_bytes()
