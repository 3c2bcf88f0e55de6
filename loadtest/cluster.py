"""A load test in a cluster: a Job is made of the chart's template, followed, and judged.

The programs helm and kubectl do the work, against the current context.

Rules:
- Afterwards the release is what it was before (:mod:`loadtest.release`).
- The Job starts when the release's pods know its client, and goes with its template.
"""

import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.machine import REPOSITORY
from loadtest.following import REPORTS, follow
from loadtest.generator import Outcome
from loadtest.kube import ClusterError, json_of, output_of
from loadtest.limiters import job_of
from loadtest.release import READY_SECONDS, await_departures, put_back, revision_to_return_to, values_of
from loadtest.scenarios import Scenario
from loadtest.verdict import exit_of, verdict_in

START_SECONDS = 180.0
"""How long the Job's pod may take until k6 runs: its image may have to be fetched."""
_LOOK_SECONDS = 1.0
_TEMPLATE = re.compile(r"^kind: CronJob\nmetadata:\n  name: (\S+-load-test)$", re.MULTILINE)
_REPORT_NAME = re.compile(r"[a-z]+\.[a-z]+")


def run_in_cluster(
    *,
    release: str,
    namespace: str,
    scenario: Scenario,
    environ: Mapping[str, str],
    run_id: str,
    report: Path,
    settings: Sequence[str],
    say: Callable[[str], None],
) -> Outcome:
    """Start the Job, wait for its end, and put the release back.

    Args:
        environ: What changes the scenario, such as ``DURATION_FACTOR``.
        run_id: The Job's name: each run has its own.
        settings: More values for helm, each ``path=value``.
    """
    helm = ["helm", "--namespace", namespace]
    revision = revision_to_return_to(helm, release)
    given = json_of([*helm, "get", "values", release, "--output", "json"]) or {}
    with tempfile.TemporaryDirectory() as folder:
        values = Path(folder) / "values.json"
        values.write_text(json.dumps({"loadTest": values_of(scenario, environ, given, settings)}))
        # Not --reuse-values: the defaults of a value that the release's chart did not have yet would be missing.
        upgrade = [*helm, "upgrade", release, str(REPOSITORY / "chart"), "--reset-then-reuse-values"]
        upgrade += ["--values", str(values), *(argument for value in settings for argument in ("--set", value))]
        with put_back(helm, release, revision, say):
            say(f"preparing release {release} in namespace {namespace}: its pods learn of the load test's client")
            # To the end: beside pods that are being replaced k6 takes their place on a small node, and measures that.
            output_of([*upgrade, "--wait", "--timeout", f"{READY_SECONDS:g}s"])
            await_departures(namespace, release)
            say(f"starting {scenario.name} as run {run_id}")
            template = f"cronjob/{_template_of(helm, release)}"
            create = ["kubectl", "-n", namespace, "create"]
            if scenario.script == "hot-client":
                manifest = Path(folder) / "job.json"
                manifest.write_text(json.dumps(job_of(namespace, run_id, template, release)))
                output_of([*create, "-f", str(manifest)])
            else:
                output_of([*create, "job", run_id, f"--from={template}"])
            pod = _started_pod(namespace, run_id)
            report.mkdir(parents=True, exist_ok=True)
            output, code = follow(namespace, pod, report / "output.txt")
    verdict = verdict_in(output)
    write_reports(output, report)
    outcome = Outcome(exit_of(code, verdict), verdict, report)
    if verdict is not None:
        line = next(line for line in reversed(output.splitlines()) if line.startswith('{"scenario":'))
        (report / "verdict.json").write_text(line + "\n")
    return outcome


def _template_of(helm: Sequence[str], release: str) -> str:
    """The name of the CronJob that the release's Jobs are made of."""
    manifest = output_of([*helm, "get", "manifest", release])
    found = _TEMPLATE.search(manifest)
    if found is None:
        raise ClusterError(f"release {release} has no CronJob for its load test after the upgrade")
    return found[1]


def _started_pod(namespace: str, job: str) -> str:
    deadline = time.monotonic() + START_SECONDS
    state = "no pod yet"
    while time.monotonic() < deadline:
        pods = json_of(["kubectl", "-n", namespace, "get", "pods", "-l", f"job-name={job}", "-o", "json"])["items"]
        for pod in pods:
            name: str = pod["metadata"]["name"]
            k6 = [c for c in pod["status"].get("containerStatuses", []) if c["name"] == "k6"]
            if k6 and "waiting" not in k6[0]["state"]:
                return name
            state = f"pod {name}: " + json.dumps(k6[0]["state"] if k6 else pod["status"].get("conditions"))
        time.sleep(_LOOK_SECONDS)
    raise ClusterError(f"k6 did not start within {START_SECONDS:g} s; {state}")


def write_reports(output: str, folder: Path) -> tuple[str, ...]:
    """Write the reports that k6 printed into ``folder``; returns their names.

    What a pod prints is not trusted with paths: a name is one file of the folder, or it is left out.
    """
    written = []
    for line in output.splitlines():
        if not line.startswith(REPORTS):
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
