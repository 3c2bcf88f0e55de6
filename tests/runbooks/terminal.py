"""A shell where a service runs: its environment, ``auth-service`` on the path, its listeners under their usual ports.

The service of a test listens on ports that were free. So that the commands of runbooks can be run as they stand, and
what they say can be shown as it is elsewhere, the usual addresses are exchanged for the real ones in the command and
back in its output, and the test's folders for ``/etc/auth-service``.
"""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tests.programs.service_clients import CANARY
from tests.programs.service_process import ROOT, ServiceProcess

SECONDS = 90.0
_NOT_FOUND = (126, 127)


class Ran(msgspec.Struct, frozen=True):
    """A command, and what came of it: both streams in the order in which they were written."""

    command: str
    code: int
    output: str


class Terminal:
    """Runs command lines beside one service. ``folder``: where it may put its programs."""

    def __init__(self, folder: Path, service: ServiceProcess, extra: Mapping[str, str] | None = None) -> None:
        folder.mkdir(exist_ok=True)
        program = folder / "auth-service"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m app "$@"\n')
        program.chmod(0o755)
        self._environment = {**service.settings, **(extra or {}), "COLUMNS": "120", "LC_ALL": "C.UTF-8"}
        self._environment["PATH"] = f"{folder}:{service.settings['PATH']}"
        self._environment["PYTHONPATH"] = str(ROOT)
        self._environment.pop("LD_PRELOAD", None)  # what is wrong with the service's process is its own
        self._folder = service.folder
        self._addresses = {
            "127.0.0.1:8080": service.base_url.removeprefix("http://"),
            "127.0.0.1:9464": service.metrics_url.removeprefix("http://"),
            "127.0.0.1:9465": service.admin_url.removeprefix("http://"),
        }

    def run(self, command: str) -> Ran:
        """Run a line of a runbook by bash. Raises AssertionError if its program is not there or it tells a secret."""
        line = command
        for usual, real in self._addresses.items():
            line = line.replace(usual, real)
        done = subprocess.run(
            ["bash", "-c", line],
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode not in _NOT_FOUND, f"{command}: {done.stdout}"
        assert CANARY not in done.stdout, f"{command} tells a secret"
        return Ran(command, done.returncode, self._as_elsewhere(done.stdout))

    def _as_elsewhere(self, text: str) -> str:
        for usual, real in self._addresses.items():
            gap = " " * (len(real) - len(usual))
            text = re.sub(rf"{re.escape(real)}(?=  )", usual + gap, text).replace(real, usual)
            text = text.replace(real.replace(":", " port "), usual.replace(":", " port "))
        for folder in (self._folder, self._folder.parent):
            text = text.replace(str(folder), "/etc/auth-service")
        return text
