"""Limits of memory and CPU from the files of both versions of control groups."""

import pytest

from app.observability.process_limits import ProcessLimits, process_limits

GIB = 1024**3
MACHINE = {"/proc/meminfo": "MemFree: 1 kB\nMemTotal:        8388608 kB\n"}
V2 = "/sys/fs/cgroup"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, ProcessLimits(0, 4.0), id="nothing can be read"),
        pytest.param(MACHINE, ProcessLimits(8 * GIB, 4.0), id="no group: the machine"),
        pytest.param(
            {
                **MACHINE,
                "/proc/self/cgroup": "0::/\n",
                f"{V2}/memory.max": "268435456\n",
                f"{V2}/cpu.max": "50000 100000\n",
            },
            ProcessLimits(256 * 1024**2, 0.5),
            id="version 2 in a container",
        ),
        pytest.param(
            {**MACHINE, "/proc/self/cgroup": "0::/\n", f"{V2}/memory.max": "max\n", f"{V2}/cpu.max": "max 100000\n"},
            ProcessLimits(8 * GIB, 4.0),
            id="version 2 without limits",
        ),
        pytest.param(
            {
                **MACHINE,
                "/proc/self/cgroup": "0::/kubepods/pod1/c1\n",
                f"{V2}/kubepods/pod1/c1/memory.max": "max\n",
                f"{V2}/kubepods/pod1/memory.max": f"{GIB}\n",
                f"{V2}/kubepods/pod1/cpu.max": "200000 100000\n",
            },
            ProcessLimits(GIB, 2.0),
            id="the least limit of the groups above",
        ),
        pytest.param(
            {
                **MACHINE,
                "/proc/self/cgroup": "4:memory:/box\n1:cpu,cpuacct:/box\n",
                "/sys/fs/cgroup/memory/box/memory.limit_in_bytes": f"{GIB}\n",
                "/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "150000\n",
                "/sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000\n",
            },
            ProcessLimits(GIB, 1.5),
            id="version 1",
        ),
        pytest.param(
            {
                **MACHINE,
                "/proc/self/cgroup": "4:memory:/outside/path\n1:cpu:/outside/path\n",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GIB}\n",
                "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            ProcessLimits(GIB, 4.0),
            id="version 1 in a container: the group is the root",
        ),
        pytest.param(
            {
                **MACHINE,
                "/proc/self/cgroup": "4:memory:/\n",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            ProcessLimits(8 * GIB, 4.0),
            id="version 1 without limits says a number larger than the machine",
        ),
    ],
)
def test_the_least_limit_counts(files: dict[str, str], expected: ProcessLimits) -> None:
    assert process_limits(files.get, 4) == expected
