"""A real process of the service that a test owns: started on free ports, ended by its process id.

Rules:
- It listens on 127.0.0.1 alone and sees no setting of the caller's environment.
- It dies with the test run, however that ends: the kernel signals it where ``setpriv`` is there to ask for that.
- Every wait is bounded and says, when it gives up, what the service wrote.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.programs.plain import plain_settings
from tests.programs.ports import free_port

ROOT = Path(__file__).parents[2]
_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_PORT_ATTEMPTS = 5
_PORT_TAKEN = "another process listens there"


class ServiceEnded(Exception):
    """The service ended instead of becoming ready."""

    def __init__(self, code: int, output: str, log: str) -> None:
        super().__init__(f"the service ended with {code}; it wrote:\n{output}{log}")
        self.code = code
        self.output = output
        self.log = log


class ServiceProcess:
    """``python -m app serve``, ready to be asked.

    ``environment`` are its settings, beside the addresses; ``arguments`` are added to its command line.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        *,
        ready_path: str = "/health/ready",
    ) -> None:
        self.folder = folder
        self.settings: dict[str, str] = {}
        """Its whole environment, the addresses included: for commands that are run beside it."""
        self._environment = dict(environment or {})
        self._arguments = tuple(arguments)
        self._ready_path = ready_path
        self._process: subprocess.Popen[bytes] | None = None
        for attempt in range(_PORT_ATTEMPTS):
            try:
                self._start()
                return
            except ServiceEnded as ended:
                if _PORT_TAKEN not in ended.log or attempt == _PORT_ATTEMPTS - 1:
                    raise

    @property
    def pid(self) -> int:
        """The id of the process, which may have ended meanwhile."""
        return self._started().pid

    @property
    def output(self) -> str:
        """What it wrote to standard output so far."""
        return _read(self.folder / "output")

    @property
    def logs(self) -> str:
        """What it wrote to standard error so far: its log."""
        return _read(self.folder / "log")

    def log_records(self) -> list[dict[str, Any]]:
        """The log's lines, each a JSON object."""
        return [json.loads(line) for line in self.logs.splitlines()]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, wait for its end and return its exit code; of one that has ended, only the code."""
        if self._started().poll() is None:
            self.signal(how)
        return self.wait()

    def signal(self, how: signal.Signals) -> None:
        """Send it a signal."""
        self._started().send_signal(how)

    def wait(self) -> int:
        """Wait for its end and return its exit code. Raises AssertionError, and ends it, where that takes too long."""
        process = self._started()
        try:
            return process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_SECONDS)
            raise AssertionError(f"the service did not stop in {_STOP_SECONDS:g} s; its log:\n{self.logs}") from None

    def kill(self) -> None:
        """End it without a chance to say goodbye; nothing happens where it has ended."""
        self.stop(signal.SIGKILL)

    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def _start(self) -> None:
        ports = [free_port() for _ in range(3)]
        self.address = ("127.0.0.1", ports[0])
        self.base_url, self.metrics_url, self.admin_url = (f"http://127.0.0.1:{port}" for port in ports)
        environment = environment_of_its_own({"DRAIN_SECONDS": "0", **self._environment})
        for name, port in zip(("BIND_ADDR", "METRICS_ADDR", "ADMIN_ADDR"), ports, strict=True):
            environment.setdefault(name, f"127.0.0.1:{port}")
        self.settings = environment
        self.metrics_url = f"http://{environment['METRICS_ADDR']}"  # a test may have named one
        with (self.folder / "output").open("wb") as output, (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                serve_command(*self._arguments),
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
            )
        give_up_at = time.monotonic() + _START_SECONDS
        while time.monotonic() < give_up_at:
            code = self._process.poll()
            if code is not None:
                raise ServiceEnded(code, self.output, self.logs)
            if self._answers():
                return
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"the service was not ready in {_START_SECONDS:g} s; its log:\n{self.logs}")

    def _answers(self) -> bool:
        try:
            # A certificate of a test is nobody's to trust here; the listener for probes speaks no TLS.
            url = self.metrics_url if "TLS_CERT_FILE" in self._environment else self.base_url
            with urllib.request.urlopen(url + self._ready_path, timeout=2):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False


def open_sockets(pid: int) -> int:
    """How many sockets a process has open, the listening ones among them; one with several descriptors counts once."""
    names = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            names.add(link.readlink().name)
    return sum(name.startswith("socket:") for name in names)


def serve_command(*arguments: str) -> list[str]:
    """The command line of ``serve``, tied to the life of this process where that can be had."""
    command = [sys.executable, "-m", "app", "serve", *arguments]
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", *command] if setpriv else command


def environment_of_its_own(settings: Mapping[str, str]) -> dict[str, str]:
    """An environment with ``settings`` and what any program needs, and nothing else of the caller's."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **plain_settings(), **settings}


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Wait until ``condition`` holds. Raises AssertionError, naming ``what``, where that takes too long."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, f"waited {seconds:g} s for {what}"
        time.sleep(0.02)


def _read(path: Path) -> str:
    return path.read_text(errors="backslashreplace")
