"""Starting what is measured: the bare server and the service, each a process of its own, pinned to a core."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.children import children, pin
from benchmarks.machine import REPOSITORY

START_SECONDS = 30.0
"""How long a server may take until it answers: a new RSA key can take seconds on a busy core."""


class ServerError(Exception):
    """A server did not start, or gave a wrong answer; the message has what it said."""


class Server(msgspec.Struct, frozen=True):
    """A running server."""

    name: str
    pid: int
    port: int
    seconds_to_answer: float
    """From the start of the process to the end of its first answer."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def resident_mb(self) -> float:
        """The resident size (VmRSS, proc(5)) in MB of 10^6 bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise ServerError(f"{self.name} is gone")

    def cpu_seconds(self) -> float:
        """CPU time so far of all its threads and of its child processes, which live as long as it does."""
        return cpu_seconds(self.pid)

    def ask(
        self, method: str, path: str, *, authorization: str | None = None, form: str | None = None
    ) -> tuple[int, bytes]:
        """Status and body of one request. Raises OSError."""
        return ask(self.port, method, path, authorization=authorization, form=form)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its children (the first figure of schedstat, Documentation/scheduler/sched-stats)."""
    seconds = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        seconds += int((task / "schedstat").read_text().split()[0]) / 1e9
    return seconds + sum(map(cpu_seconds, children(pid)))


def ask(
    port: int, method: str, path: str, *, authorization: str | None = None, form: str | None = None
) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own. Raises OSError or http.client.HTTPException."""
    headers = {} if authorization is None else {"Authorization": authorization}
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, body=form, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()


@contextlib.contextmanager
def bare_server(cores: Sequence[int], http: str = "httptools") -> Iterator[Server]:
    """The bare server, running. ``http``: uvicorn's option, such as ``benchmarks.ceilings:Parsed``."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--no-access-log", "--loop", "uvloop", "--http", http]
    with running("the bare server", [*command, "--port", str(port), "benchmarks.bare_server:app"], port, cores) as it:
        yield it


@contextlib.contextmanager
def service(
    cores: Sequence[int],
    environ: Mapping[str, str],
    *,
    tree: Path = REPOSITORY,
    python: str = sys.executable,
    name: str = "the service",
    arguments: Sequence[str] = (),
) -> Iterator[Server]:
    """The service of a working tree with the settings ``environ``, running. Nothing else is taken from outside.

    ``arguments``: more of ``serve``'s, such as ``("--workers", "2")``.
    """
    port = free_port()
    listeners = {
        "BIND_ADDR": f"127.0.0.1:{port}",
        "METRICS_ADDR": f"127.0.0.1:{free_port()}",
        "ADMIN_ADDR": f"127.0.0.1:{free_port()}",
        "DRAIN_SECONDS": "0",
    }
    command = [python, "-m", "app", "serve", *arguments]
    with running(name, command, port, cores, tree=tree, environ={**listeners, **environ}) as server:
        yield server


@contextlib.contextmanager
def running(
    name: str,
    command: Sequence[str],
    port: int,
    cores: Sequence[int],
    *,
    tree: Path = REPOSITORY,
    environ: Mapping[str, str] | None = None,
    ready: str = "/health/ready",
) -> Iterator[Server]:
    """A program that answers 200 to a GET of ``ready`` once it is up. Raises ServerError with what it printed."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with tempfile.TemporaryFile("w+") as log:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=tree,  # the interpreter takes the tree's own packages first
            env={**inherited, **(environ or {})},
            stdout=log,
            stderr=log,
            preexec_fn=lambda: pin(cores),
        )
        try:
            _await_answer(name, process, port, ready)
            yield Server(name, process.pid, port, time.perf_counter() - started)
            if process.poll() is not None:
                raise ServerError(f"{name} ended by itself with {process.returncode}")
        except ServerError as error:
            if not str(error).startswith(name):
                raise  # another server's fault
            log.seek(0)
            raise ServerError(f"{error}\n{log.read()[-2000:]}") from None
        finally:
            _stop(process)


def _await_answer(name: str, process: "subprocess.Popen[bytes]", port: int, ready: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerError(f"{name} ended with {process.returncode} before its first answer")
        with contextlib.suppress(OSError, http.client.HTTPException):
            if ask(port, "GET", ready)[0] == 200:
                return
        time.sleep(0.01)
    raise ServerError(f"{name} gave no answer within {START_SECONDS:g} s")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
