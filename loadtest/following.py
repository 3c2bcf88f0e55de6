"""What k6 prints in a pod, followed until its container has ended.

Rules:
- A connection to the cluster may be cut at any time of a run that takes an hour: the log is followed again, and only
  the end of the container is the end of the run. The Job's deadline sees to that.
- The log is read from its beginning each time and what is known of it is skipped, so that no line is lost or doubled
  (`--since-time` knows whole seconds alone).
"""

import subprocess
import time
from pathlib import Path
from typing import TextIO

from loadtest.kube import ClusterError, json_of

REPORTS = '{"reports":'
"""How the line with the reports begins, which k6/_summary.js prints in the chart's Job."""
LOST_SECONDS = 180.0
"""How long a pod may be neither seen nor read before it counts as lost."""
_LOOK_SECONDS = 1.0


def follow(namespace: str, pod: str, copy: Path) -> tuple[str, int]:
    """What k6 printed, shown as it comes and copied, and the exit code of its container.

    Raises ClusterError where the pod can neither be seen nor read for LOST_SECONDS.
    """
    lines: list[str] = []
    lost_at = time.monotonic() + LOST_SECONDS
    with copy.open("w") as file:
        while True:
            problem = ""
            code = None
            try:
                # Before the log is read: what had ended by then has printed all that it prints.
                code = _exit_code(namespace, pod)
            except ClusterError as error:
                problem = str(error)
            read = _read_on(namespace, pod, lines, file)
            if read != 0:
                problem = problem or f"kubectl logs of pod {pod} ended with {read}"
            elif code is not None:
                return "".join(lines), code
            if not problem:
                lost_at = time.monotonic() + LOST_SECONDS
            elif time.monotonic() >= lost_at:
                raise ClusterError(f"pod {pod} was lost for {LOST_SECONDS:g} s: {problem}")
            time.sleep(_LOOK_SECONDS)


def _read_on(namespace: str, pod: str, lines: list[str], file: TextIO) -> int:
    """Add what the log has beyond these lines, until it ends; kubectl's exit code."""
    command = ["kubectl", "-n", namespace, "logs", "--follow", "--container", "k6", pod]
    known = len(lines)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - narrows the type
        for number, line in enumerate(process.stdout):
            if number < known or not line.endswith("\n"):  # a line that was cut comes whole next time
                continue
            lines.append(line)
            if line.startswith(REPORTS):
                continue
            file.write(line)
            file.flush()
            print(line, end="", flush=True)
    return process.returncode


def _exit_code(namespace: str, pod: str) -> int | None:
    """k6's; None while it runs. Raises ClusterError."""
    status = json_of(["kubectl", "-n", namespace, "get", "pod", pod, "-o", "json"])["status"]
    for container in status.get("containerStatuses", []):
        if container["name"] == "k6" and "terminated" in container["state"]:
            code: int = container["state"]["terminated"]["exitCode"]
            return code
    return None
