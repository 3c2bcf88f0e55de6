"""A real redis-server that a test owns: started empty, ended by its process id.

Rules:
- It listens on 127.0.0.1 alone, on a port found free, and writes nothing outside its folder.
- It dies with the test run, however that ends: the kernel signals it where ``setpriv`` is there to ask for that.
- Every wait is bounded and says, when it gives up, what the server wrote.
"""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.programs.ports import free_port

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0
_PORT_ATTEMPTS = 5


class RedisProcess:
    """One redis-server. ``arguments`` are added to its command line, for example ``("--requirepass", "secret")``."""

    def __init__(self, program: str, folder: Path, arguments: Sequence[str] = ()) -> None:
        self.folder = folder
        self.port = 0
        self._program = program
        self._arguments = tuple(arguments)
        self._process: subprocess.Popen[bytes] | None = None
        for _ in range(_PORT_ATTEMPTS):
            self.port = free_port()
            if self._start():
                return
        raise RuntimeError(f"redis-server found no port to listen on; its log ends:\n{self.log_tail()}")

    @property
    def url(self) -> str:
        """``redis://127.0.0.1:PORT/0``"""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process id of the running server. Raises RuntimeError while it is down."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it as its operator would (SIGTERM) and wait; nothing happens if it is down already."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a chance to say goodbye (SIGKILL)."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Make it hang (SIGSTOP): connections stay open, nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after :meth:`pause`."""
        self._running().send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop it if it runs, then start it on the same port with the same arguments, empty."""
        self.stop()
        if not self._start():
            raise RuntimeError(f"redis-server did not come back on port {self.port}; its log ends:\n{self.log_tail()}")

    def replicate(self, master_port: int) -> None:
        """From its next start on, be a replica of the server on this port."""
        arguments = list(self._arguments)
        if "--replicaof" in arguments:
            at = arguments.index("--replicaof")
            del arguments[at : at + 3]
        self._arguments = (*arguments, "--replicaof", "127.0.0.1", str(master_port))

    def log_tail(self) -> str:
        """The last lines that the server wrote."""
        log = self.folder / "redis.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-10:]) if log.exists() else "(nothing)"

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError("this redis-server is not running")
        return self._process

    def _start(self) -> bool:
        command = [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "no", "--daemonize", "no", *self._arguments]
        setpriv = shutil.which("setpriv")
        if setpriv:
            command = [setpriv, "--pdeathsig", "TERM", *command]
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        give_up_at = time.monotonic() + _START_SECONDS
        while time.monotonic() < give_up_at:
            if self._process.poll() is not None:
                self._process = None
                return False
            if self._answers():
                return True
            time.sleep(0.01)
        self.kill()
        raise RuntimeError(f"redis-server did not answer in {_START_SECONDS:g} s; its log ends:\n{self.log_tail()}")

    def _answers(self) -> bool:
        # Any reply will do: with a password set the server answers PING with NOAUTH.
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16)[:1] in {b"+", b"-"}
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            # A paused process would not see SIGTERM.
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_SECONDS)
        self._process = None
