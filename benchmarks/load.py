"""The load: wrk (https://github.com/wg/wrk) on a core of its own, and what it says of a run."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.children import pin

SCRIPTS = Path(__file__).parent / "lua"
_MARK = "RESULT "


class LoadError(Exception):
    """The load could not be made; the message says why and what helps."""


class Load(msgspec.Struct, frozen=True):
    """One run as the client saw it."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int
    """Answers whose status was not 2xx or 3xx."""
    failed: int
    """Connections, reads and writes that failed or timed out."""
    cpu_seconds: float = 0.0
    """What the server used meanwhile, all its threads."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def rate_on_cpu(self) -> float:
        """Requests a second of the server's CPU time: the same as :attr:`rate` for a server that had all of its core,
        and hardly changed where others took a part of it."""
        return self.requests / self.cpu_seconds

    @property
    def core_share(self) -> float:
        """Which part of its core the server had; below 1, something else ran there or the load was too little."""
        return self.cpu_seconds / self.seconds


class Script(msgspec.Struct, frozen=True):
    """A script of the folder ``lua`` with its arguments."""

    name: str
    arguments: tuple[str, ...]

    @classmethod
    def same(cls, method: str, authorization: str = "", body: str = "") -> "Script":
        """One request over and over; a body is a form."""
        return cls("same.lua", (method, authorization, body))

    @classmethod
    def distinct(cls, authorization: str, body: str) -> "Script":
        """A form over and over, each time with another request id: no two heads are alike."""
        return cls("distinct.lua", (authorization, body))

    @classmethod
    def paced(cls, authorization: str, body: str, mean_pause_ms: float) -> "Script":
        """A form over and over, each connection pausing as long in the mean between an answer and its next request."""
        return cls("paced.lua", ("POST", authorization, body, f"{mean_pause_ms:.4f}"))

    @classmethod
    def uniform(cls, authorization: str, tokens: Path) -> "Script":
        """Introspection of a file's tokens, one a line, each as likely as any other."""
        return cls("uniform.lua", (authorization, str(tokens.absolute())))

    @classmethod
    def collect(cls, authorization: str, tokens: Path, count: int) -> "Script":
        """Client credentials until ``count`` access tokens were added to the file, or the time is up."""
        return cls("collect.lua", (authorization, str(tokens.absolute()), str(count)))


def parse(output: str) -> Load:
    """The result in wrk's output, as ``lua/result.lua`` writes it. Raises LoadError if there is none."""
    for line in output.splitlines():
        if line.startswith(_MARK):
            try:
                return msgspec.convert(json.loads(line.removeprefix(_MARK)), Load)
            except ValueError as error:
                raise LoadError(f"wrk's result cannot be read: {error}") from None
    raise LoadError("wrk printed no result: " + (output.strip().splitlines() or ["nothing at all"])[-1])


def require_wrk() -> str:
    """Where wrk is. Raises LoadError with the command that brings it."""
    found = shutil.which("wrk")
    if found is None:
        raise LoadError("wrk, which makes the load, is not on the PATH: sudo apt-get install -y wrk")
    return found


def run_wrk(
    url: str, script: Script, *, seconds: float, connections: int, cores: Sequence[int], threads: int = 1
) -> Load:
    """Load ``url`` for ``seconds`` (whole seconds; wrk knows no others). Raises LoadError."""
    command = [require_wrk(), f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    done = subprocess.run(
        [*command, "-s", script.name, url, "--", *script.arguments],
        cwd=SCRIPTS,  # the scripts require one another by name
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: pin(cores),
        timeout=seconds + 60,
    )
    if done.returncode:
        raise LoadError(f"wrk ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return parse(done.stdout)
