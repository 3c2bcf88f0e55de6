"""The load test's Job: what stands beside k6 runs, and the pod has the class of service that a measurement needs."""

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.programs.charts import (
    KUBE_VERSIONS,
    Manifest,
    Render,
    containers,
    fixture_values,
    operator_pod,
    pod_templates,
    render,
)

Rendered = dict[tuple[str, str], Render]


def load_test_pod(made: Render) -> Manifest:
    (pod,) = [p for p in pod_templates(made.objects) if "load-test" in str(p["metadata"].get("labels"))]
    return pod


def test_the_responder_runs_as_the_job_starts_it(rendered: Rendered, tmp_path: Path) -> None:
    made = rendered["load-test-calibrated", KUBE_VERSIONS[-1]]
    (responder,) = load_test_pod(made)["spec"]["initContainers"]
    (tmp_path / "responder.py").write_text(made.one("ConfigMap", "load-test")["data"]["responder.py"])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    for_here = {"python": sys.executable, "/responder": str(tmp_path), "9001": port}
    probe = [part.replace("9001", port) for part in responder["startupProbe"]["exec"]["command"]]
    with subprocess.Popen([for_here.get(part, part) for part in responder["command"]]) as process:
        try:
            deadline = time.monotonic() + 30
            while subprocess.run([sys.executable, *probe[1:]], capture_output=True, check=False).returncode != 0:
                assert process.poll() is None
                assert time.monotonic() < deadline
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", b"token=x") as answer:
                assert b'"active":true' in answer.read()
        finally:
            process.terminate()


@pytest.mark.usefixtures("chart_tool")
def test_the_pod_is_of_the_guaranteed_class_in_whole_cpus() -> None:
    values = {"store": {"type": "redis"}, "devRedis": {"enabled": True}}
    pod = load_test_pod(render(values | {"loadTest": {"enabled": True, "calibration": {"enabled": True}}}))
    for container in containers(pod):
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert container["resources"]["limits"]["cpu"].isdigit()


@pytest.mark.usefixtures("chart_tool")
def test_what_the_load_test_needs_changes_nothing_that_cannot_be_changed() -> None:
    """Whatever an upgrade changes: of all that the load test adds, nothing is a Job but the bootstrap's, named anew."""
    values = fixture_values("load-test-calibrated")
    without, with_it = render(values | {"loadTest": {"enabled": False}}), render(values)
    added = {(o["kind"], o["metadata"]["name"]) for o in with_it.objects}
    added -= {(o["kind"], o["metadata"]["name"]) for o in without.objects}
    jobs = [name for kind, name in added if kind == "Job"]
    assert [name for name in jobs if "-bootstrap-" not in name] == []
    assert ("CronJob", "rel-auth-service-load-test") in added


@pytest.mark.usefixtures("chart_tool")
def test_the_operator_runs_what_the_job_would() -> None:
    values = fixture_values("load-test-operator")
    by_operator = render(values)
    by_job = render(values | {"loadTest": values["loadTest"] | {"operator": {"enabled": False}, "runId": ""}})
    run, job = by_operator.one("TestRun"), by_job.one("CronJob", "-load-test")["spec"]["jobTemplate"]
    assert not [o for o in by_operator.objects if o["kind"] == "CronJob" and "-load-" in o["metadata"]["name"]]
    assert run["metadata"]["name"] == "rel-auth-service-load-44"
    runner, pod = operator_pod(run, "runner"), job["spec"]["template"]
    (k6,), (of_job,) = runner["spec"]["containers"], pod["spec"]["containers"]
    assert run["spec"]["parallelism"] == 1  # thresholds hold for one runner
    for name in ("image", "resources", "securityContext"):
        assert k6[name] == of_job[name]
    of_the_pod = ("POD_NAME", "RUN_ID")
    assert k6["env"][0] == {"name": "RUN_ID", "value": "44"}
    assert k6["env"][1:] == [variable for variable in of_job["env"] if variable["name"] not in of_the_pod]
    for name in ("affinity", "nodeSelector", "imagePullSecrets", "securityContext", "serviceAccountName"):
        assert runner["spec"][name] == pod["spec"][name]
    assert runner["metadata"]["labels"] == pod["metadata"]["labels"] | {"auth-service/run-id": "44"}
    mounted = run["spec"]["script"]["configMap"]
    assert mounted["file"] in by_operator.one("ConfigMap", "load-test")["data"]
    own = {f"instance={run['metadata']['name']}"}
    assert set(run["spec"]["arguments"].split()) - own - {"testid=44"} < set(of_job["args"])


@pytest.mark.usefixtures("chart_tool")
def test_the_operator_has_no_sidecar_to_calibrate_against() -> None:
    values = fixture_values("load-test-operator")
    wrong = values | {"loadTest": values["loadTest"] | {"calibrationUrl": "", "calibration": {"enabled": True}}}
    assert "loadTest.calibrationUrl" in render(wrong).error
