"""What the process may use at most: its memory and CPU limits, from the control group that it is in.

Rules:
- A limit that is not set is the machine's size, so that rules which compare with it need no other case.
- Version 1 and version 2 of control groups; inside a container the group is the root of what is mounted.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

Read = Callable[[str], str | None]
"""The text of a file by its absolute path; None if it cannot be read."""
_V2 = "/sys/fs/cgroup"
_V1_MEMORY, _V1_CPU = "/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu"


class ProcessLimits(msgspec.Struct, frozen=True):
    """What the process may use."""

    memory_bytes: int
    """0 where it is not known: not on Linux."""
    cpu_cores: float


def read_file(path: str) -> str | None:
    """The text of a file, or None."""
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError):
        return None


def process_limits(read: Read, cpu_count: int) -> ProcessLimits:
    """The limits of the calling process (cgroups(7); Documentation/admin-guide/cgroup-v2.rst)."""
    groups = _groups(read("/proc/self/cgroup") or "")
    machine = _machine_memory(read("/proc/meminfo") or "")
    found = [machine, *_memory_limits(read, groups)]
    cores = [float(cpu_count), *_cpu_limits(read, groups)]
    return ProcessLimits(min((limit for limit in found if limit > 0), default=0), min(cores))


def _groups(text: str) -> dict[str, str]:
    """The path of the group by controller; version 2 has the empty name."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path.rstrip("/")
    return groups


def _machine_memory(meminfo: str) -> int:
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _ancestry(path: str) -> list[str]:
    """The group and those above it, each of which may have a limit; inside a container only the root is there."""
    parts = path.strip("/").split("/") if path else []
    return ["/" + "/".join(parts[:depth]) if depth else "" for depth in range(len(parts), -1, -1)]


def _memory_limits(read: Read, groups: dict[str, str]) -> list[int]:
    texts = [read(f"{_V2}{group}/memory.max") for group in _ancestry(groups.get("", ""))]
    texts += [read(f"{_V1_MEMORY}{group}/memory.limit_in_bytes") for group in _ancestry(groups.get("memory", ""))]
    return [int(text) for text in texts if text is not None and text.strip().isdigit()]


def _cpu_limits(read: Read, groups: dict[str, str]) -> list[float]:
    limits: list[float] = []
    for group in _ancestry(groups.get("", "")):
        quota, _, period = (read(f"{_V2}{group}/cpu.max") or "max").strip().partition(" ")
        if quota.isdigit() and period.isdigit():
            limits.append(int(quota) / int(period))
    for group in _ancestry(groups.get("cpu", "")):
        quota = (read(f"{_V1_CPU}{group}/cpu.cfs_quota_us") or "-1").strip()
        period = (read(f"{_V1_CPU}{group}/cpu.cfs_period_us") or "").strip()
        if quota.isdigit() and period.isdigit():
            limits.append(int(quota) / int(period))
    return limits
