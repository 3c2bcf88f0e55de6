"""A load test that is ended leaves nothing running: neither the service that it started nor what loads it."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.children import children
from benchmarks.machine import REPOSITORY
from tests.programs.service_process import wait_until

WITH_ANOTHER_K6 = """
import pathlib, runpy, sys
from loadtest import generator
generator.TOOLS = pathlib.Path(sys.argv.pop(1))
runpy.run_module("loadtest", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def load_test(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A load test whose generator has begun, and goes on until it is ended."""
    begun = tmp_path / "begun"
    k6 = tmp_path / "k6"
    k6.write_text(f"#!/bin/sh\ntouch {begun}\nexec sleep 600\n")
    k6.chmod(0o755)
    command = [sys.executable, "-c", WITH_ANOTHER_K6, str(tmp_path), "run", "smoke", "--out", str(tmp_path / "report")]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: begun.exists() or process.poll() is not None, "k6", 60)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_load_test_with_all_that_it_started(
    load_test: "subprocess.Popen[bytes]", how: signal.Signals
) -> None:
    started = children(load_test.pid)
    assert len(started) == 3  # the service, the constant responder, k6
    load_test.send_signal(how)
    assert load_test.wait(20) == 128 + how
    assert not any(is_running(pid) for pid in started)


def test_what_it_started_ends_where_it_is_killed(load_test: "subprocess.Popen[bytes]") -> None:
    started = children(load_test.pid)
    assert len(started) == 3
    load_test.kill()
    wait_until(lambda: not any(is_running(pid) for pid in started), "the end of all three", 20)


def is_running(pid: int) -> bool:
    """Whether a process is there and not merely waited for by nobody (state Z, proc(5))."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
