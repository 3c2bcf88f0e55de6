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
"""What a child is told by its environment: which worker it is, and the file descriptor of the public socket."""
_QUICK_DEATH_SECONDS = 10.0
_MAX_PAUSE_SECONDS = 30.0
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
    """The index and the public socket of this process, if it is a worker; else 0 and None."""
    descriptor = os.environ.get(SOCKET)
    if descriptor is None:
        return 0, None
    return int(os.environ[INDEX]), socket.socket(fileno=int(descriptor))


class Supervisor:
    """Starts the workers, replaces dead ones, passes signals on."""

    def __init__(self, count: int, settings: Settings, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._public = bind("BIND_ADDR", settings.listeners.bind_addr.host, settings.listeners.bind_addr.port)
        self._workers: list[subprocess.Popen[bytes] | None] = [None] * count
        self._started = [0.0] * count
        self._quick_deaths = [0] * count
        self._stopping = threading.Event()

    def run(self) -> int:
        """Supervise until told to stop; the exit code of the whole."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)
        for index in range(len(self._workers)):
            self._start(index)
        failed = 0
        while not self._stopping.wait(0.2):
            for index, worker in enumerate(self._workers):
                if worker is not None and worker.poll() is not None:
                    failed = self._replace(index, worker.returncode)
                    if failed:
                        self._pass_on(signal.SIGTERM)
                        break
        for worker in self._workers:
            if worker is not None:
                failed = worker.wait() or failed
        return failed

    def _start(self, index: int) -> None:
        descriptor = self._public.fileno()
        self._started[index] = clock.monotonic()
        self._workers[index] = subprocess.Popen(
            [sys.executable, "-m", "app", "serve"],
            env={**self._environ, INDEX: str(index), SOCKET: str(descriptor)},
            pass_fds=[descriptor],
        )

    def _replace(self, index: int, code: int) -> int:
        """Start a dead worker anew; its exit code if there is no use in that."""
        quick = clock.monotonic() - self._started[index] < _QUICK_DEATH_SECONDS
        self._quick_deaths[index] = self._quick_deaths[index] + 1 if quick else 0
        if code == 2 or self._quick_deaths[index] >= _MAX_QUICK_DEATHS:
            logger.error("worker %d ended with %d: not started again", index, code)
            return code or 1
        pause = min(_MAX_PAUSE_SECONDS, 2.0 ** self._quick_deaths[index] - 1)
        logger.error("worker %d ended with %d: started again in %g s", index, code, pause)
        if not self._stopping.wait(pause):
            self._start(index)
        return 0

    def _pass_on(self, number: int, _frame: object = None) -> None:
        self._stopping.set()
        for worker in self._workers:
            if worker is not None and worker.poll() is None:
                worker.send_signal(number)
