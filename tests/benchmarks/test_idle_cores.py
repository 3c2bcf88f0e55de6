"""Whether cores that have nothing to do are kept awake during a measurement."""

import contextlib
import os
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import bench, idle_cores
from benchmarks.http_rounds import Schedule
from benchmarks.machine import Machine
from benchmarks.results import Results


def test_the_kernel_is_asked_for_no_latency_at_all_and_for_as_long_as_the_file_is_held(tmp_path: Path) -> None:
    device = tmp_path / "cpu_dma_latency"
    device.touch()
    with idle_cores.polling(device) as polled:
        assert polled
        assert device.read_bytes() == bytes(4)  # a number of microseconds, 32 bits
        assert _is_open(device)
    assert not _is_open(device)


def test_a_machine_that_does_not_allow_it_is_measured_as_it_is(tmp_path: Path) -> None:
    with idle_cores.polling(tmp_path / "missing") as polled:
        assert not polled


def _is_open(file: Path) -> bool:
    """Whether this process has it open (proc_pid_fd(5))."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing's own is closed by now
            found.add(descriptor.readlink())
    return file in found


def _bound() -> bytes:
    """The least that anybody asks the kernel for now."""
    with idle_cores.DEVICE.open("rb", buffering=0) as device:
        return device.read(4)


def test_this_kernel_takes_the_bound_from_whoever_may_write_it() -> None:
    allowed = os.access(idle_cores.DEVICE, os.R_OK | os.W_OK)
    with idle_cores.polling() as polled:
        assert polled is allowed
        if polled:
            assert _bound() == bytes(4)
    if allowed:
        assert _bound() != bytes(4)


@pytest.mark.parametrize(("arguments", "asked"), [([], True), (["--idle-cores", "sleep"], False)])
def test_a_run_keeps_what_the_idle_cores_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], asked: bool
) -> None:
    def run(schedule: Schedule, machine: Machine, *_: object) -> Results:
        return Results(machine=machine, measured_at="now", rounds=schedule.rounds, seconds=schedule.seconds)

    monkeypatch.setattr(bench, "run", run)
    monkeypatch.delenv("BENCH_IDLE_CORES", raising=False)
    file = tmp_path / "results.json"
    done = CliRunner().invoke(command.main, [*arguments, "run", "--json", str(file)])
    assert done.exit_code == 0, done.output
    polled = asked and os.access(idle_cores.DEVICE, os.R_OK | os.W_OK)
    assert msgspec.json.decode(file.read_bytes(), type=Results).machine.idle_cores_polled is polled
    assert f"cores without work {'were kept awake' if polled else 'slept: the server pays'}" in done.output
