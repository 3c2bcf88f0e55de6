"""A heap that has grown large lies in pages of 2 MiB, where the system leaves that to programs."""

import asyncio
import errno
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from app.composition import huge_pages
from app.composition.huge_pages import GROWN_BYTES, Gathered, is_wanted, keep_gathering, places

MAPS = """\
55d0c8a00000-55d0c8c00000 rw-p 00000000 00:00 0                          [heap]
7f10001ff000-7f1000600000 rw-p 00000000 00:00 0
7f1000800000-7f1000a00000 r--p 00000000 00:00 0
7f1000c00000-7f1000e00000 rw-p 00000000 fe:00 1234                       /usr/lib/libc.so.6
7f1001000000-7f10011ff000 rw-p 00000000 00:00 0
7ffd5a800000-7ffd5aa00000 rw-p 00000000 00:00 0                          [stack]
"""


def test_only_whole_huge_pages_of_writable_memory_without_a_name_are_looked_at() -> None:
    assert list(places(MAPS)) == [0x7F1000200000, 0x7F1000400000]


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ("always [madvise] never\n", True),
        ("[always] madvise never\n", False),  # the kernel does it
        ("always madvise [never]\n", False),  # and here somebody wants none
        (None, False),
    ],
)
def test_the_systems_setting_decides(tmp_path: Path, setting: str | None, wanted: bool) -> None:
    file = tmp_path / "enabled"
    if setting is not None:
        file.write_text(setting)
    assert is_wanted(file) is wanted


def passes_of(sizes: list[int], gathered: Gathered) -> int:
    """How often memory is gathered of a process whose resident size is seen to be ``sizes``, one after the other."""
    seen = iter(sizes)
    passes = 0

    async def gather_all() -> Gathered:
        nonlocal passes
        passes += 1
        return gathered

    async def run(gather: Callable[[], Awaitable[Gathered]]) -> None:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await keep_gathering(lambda: next(seen), 0, gather)

    asyncio.run(run(gather_all))
    return passes


def test_a_process_that_grew_little_is_left_alone() -> None:
    assert passes_of([0, GROWN_BYTES // 2, GROWN_BYTES - 1], Gathered(1)) == 0


def test_each_growth_is_gathered_once() -> None:
    grown = GROWN_BYTES
    assert passes_of([0, grown, grown, grown + 1, 2 * grown, 2 * grown], Gathered(1)) == 2


def test_growth_is_counted_from_the_smallest_size_since() -> None:
    grown = GROWN_BYTES
    assert passes_of([4 * grown, grown, 2 * grown, 2 * grown], Gathered(1)) == 1


def test_a_pass_that_found_no_room_is_tried_again_later() -> None:
    grown = GROWN_BYTES
    assert passes_of([0, grown, grown, 2 * grown, 2 * grown], Gathered(0, frozenset({errno.ENOMEM}))) == 2


def test_a_kernel_that_cannot_do_it_is_asked_once() -> None:
    seen = iter([0, GROWN_BYTES])

    async def gather_all() -> Gathered:
        return Gathered(0, frozenset({errno.EINVAL}))

    asyncio.run(keep_gathering(lambda: next(seen), 0, gather_all))


def test_no_more_is_tried_once_there_is_no_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.write_text("7f1000000000-7f1010000000 rw-p 00000000 00:00 0\n")
    asked: list[int] = []

    def gather(at: list[int]) -> Gathered:
        asked.append(len(at))
        return Gathered(0, frozenset({errno.ENOMEM}))

    monkeypatch.setattr(huge_pages, "MAPS", maps)
    monkeypatch.setattr(huge_pages, "gather", gather)
    assert asyncio.run(huge_pages.gather_all(0)) == Gathered(0, frozenset({errno.ENOMEM}))
    assert asked == [huge_pages.AT_ONCE]


PROGRAM = """
import asyncio, hashlib
from pathlib import Path
from app.composition.huge_pages import gather_all

kept = {n: hashlib.sha256(b"%d" % n).digest() for n in range(300_000)}
def huge():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages"))
before = huge()
gathered = asyncio.run(gather_all(0))
assert all(hashlib.sha256(b"%d" % n).digest() == digest for n, digest in kept.items())
print(gathered.pages, (huge() - before) // 2048, *gathered.refusals)
"""


def test_what_a_process_holds_is_the_same_in_pages_of_2_mib() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    pages, in_them, *refusals = map(int, done.stdout.split())
    if pages:  # 300,000 objects of 65 bytes, and their numbers
        assert pages > 10
        assert in_them > 10
    else:  # a kernel before 6.1, or a machine without memory in one piece
        assert set(refusals) <= {errno.EINVAL, errno.ENOMEM, errno.EBUSY, errno.EAGAIN}
        assert refusals
