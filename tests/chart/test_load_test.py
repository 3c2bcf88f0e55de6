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
def test_an_upgrade_starts_no_run_again_and_another_id_makes_another_job() -> None:
    values = fixture_values("load-test")

    def job(**more: object) -> Manifest:
        return render(values | {"loadTest": values["loadTest"] | more} | {"podAnnotations": {"a": "b"}}).one(
            "Job", f"-load-{more.get('runId', '42')}"
        )

    assert job() == render(values).one("Job", "-load-42")
    assert job(runId="43")["metadata"]["name"] != job()["metadata"]["name"]


@pytest.mark.usefixtures("chart_tool")
def test_between_runs_there_is_no_job_and_the_service_s_pods_are_the_same() -> None:
    values = fixture_values("load-test")
    during, between = render(values), render(values | {"loadTest": values["loadTest"] | {"runId": ""}})
    gone = {o["metadata"]["name"] for o in during.objects} - {o["metadata"]["name"] for o in between.objects}
    assert {name for name in gone if "bootstrap" not in name} == {"rel-auth-service-load-42"}
    assert during.one("Deployment") == between.one("Deployment")


@pytest.mark.usefixtures("chart_tool")
def test_the_operator_runs_what_the_job_would() -> None:
    values = fixture_values("load-test-operator")
    by_operator = render(values)
    by_job = render(values | {"loadTest": values["loadTest"] | {"operator": {"enabled": False}}})
    run, job = by_operator.one("TestRun"), by_job.one("Job", "-load-44")
    assert not [o for o in by_operator.objects if o["kind"] == "Job" and "-load-" in o["metadata"]["name"]]
    assert run["metadata"]["name"] == job["metadata"]["name"]
    runner, pod = operator_pod(run, "runner"), job["spec"]["template"]
    (k6,), (of_job,) = runner["spec"]["containers"], pod["spec"]["containers"]
    assert run["spec"]["parallelism"] == 1  # thresholds hold for one runner
    for name in ("image", "resources", "securityContext"):
        assert k6[name] == of_job[name]
    assert k6["env"] == [variable for variable in of_job["env"] if variable["name"] != "POD_NAME"]
    for name in ("affinity", "nodeSelector", "imagePullSecrets", "securityContext", "serviceAccountName"):
        assert runner["spec"][name] == pod["spec"][name]
    assert runner["metadata"]["labels"] == pod["metadata"]["labels"]
    mounted = run["spec"]["script"]["configMap"]
    assert mounted["file"] in by_operator.one("ConfigMap", "load-test")["data"]
    own = {f"instance={run['metadata']['name']}"}
    assert set(run["spec"]["arguments"].split()) - own < set(of_job["args"])


@pytest.mark.usefixtures("chart_tool")
def test_the_operator_has_no_sidecar_to_calibrate_against() -> None:
    values = fixture_values("load-test-operator")
    wrong = values | {"loadTest": values["loadTest"] | {"calibrationUrl": "", "calibration": {"enabled": True}}}
    assert "loadTest.calibrationUrl" in render(wrong).error
