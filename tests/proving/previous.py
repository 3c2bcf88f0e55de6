"""The release before this one, as files to run."""

import io
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
OLDEST = "7a1cd4c7aff4"
"""The commit to compare with while no release is tagged."""


def _git(*arguments: str) -> bytes:
    command = ["git", "-c", f"safe.directory={ROOT}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)
    if done.returncode:
        raise RuntimeError(f"git {arguments[0]} failed: {done.stderr.decode().strip()}")
    return done.stdout


def previous_release() -> str:
    """The newest tag of a release before HEAD, else :data:`OLDEST`. Raises RuntimeError where git knows neither."""
    head = _git("rev-parse", "HEAD").decode().strip()
    for tag in _git("tag", "--list", "v*", "--merged", "HEAD", "--sort=-v:refname").decode().split():
        if _git("rev-parse", f"{tag}^{{commit}}").decode().strip() != head:
            return tag
    return _git("rev-parse", "--verify", f"{OLDEST}^{{commit}}").decode().strip()[:12]


def unpack(release: str, folder: Path) -> Path:
    """Its ``app`` package in a folder, to stand in PYTHONPATH. Raises RuntimeError."""
    with tarfile.open(fileobj=io.BytesIO(_git("archive", release, "app"))) as archive:
        archive.extractall(folder, filter="data")
    return folder
