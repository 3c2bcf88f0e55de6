"""A real browser: Chromium without a window."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.pictures import browser_command

LookAt = Callable[[str], tuple[str, str]]


@pytest.fixture
def look_at(tmp_path: Path) -> LookAt:
    """``look_at(url)``: the document as the browser has it, and what its console says."""
    program = shutil.which("chromium")
    assert program is not None, "chromium is needed: make browser installs it where it may"

    def look(url: str) -> tuple[str, str]:
        command = browser_command(program, tmp_path, "--enable-logging=stderr", "--dump-dom", url)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)

    return look
