"""A missing program is named together with the command that brings it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.programs import PROGRAMS, install_command, missing

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "programs.py"


def make_program(folder: Path, name: str, script: str = "exit 0") -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def run(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False, timeout=30)


def test_a_program_on_the_path_is_taken_as_it_is(tmp_path: Path) -> None:
    make_program(tmp_path, "wrk")
    done = run(tmp_path, "install", "wrk")
    assert (done.returncode, done.stdout) == (0, f"{'wrk':<16}{tmp_path / 'wrk'}\n")


def test_without_a_way_to_install_the_command_is_printed_and_the_run_goes_on(tmp_path: Path) -> None:
    done = run(tmp_path, "install", "redis-server", "redis-cli")
    assert done.returncode == 0
    assert "sudo apt-get install -y --no-install-recommends redis-server redis-tools" in done.stdout
    assert "this machine has no apt-get" in done.stdout
    assert [line.split() for line in done.stdout.splitlines()[-2:]] == [
        ["redis-server", "missing"],
        ["redis-cli", "missing"],
    ]


def test_a_failing_installation_is_shown_with_its_output(tmp_path: Path) -> None:
    make_program(tmp_path, "apt-get", "echo no network >&2; exit 100")
    make_program(tmp_path, "env", 'shift; exec /usr/bin/env PATH="$PATH" "$@"')
    make_program(tmp_path, "sudo", 'shift; exec "$@"')
    for tool in ("true", "cp", "rm"):
        make_program(tmp_path, tool)
    done = run(tmp_path, "install", "wrk")
    assert done.returncode == 0
    assert "no network" in done.stderr
    assert "not available: wrk (`apt-get update -qq` failed)" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["remove"], ["install", "no-such-program"]])
def test_wrong_usage_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_every_program_can_be_named_in_the_command() -> None:
    assert install_command(PROGRAMS).split()[:5] == ["sudo", "apt-get", "install", "-y", "--no-install-recommends"]
    assert missing(["sh-that-does-not-exist", "sh"]) == ["sh-that-does-not-exist"]


def test_a_test_that_needs_a_missing_program_is_skipped_with_the_command(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PATH", str(tmp_path))
    pytester.makeconftest("from tests.conftest import redis_url, require_program")
    pytester.makepyfile("def test_it(redis_url): pass")
    result = pytester.runpytest_inprocess("-rs", "-p", "no:cacheprovider")
    assert result.parseoutcomes() == {"skipped": 1}
    result.stdout.fnmatch_lines(["*redis-server is not on the PATH*sudo apt-get install*redis-server*"])
