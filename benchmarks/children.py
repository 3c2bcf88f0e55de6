"""What a measurement starts ends with it: by a signal to the measuring process alone, and where that process is killed.

Rules:
- SIGTERM and SIGINT end all children first, then the process as ``sys.exit`` would: whoever waits for a child in
  another thread is let go, and folders are removed.
- Nothing catches SIGKILL: of children that are started by :func:`pin` the kernel takes care (Linux, prctl(2)).
"""

import contextlib
import ctypes
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
"""<linux/prctl.h>"""
_libc = ctypes.CDLL(None)


def children(pid: int) -> list[int]:
    """The processes that a process has started, and not waited for."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def pin(cores: Sequence[int]) -> None:
    """To be called in a new process: it may run on ``cores``, and is sent SIGTERM when the thread that made it ends."""
    os.sched_setaffinity(0, cores)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def tied(command: Sequence[str]) -> list[str]:
    """The command of a program that is sent SIGTERM when the thread that starts it ends, where setpriv(1) is there.

    By a program of its own, for who starts it beside other threads: code between fork and exec is not safe there.
    """
    setpriv = shutil.which("setpriv")
    return [*([setpriv, "--pdeathsig", "TERM"] if setpriv else []), *command]


def end_them_on_signals() -> None:
    """On SIGTERM and SIGINT end all children, then this process with 128 and the signal's number, as shells say it.

    SIGINT counts where it is ignored, too, as shells have it for what runs in the background.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    for child in children(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    raise SystemExit(128 + number)
