"""Several processes on one port (``serve --workers N``), for one machine without an orchestrator.

The parent binds the public socket and watches; each child serves on it, with ports of its own for metrics and admin.
A child that dies is replaced, more slowly the sooner it died.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping

from app import clock
from app.config.problems import ConfigurationError, Problem
from app.config.settings import Settings
from app.web.serving import bind

logger = logging.getLogger("app.workers")

INDEX = "AUTH_SERVICE_WORKER"
SOCKET = "AUTH_SERVICE_SOCKET"
LIFELINE = "AUTH_SERVICE_LIFELINE"
"""What a child is told by its environment: which worker it is, the file descriptor of the public socket, and that of a
pipe which closes when the parent ends, however it ends."""
_QUICK_DEATH_SECONDS = 10.0
_MAX_PAUSE_SECONDS = 30.0
_LOOK_SECONDS = 0.2
CONFIGURATION = 2
"""The exit code of a worker that cannot use its configuration: it would be the same the next time."""
_MAX_QUICK_DEATHS = 5
"""So many deaths in a row, each soon after its start, and the cause is the same for all: give up."""


def check_workers(settings: Settings) -> None:
    """Raises ConfigurationError where several processes could not act as one service."""
    problems: list[Problem] = []
    if settings.store.redis_url is None:
        problems.append(
            Problem("--workers", "needs REDIS_URL: each process would remember only the tokens that it issued itself")
        )
    if settings.keys.keys_source == "memory:":
        problems.append(
            Problem("--workers", "needs shared keys: set KEYS_SOURCE or KEYS_FILE (`auth-service keys init` makes one)")
        )
    if problems:
        raise ConfigurationError(problems)


def inherited() -> tuple[int, socket.socket | None]:
    """The index and the public socket of this process, if it is a worker; else 0 and None.

    A worker drains, as on SIGTERM, once its parent is gone: serving on, it would hold the port with nobody to stop it.
    """
    descriptor = os.environ.get(SOCKET)
    if descriptor is None:
        return 0, None
    lifeline = int(os.environ[LIFELINE])
    threading.Thread(target=_end_with, args=(lifeline,), name="lifeline", daemon=True).start()
    return int(os.environ[INDEX]), socket.socket(fileno=int(descriptor))


def _end_with(lifeline: int) -> None:
    os.read(lifeline, 1)  # nothing is ever written: it returns when the other end is closed
    os.kill(os.getpid(), signal.SIGTERM)


class Supervisor:
    """Starts the workers, replaces dead ones, passes signals on."""

    def __init__(self, count: int, settings: Settings, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._public = bind("BIND_ADDR", settings.listeners.bind_addr.host, settings.listeners.bind_addr.port)
        # The end that is written to stays here alone (PEP 446), so that it closes with this process.
        self._lifeline, self._alive = os.pipe()
        self._workers: list[subprocess.Popen[bytes] | None] = [None] * count
        self._started = [0.0] * count
        self._due = [0.0] * count
        self._quick_deaths = [0] * count
        self._stopping = threading.Event()

    def run(self) -> int:
        """Supervise until told to stop; the exit code of the whole."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)
        failed = 0
        while not self._stopping.is_set():
            for index in range(len(self._workers)):
                failed = failed or self._look_after(index)
            if failed:
                self._pass_on(signal.SIGTERM)
            self._stopping.wait(_LOOK_SECONDS)
        for worker in self._workers:
            if worker is not None:
                failed = _exit_code(worker.wait()) or failed
        return failed

    def _look_after(self, index: int) -> int:
        """Start a worker that is due, note one that died; its exit code if there is no use in starting it again."""
        worker = self._workers[index]
        if worker is None:
            if clock.monotonic() >= self._due[index]:
                self._start(index)
            return 0
        if worker.poll() is None:
            return 0
        code = _exit_code(worker.returncode)
        quick = clock.monotonic() - self._started[index] < _QUICK_DEATH_SECONDS
        self._quick_deaths[index] = self._quick_deaths[index] + 1 if quick else 0
        if code == CONFIGURATION or self._quick_deaths[index] >= _MAX_QUICK_DEATHS:
            logger.error("worker %d ended with %d: not started again", index, worker.returncode)
            return code or 1
        pause = min(_MAX_PAUSE_SECONDS, 2.0 ** self._quick_deaths[index] - 1)
        logger.error("worker %d ended with %d: started again in %g s", index, worker.returncode, pause)
        self._workers[index] = None
        self._due[index] = clock.monotonic() + pause
        return 0

    def _start(self, index: int) -> None:
        descriptor = self._public.fileno()
        self._started[index] = clock.monotonic()
        worker = self._workers[index] = subprocess.Popen(
            [sys.executable, "-m", "app", "serve"],
            env={**self._environ, INDEX: str(index), SOCKET: str(descriptor), LIFELINE: str(self._lifeline)},
            pass_fds=[descriptor, self._lifeline],
        )
        if self._stopping.is_set():  # the signal came while it was being started, and did not reach it
            worker.terminate()

    def _pass_on(self, number: int, _frame: object = None) -> None:
        self._stopping.set()
        for worker in self._workers:
            if worker is not None and worker.poll() is None:
                worker.send_signal(number)


def _exit_code(returned: int) -> int:
    """A worker's exit code as the whole's: a signal's number is no exit code."""
    return 1 if returned < 0 else returned
