#!/usr/bin/env python3
"""The programs beside Python that tests and benchmarks use, and how a machine gets them.

    python3 tools/programs.py install redis-server node npm

Needs nothing but the standard library, because it runs before anything is installed. A program that is on the PATH is
taken as it is. A missing one comes from the distribution's packages where that is allowed (root, or sudo without a
password); where not, the line that would bring it is printed and the exit code is still 0: the tests that need it say
so themselves, and with CI=true they fail.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple


class Program(NamedTuple):
    """One program: the distribution's package (Debian's and Ubuntu's name) and what it is for."""

    package: str
    purpose: str


PROGRAMS: dict[str, Program] = {
    "redis-server": Program("redis-server", "the Redis store is tested against the real one"),
    "redis-sentinel": Program("redis-sentinel", "failover is tested with the real one"),
    "redis-cli": Program("redis-tools", "looking into a test's Redis"),
    "node": Program("nodejs", "client libraries of the npm world are run against the service"),
    "npm": Program("npm", "installs those client libraries"),
    "promtool": Program("prometheus", "alert rules are checked and tested, and alerts seen to fire, with the real one"),
    "prometheus": Program("prometheus", "queries of rules and dashboards run on the real one"),
    "amtool": Program("prometheus-alertmanager", "the example of routing is checked with the real one"),
    "prometheus-alertmanager": Program("prometheus-alertmanager", "alerts are routed and inhibited by the real one"),
    "git": Program("git", "what is committed is checked"),
    "chromium": Program("chromium", "the operators' page is looked at with a real browser"),
    "wrk": Program("wrk", "the load of the benchmark"),
    "perf": Program("linux-perf", "where the time of a request goes, the kernel's part included"),
    "bash": Program("bash", "the commands of runbooks are parsed and run as they stand"),
    "curl": Program("curl", "the commands of runbooks are run as they stand"),
    "faketime": Program("faketime", "a process with a wrong clock, until its alert fires"),
}


def install_command(names: Iterable[str]) -> str:
    """The line that a person would type to get these programs."""
    packages = sorted({PROGRAMS[name].package for name in names})
    return f"sudo apt-get install -y --no-install-recommends {' '.join(packages)}"


def missing(names: Iterable[str]) -> list[str]:
    """Those of the programs that are not on the PATH."""
    return [name for name in names if shutil.which(name) is None]


def _privilege() -> list[str] | None:
    """What to put before a command that needs root; None if there is no way without asking a person."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


def _service_blocker(folder: Path) -> Path:
    """A policy-rc.d that says no: a package must not start its service (a Redis on its usual port) on this machine."""
    blocker = folder / "policy-rc.d"
    blocker.write_text("#!/bin/sh\nexit 101\n")
    blocker.chmod(0o755)
    return blocker


def _install(names: Sequence[str]) -> str | None:
    """Install the packages of these programs; returns why that was not possible."""
    privilege = _privilege()
    if shutil.which("apt-get") is None:
        return "this machine has no apt-get"
    if privilege is None:
        return "this needs root, or sudo without a password"
    policy = Path("/usr/sbin/policy-rc.d")
    blocked = False
    with tempfile.TemporaryDirectory() as folder:
        if not policy.exists():
            blocker = _service_blocker(Path(folder))
            blocked = subprocess.run([*privilege, "cp", "-p", str(blocker), str(policy)], check=False).returncode == 0
    packages = sorted({PROGRAMS[name].package for name in names})
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    try:
        for command in (["apt-get", "update", "-qq"], install):
            done = subprocess.run(
                [*privilege, *environment, *command], stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
            if done.returncode:
                sys.stderr.write(done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace"))
                return f"`{' '.join(command)}` failed"
    finally:
        if blocked:
            subprocess.run([*privilege, "rm", "-f", str(policy)], check=False)
    return None


def main(arguments: Sequence[str]) -> int:
    """Install what is missing of the named programs, and print where each one is."""
    if not arguments or arguments[0] != "install" or any(name not in PROGRAMS for name in arguments[1:]):
        print(f"usage: {sys.argv[0]} install PROGRAM...\nprograms: {' '.join(PROGRAMS)}", file=sys.stderr)
        return 2
    names = list(arguments[1:])
    absent = missing(names)
    if absent:
        print(f"installing {', '.join(absent)} from the distribution's packages")
        problem = _install(absent)
        still_absent = missing(absent)
        if still_absent:
            print(f"not available: {', '.join(still_absent)} ({problem or 'not on the PATH after installing'})")
            print(f"the tests that need them are skipped; to run them: {install_command(still_absent)}")
    for name in names:
        print(f"{name:<16}{shutil.which(name) or 'missing'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
