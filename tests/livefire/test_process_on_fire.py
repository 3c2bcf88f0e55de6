"""Faults of the process and its machine, until their alerts fire and are resolved again."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.alerts.rule_files import ROOT
from tests.conftest import RequireProgram
from tests.livefire.conftest import Range, Repeatedly
from tests.livefire.shortened import YOUNG_PROCESSES
from tests.programs.ports import free_port
from tests.programs.service_process import wait_until

pytestmark = [pytest.mark.live_fire, pytest.mark.timeout(600)]


@contextmanager
def control_group(memory_bytes: int | None = None, cpu_cores: float | None = None) -> Iterator[Path]:
    """A control group with one limit, either version: the file to write process ids into. Needs root."""
    name = f"auth-service-live-fire-{secrets.token_hex(4)}"
    controller = "cpu" if memory_bytes is None else "memory"
    root = Path("/sys/fs/cgroup")
    first = (root / controller).is_dir()
    group = (root / controller if first else root) / name
    group.mkdir()
    try:
        if memory_bytes is not None:
            (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(memory_bytes))
        if cpu_cores is not None:
            quota = int(cpu_cores * 100_000)
            file, text = ("cpu.cfs_quota_us", f"{quota}") if first else ("cpu.max", f"{quota} 100000")
            (group / file).write_text(text)
        yield group / "cgroup.procs"
    finally:

        def is_gone() -> bool:
            with suppress(OSError):
                group.rmdir()
            return not group.exists()

        wait_until(is_gone, "the control group to be empty")


CUSTOMIZED = """
import os, pathlib, threading, time
pathlib.Path({group!r}).write_text(str(os.getpid()))

def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def grow(kept=[]):
    while True:
        time.sleep(0.5)
        if not pathlib.Path({switch!r}).exists():
            kept.clear()
        elif resident() + {step} < {most}:
            kept.append(bytearray(b"x") * {step})
threading.Thread(target=grow, daemon=True).start()
"""
"""The interpreter's ``sitecustomize``: the process joins the group before it reads its limits, and grows on demand."""


def customized(folder: Path, group: Path, switch: Path, step: int, most: int) -> str:
    """PYTHONPATH of a process that grows by ``step`` bytes twice a second up to ``most`` while ``switch`` is there."""
    folder.mkdir()
    text = CUSTOMIZED.format(group=str(group), switch=str(switch), step=step, most=most)
    (folder / "sitecustomize.py").write_text(text)
    return f"{folder}:{ROOT}"


@pytest.mark.parametrize("overrides", [YOUNG_PROCESSES], ids=["30 s"])
def test_memory_leaks(firing_range: Range, tmp_path: Path) -> None:
    group = firing_range.hold(control_group(3_000_000_000))
    path = customized(tmp_path / "customized", group, tmp_path / "leak", 5_000_000, 2_700_000_000)
    firing_range.start(PYTHONPATH=path)
    with firing_range.incident("the process grows by 10 MB a second; its limit is 3 GB", "MemoryLeak"):
        (tmp_path / "leak").touch()
    (tmp_path / "leak").unlink()
    firing_range.over()


def test_memory_is_nearly_used_up(firing_range: Range, tmp_path: Path) -> None:
    limit = 200_000_000
    group = firing_range.hold(control_group(limit))
    path = customized(tmp_path / "customized", group, tmp_path / "grow", 5_000_000, limit * 94 // 100)
    firing_range.start(PYTHONPATH=path)
    fault = "the process uses over 90 % of its control group's 200 MB"
    with firing_range.incident(fault, "MemoryNearLimit"):
        (tmp_path / "grow").touch()
    (tmp_path / "grow").unlink()
    firing_range.over()


def test_the_clock_is_wrong(firing_range: Range, tmp_path: Path, require_program: RequireProgram) -> None:
    require_program("faketime")
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    shift = tmp_path / "shift"
    shift.write_text("+0")
    settings = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(shift), "FAKETIME_NO_CACHE": "1"}
    firing_range.start(**settings, FAKETIME_DONT_FAKE_MONOTONIC="1")
    with firing_range.incident("the process's clock is set 20 s ahead", "ClockSkew"):
        shift.write_text("+20")
    shift.write_text("+0")
    firing_range.over()


def test_the_event_loop_is_blocked(firing_range: Range, repeatedly: Repeatedly) -> None:
    service = firing_range.start()
    firing_range.traffic(pause=0.005)

    def stall() -> None:
        os.kill(service.pid, signal.SIGSTOP)
        time.sleep(0.5)
        os.kill(service.pid, signal.SIGCONT)

    expected = ("EventLoopBlocked", "HighResponseTime")
    with firing_range.incident("the process stands still for half of each second", *expected):
        stop = repeatedly(stall, 0.5)
    stop()
    firing_range.over()


def test_the_cpu_is_overloaded(firing_range: Range, require_program: RequireProgram, tmp_path: Path) -> None:
    wrk = require_program("wrk")
    group = firing_range.hold(control_group(cpu_cores=0.15))
    service = firing_range.start(PYTHONPATH=customized(tmp_path / "customized", group, tmp_path / "never", 1, 0))
    load = [wrk, "-t1", "-c8", "-d240s", f"{service.base_url}/jwks.json"]
    fault = "more requests than its CPU limit of 0.15 cores can answer"
    with ExitStack() as until_over, firing_range.incident(fault, "HighCPUUsage"):
        process = until_over.enter_context(subprocess.Popen(load, stdout=subprocess.DEVNULL))
        until_over.callback(process.terminate)
    firing_range.over()


def test_a_process_starts_again_and_again(firing_range: Range) -> None:
    same_address = f"127.0.0.1:{free_port()}"
    firing_range.start("two")
    firing_range.start(METRICS_ADDR=same_address)
    with firing_range.incident("one of two processes starts again every few seconds", "InstanceRestarting"):
        for _ in range(5):
            firing_range.start(METRICS_ADDR=same_address)
            time.sleep(2.5)  # it is scraped every second
    firing_range.over()
