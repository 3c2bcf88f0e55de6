"""What a core that stands still is told apart by."""

import os

import pytest

from benchmarks import standstill
from benchmarks.machine import split_cores


def test_gaps_come_to_their_share_of_the_time_and_the_longest() -> None:
    seen = standstill.from_gaps([0.002, 0.006], 4.0)
    assert (seen.share, seen.longest_ms) == (0.002, 6.0)
    assert str(seen) == "0.2% of the time, 6.0 ms at most"
    assert standstill.from_gaps([], 4.0).longest_ms == 0


def test_a_standstill_that_outlasts_the_watch_is_a_part_of_the_time_that_passed() -> None:
    seen = standstill.from_gaps(*standstill.gaps(0.05, clock=iter([10.0, 10.5]).__next__))
    assert (seen.share, seen.longest_ms) == (1.0, 500.0)


def test_a_core_is_watched_and_the_process_may_use_all_of_its_cores_again() -> None:
    allowed = os.sched_getaffinity(0)
    seen = standstill.watch(min(allowed), seconds=0.05)
    assert 0 <= seen.share <= 1
    assert os.sched_getaffinity(0) == allowed


def test_the_core_of_the_server_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = sorted(os.sched_getaffinity(0))
    monkeypatch.delenv("BENCH_SERVER_CORE", raising=False)
    assert split_cores() == (cores[:1], cores[-1:])
    monkeypatch.setenv("BENCH_SERVER_CORE", str(cores[-1]))
    assert split_cores() == (cores[-1:], cores[:-1][-1:] or cores)


@pytest.mark.parametrize("core", ["4096", "first", ""])
def test_a_core_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, core: str) -> None:
    monkeypatch.setenv("BENCH_SERVER_CORE", core)
    with pytest.raises(SystemExit, match=r"BENCH_SERVER_CORE is .*; it must be one of \d"):
        split_cores()
