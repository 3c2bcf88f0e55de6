"""What was measured on: without it no figure means anything."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec

REPOSITORY = Path(__file__).parent.parent
_PACKAGES = ("cryptography", "httptools", "msgspec", "prometheus-client", "uvicorn", "uvloop")


class Machine(msgspec.Struct, frozen=True):
    """The machine and the program."""

    cpu: str
    cores: int
    """Cores that the benchmark may use."""
    memory_gib: float
    kernel: str
    python: str
    packages: dict[str, str]
    commit: str
    """With ``+`` behind it if the working tree differs from it; ``unknown`` outside a repository."""
    load_before: float
    """The load average of the last minute before the benchmark began: above 0.5, something else was running."""
    idle_cores_polled: bool = False
    """Whether cores without work were kept awake (:mod:`benchmarks.idle_cores`)."""

    @property
    def idle_cores(self) -> str:
        """What they did, to follow "cores without work"."""
        return "were kept awake" if self.idle_cores_polled else "slept"


def describe(*, idle_cores_polled: bool = False) -> Machine:
    """This machine, now."""
    return Machine(
        cpu=cpu_model(Path("/proc/cpuinfo").read_text().splitlines()),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages={name: importlib.metadata.version(name) for name in _PACKAGES},
        commit=commit_of(REPOSITORY),
        load_before=round(os.getloadavg()[0], 2),
        idle_cores_polled=idle_cores_polled,
    )


def cpu_model(cpuinfo: Iterable[str]) -> str:
    """The processor's name in the lines of ``/proc/cpuinfo``; not every architecture has one there."""
    for line in cpuinfo:
        name, colon, value = line.partition(":")
        if colon and name.strip() == "model name":
            return value.strip()
    return platform.machine()


def commit_of(tree: Path) -> str:
    """The commit of a working tree, short."""
    found = subprocess.run(
        ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"


def split_cores() -> tuple[list[int], list[int]]:
    """The core of the server and the core of the load; the same one where there is no other.

    ``BENCH_SERVER_CORE`` in the environment chooses the server's; SystemExit if it is not there.
    """
    cores = sorted(os.sched_getaffinity(0))
    named = os.environ.get("BENCH_SERVER_CORE", str(cores[0]))
    if named not in map(str, cores):
        raise SystemExit(f"BENCH_SERVER_CORE is {named!r}; it must be one of {', '.join(map(str, cores))}")
    server = int(named)
    return [server], [core for core in cores if core != server][-1:] or [server]
