"""A picture of a run's HTML report, taken by Chromium."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.pictures import browser_command

SIZE = (1180, 1420)
"""Width and height in pixels."""
SECONDS = 60


class PictureError(Exception):
    """There is no browser, or no report; the message says which."""


def take(report: Path, picture: Path) -> None:
    """Write a PNG of a report.html. Raises PictureError."""
    program = shutil.which("chromium")
    if program is None:
        raise PictureError("chromium is needed: sudo apt-get install -y --no-install-recommends chromium")
    if not report.is_file():
        raise PictureError(f"{report} is not there")
    with tempfile.TemporaryDirectory() as profile:
        shot = (f"--screenshot={picture}", f"--window-size={SIZE[0]},{SIZE[1]}")
        command = browser_command(program, Path(profile), *shot, report.resolve().as_uri())
        subprocess.run(command, capture_output=True, timeout=SECONDS, check=True)
