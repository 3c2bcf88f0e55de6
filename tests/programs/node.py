"""Scripts of ``tests/clients/npm``: client libraries of the npm world, run by the real node."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

NPM_FOLDER = Path(__file__).parents[1] / "clients" / "npm"
NPM_INSTALLED = NPM_FOLDER / "node_modules" / ".package-lock.json"


def run_node_script(
    node: str, script: str, *arguments: str, environment: Mapping[str, str] | None = None, seconds: float = 60
) -> str:
    """Run a script of that folder to its end and return what it printed.

    ``environment`` is added to this process's. Raises AssertionError with all that it wrote if it fails or is too slow.
    """
    command = [node, "--import", str(NPM_FOLDER / "webcrypto.mjs"), str(NPM_FOLDER / script), *arguments]
    env = {**os.environ, **(environment or {})}
    try:
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"{script} did not end within {seconds:g} s; it wrote: {error.output!r}") from None
    if done.returncode:
        raise AssertionError(f"{script} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
