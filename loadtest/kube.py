"""The programs helm and kubectl, against the current context."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

TIMEOUT_SECONDS = 600.0
"""How long a command may take: longer than helm is told to wait."""


class ClusterError(Exception):
    """helm or kubectl failed, or the Job did not start; the message has what was said."""


def json_of(command: Sequence[str]) -> Any:
    """What a command prints, as JSON. Raises ClusterError."""
    return json.loads(output_of(command))


def service_pods(namespace: str, release: str) -> dict[str, Any]:
    """The list of a release's pods that serve, or did and are on their way out. Raises ClusterError."""
    chosen = f"app.kubernetes.io/instance={release},app.kubernetes.io/component=service"
    pods: dict[str, Any] = json_of(["kubectl", "-n", namespace, "get", "pods", "-o", "json", "-l", chosen])
    return pods


def output_of(command: Sequence[str], *, start_new_session: bool = False) -> str:
    """What a command prints. Raises ClusterError with what it said where it is missing, fails or takes too long.

    ``start_new_session``: Ctrl-C in a terminal, which goes to every program of its session, does not reach it.
    """
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
            start_new_session=start_new_session,
        )
    except FileNotFoundError:
        raise ClusterError(f"{command[0]} is missing") from None
    except subprocess.TimeoutExpired:
        raise ClusterError(f"{' '.join(command[:5])}: no end within {TIMEOUT_SECONDS:g} s") from None
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(command[:5])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
