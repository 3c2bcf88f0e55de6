"""A load test in a cluster: the chart's Job is started by an upgrade of the release, followed, and judged.

The programs helm and kubectl do the work, against the current context; nothing else of the release changes. The Job
goes when it has been judged, its client and scripts stay for the next run.
"""

import json
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.machine import REPOSITORY
from loadtest.generator import Outcome
from loadtest.verdict import Exit, exit_of, verdict_in

PREPARE_SECONDS = 300.0
"""How long the release may take to be ready with the load test's client."""
START_SECONDS = 180.0
"""How long the Job's pod may take until k6 runs: its image may have to be fetched."""
_LOOK_SECONDS = 1.0
_REPORTS = '{"reports":'
"""How the line with the reports begins, which k6/_summary.js prints in the chart's Job."""
_REPORT_NAME = re.compile(r"[a-z]+\.[a-z]+")


class ClusterError(Exception):
    """helm or kubectl failed, or the Job did not start; the message has what was said."""


def run_in_cluster(
    *,
    release: str,
    namespace: str,
    script: str,
    run_id: str,
    report: Path,
    settings: Sequence[str],
    say: Callable[[str], None],
) -> Outcome:
    """Start the Job and wait for its end.

    Args:
        script: A script of ``k6/`` without its suffix.
        run_id: Stands in the Job's name; a Job cannot be changed, so each run has its own.
        settings: More values for helm, each ``path=value``.
    """
    values = [f"loadTest.{name}" for name in ("enabled=true", f"scenario={script}", "runId=")]
    chosen = [argument for value in (*values, *settings) for argument in ("--set", value)]
    upgrade = ["helm", "upgrade", release, str(REPOSITORY / "chart"), "--namespace", namespace, "--reuse-values"]
    say(f"preparing release {release} in namespace {namespace}: its pods learn of the load test's client")
    # First, and by itself: beside pods that are being replaced k6 takes their place on a small node, and measures that.
    _run([*upgrade, *chosen, "--wait", "--timeout", f"{PREPARE_SECONDS:g}s"])
    say(f"starting {script} as run {run_id}")
    _run([*upgrade, "--set", f"loadTest.runId={run_id}"])
    try:
        pod = _started_pod(namespace, _job_of(namespace, run_id))
        report.mkdir(parents=True, exist_ok=True)
        output = _follow(namespace, pod, report / "output.txt")
        code = _exit_code(namespace, pod)
    finally:
        # A Job that stays in the release's values would be started again by an upgrade after its end.
        _run([*upgrade, "--set", "loadTest.runId="])
    verdict = verdict_in(output)
    write_reports(output, report)
    outcome = Outcome(exit_of(code, verdict), verdict, report)
    if verdict is not None:
        line = next(line for line in reversed(output.splitlines()) if line.startswith('{"scenario":'))
        (report / "verdict.json").write_text(line + "\n")
    return outcome


def _job_of(namespace: str, run_id: str) -> str:
    jobs = _json(["kubectl", "-n", namespace, "get", "jobs", "-o", "json"])["items"]
    for job in jobs:
        name: str = job["metadata"]["name"]
        if name.endswith(f"-{run_id}"):
            return name
    raise ClusterError(f"the upgrade made no Job for run {run_id}")


def _started_pod(namespace: str, job: str) -> str:
    deadline = time.monotonic() + START_SECONDS
    state = "no pod yet"
    while time.monotonic() < deadline:
        pods = _json(["kubectl", "-n", namespace, "get", "pods", "-l", f"job-name={job}", "-o", "json"])["items"]
        for pod in pods:
            name: str = pod["metadata"]["name"]
            k6 = [c for c in pod["status"].get("containerStatuses", []) if c["name"] == "k6"]
            if k6 and "waiting" not in k6[0]["state"]:
                return name
            state = f"pod {name}: " + json.dumps(k6[0]["state"] if k6 else pod["status"].get("conditions"))
        time.sleep(_LOOK_SECONDS)
    raise ClusterError(f"k6 did not start within {START_SECONDS:g} s; {state}")


def _follow(namespace: str, pod: str, copy: Path) -> str:
    """What k6 prints, shown as it comes; the end of the log is the end of the container."""
    lines = []
    command = ["kubectl", "-n", namespace, "logs", "--follow", "--container", "k6", pod]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, copy.open("w") as file:
        assert process.stdout is not None  # noqa: S101 - narrows the type
        for line in process.stdout:
            lines.append(line)
            if line.startswith(_REPORTS):
                continue
            file.write(line)
            print(line, end="", flush=True)
    return "".join(lines)


def write_reports(output: str, folder: Path) -> tuple[str, ...]:
    """Write the reports that k6 printed into ``folder``; returns their names.

    What a pod prints is not trusted with paths: a name is one file of the folder, or it is left out.
    """
    written = []
    for line in output.splitlines():
        if not line.startswith(_REPORTS):
            continue
        try:
            reports = msgspec.json.decode(line, type=dict[str, dict[str, str]])["reports"]
        except msgspec.DecodeError:
            continue
        for name, content in reports.items():
            if _REPORT_NAME.fullmatch(name):
                (folder / name).write_text(content)
                written.append(name)
    return tuple(written)


def _exit_code(namespace: str, pod: str) -> int:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        status = _json(["kubectl", "-n", namespace, "get", "pod", pod, "-o", "json"])["status"]
        for container in status.get("containerStatuses", []):
            if container["name"] == "k6" and "terminated" in container["state"]:
                code: int = container["state"]["terminated"]["exitCode"]
                return code
        time.sleep(_LOOK_SECONDS)
    return Exit.NOT_RUN


def _json(command: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_run(command))
    return found


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    except FileNotFoundError:
        raise ClusterError(f"{command[0]} is missing") from None
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(command[:3])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
