"""Keeping the cores that have nothing to do awake while something is measured.

The load sleeps between answers. On a virtual machine its core then halts, and whoever sends the next answer has to wake
it through the host: a cost of the server's that no client on another machine would cause, and that is largest for the
server that leaves the load the least to do. A core that polls is woken by a write to memory.

The kernel's interface: a process that holds ``/dev/cpu_dma_latency`` open with a bound of 0 us in it keeps every idle
core polling, until it closes the file or ends (Documentation/power/pm_qos_interface.rst).
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

DEVICE = Path("/dev/cpu_dma_latency")
HINT = f": the server pays for waking the load; as root, who may write {DEVICE}, it does not"
_NO_LATENCY = (0).to_bytes(4, "little")


@contextlib.contextmanager
def polling(device: Path = DEVICE) -> Iterator[bool]:
    """While it is entered, idle cores poll; False where the kernel has no such file or it may not be written."""
    with contextlib.ExitStack() as held:
        try:
            file = held.enter_context(device.open("r+b", buffering=0))
            file.write(_NO_LATENCY)
        except OSError:
            allowed = False
        else:
            allowed = True
        yield allowed
