"""Everything that the fixtures render is valid for Kubernetes, restricted, and the same every time."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.programs.charts import (
    CHART,
    FIXTURES,
    KUBE_VERSIONS,
    Manifest,
    Render,
    containers,
    fixture_values,
    pod_templates,
    render_all,
)
from tests.programs.kubernetes_schemas import FOREIGN, problems_of, validator

Rendered = dict[tuple[str, str], Render]
NEWEST = KUBE_VERSIONS[-1]


def run(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=110)


def test_there_are_fixtures_enough() -> None:
    assert len(FIXTURES) >= 25


@pytest.mark.parametrize("version", KUBE_VERSIONS)
def test_every_object_of_every_fixture_is_valid(rendered: Rendered, version: str) -> None:
    problems: list[str] = []
    seen = set()
    for name in FIXTURES:
        for made in rendered[name, version].objects:
            where = f"{name}: {made['kind']}/{made['metadata']['name']}"
            seen.add(made["kind"])
            problems += [f"{where}: {problem}" for problem in problems_of(made, version)]
    assert problems == []
    assert FOREIGN.keys() - {"PrometheusRule"} <= seen
    assert {"Deployment", "StatefulSet", "Job", "CronJob", "NetworkPolicy", "HorizontalPodAutoscaler"} <= seen


def test_the_validation_finds_what_is_wrong(rendered: Rendered) -> None:
    deployment = rendered["default", NEWEST].one("Deployment")
    deployment["spec"]["replica"] = 1
    deployment["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = "http"
    found = [e.message for e in validator(NEWEST, "Deployment", "apps/v1").iter_errors(deployment)]
    assert len(found) == 2, found


def test_two_renders_of_the_same_values_are_the_same(rendered: Rendered) -> None:
    again = render_all([{"values": fixture_values(name)} for name in FIXTURES])
    for name, second in zip(FIXTURES, again, strict=True):
        assert second.manifest == rendered[name, NEWEST].manifest, name


def test_no_template_makes_random_values_or_asks_the_cluster() -> None:
    for path in (CHART / "templates").rglob("*"):
        if path.is_file():
            text = path.read_text()
            for word in ("randAlphaNum", "randAscii", "randBytes", "uuidv4", "genPrivateKey", "now |", "lookup "):
                assert word not in text.replace("never `lookup", ""), f"{path.name}: {word}"


def test_every_pod_fulfils_the_restricted_pod_security_standard(
    rendered: Rendered, chart_tool: Callable[[str], str]
) -> None:
    pods: list[Manifest] = []
    for name in FIXTURES:
        found = pod_templates(rendered[name, NEWEST].objects)
        pods += [{**pod, "name": f"{name}: {pod['name']}"} for pod in found]
    assert len(pods) > 100
    done = subprocess.run(
        [chart_tool("podsecurity")], input=json.dumps(pods), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_pod_security_check_finds_what_is_wrong(rendered: Rendered, chart_tool: Callable[[str], str]) -> None:
    (pod,) = pod_templates([rendered["default", NEWEST].one("Deployment")])
    pod["spec"]["containers"][0]["securityContext"]["runAsNonRoot"] = False
    done = subprocess.run(
        [chart_tool("podsecurity")], input=json.dumps([pod]), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "runAsNonRoot" in done.stdout


def test_pods_have_no_api_token_but_where_they_need_one(rendered: Rendered) -> None:
    with_token: dict[str, set[str]] = {}
    for name in FIXTURES:
        for pod in pod_templates(rendered[name, NEWEST].objects):
            assert pod["spec"]["automountServiceAccountToken"] is False, pod["name"]
            # k6-operator's pods have no such field.
            assert pod["spec"].get("enableServiceLinks") is False or pod["name"].startswith("TestRun/"), pod["name"]
            if any("serviceAccountToken" in str(volume) for volume in pod["spec"].get("volumes", [])):
                with_token.setdefault(name, set()).add(pod["metadata"]["labels"]["app.kubernetes.io/component"])
    assert with_token["default"] == {"bootstrap", "rotation"}
    assert with_token["keys-in-redis"] == {"bootstrap"}
    assert with_token["rotation-in-process"] == {"bootstrap", "service"}
    assert {name for name, components in with_token.items() if "service" in components} == {"rotation-in-process"}


def test_roles_reach_single_named_secrets_and_make_none(rendered: Rendered) -> None:
    for name in FIXTURES:
        for role in rendered[name, NEWEST].objects:
            if role["kind"] in ("Role", "ClusterRole"):
                assert role["kind"] == "Role"
                (rule,) = role["rules"]
                assert (rule["resources"], rule["verbs"]) == (["secrets"], ["get", "patch"]), name
                assert rule["resourceNames"], name


def test_secrets_that_jobs_fill_have_no_data_and_are_kept(rendered: Rendered) -> None:
    for name in FIXTURES:
        objects = rendered[name, NEWEST].objects
        for secret in [o for o in objects if o["kind"] == "Secret"]:
            assert "helm.sh/hook" not in secret["metadata"].get("annotations", {})
            if secret["metadata"]["name"].endswith("configured-clients"):
                continue
            assert not {"data", "stringData"} & secret.keys(), name
            assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep", name


def test_nothing_is_mounted_by_sub_path_and_every_mount_has_its_volume(rendered: Rendered) -> None:
    for name in FIXTURES:
        for made in rendered[name, NEWEST].objects:
            claims = {c["metadata"]["name"] for c in made.get("spec", {}).get("volumeClaimTemplates", [])}
            for pod in pod_templates([made]):
                volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])} | claims
                mounts = [m for c in containers(pod) for m in c.get("volumeMounts", [])]
                assert all("subPath" not in mount for mount in mounts)
                assert {mount["name"] for mount in mounts} == volumes, f"{name}: {pod['name']}"


def test_only_the_test_is_a_hook(rendered: Rendered) -> None:
    """A Job as hook would wait for pods that wait for it; `--wait` and `--atomic` could not end."""
    for made in rendered["production", NEWEST].objects:
        hook = (made["metadata"].get("annotations") or {}).get("helm.sh/hook")
        assert hook == ("test" if made["metadata"]["name"].endswith("-test") and made["kind"] == "Job" else None)


# --------------------------------------------------------------------------------------------- critics

ONE_POD = {"deployment-strategy", "deployment-replicas"}
"""The trial's memory store is one pod on purpose."""
UNKNOWN_IMAGE = {"container-image-pull-policy", "CKV_K8S_15", "CKV_K8S_43"}
"""The default values have a tag and no digest, which is not known before the image is built, and do not pull again."""


@pytest.mark.parametrize(("name", "allowed"), [("default", ONE_POD | UNKNOWN_IMAGE), ("production", set())])
def test_kube_score_criticises_nothing(
    written: Callable[[str], Path], chart_tool: Callable[[str], str], name: str, allowed: set[str]
) -> None:
    command = [chart_tool("kube-score"), "score", "--output-format", "json", str(written(name))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    criticised = {
        (check["check"]["id"], scored["object_name"])
        for scored in json.loads(done.stdout)
        for check in scored["checks"] or []
        if not check["skipped"] and check["grade"] < 10 and check["check"]["id"] not in allowed
    }
    assert criticised == set()


@pytest.mark.parametrize(("name", "allowed"), [("default", UNKNOWN_IMAGE), ("production", set())])
def test_checkov_fails_nothing(
    written: Callable[[str], Path], chart_tool: Callable[[str], str], name: str, allowed: set[str]
) -> None:
    command = [chart_tool("checkov"), "--file", str(written(name)), "--framework", "kubernetes"]
    done = subprocess.run(
        [*command, "--skip-download", "--output", "json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LOG_LEVEL": "ERROR"},
        timeout=110,
    )
    report = json.loads(done.stdout)
    failed = {(check["check_id"], check["resource"]) for check in report["results"]["failed_checks"]}
    assert {pair for pair in failed if pair[0] not in allowed} == set()
    assert report["summary"]["passed"] > 200


def test_helm_lint_has_nothing_to_say(chart_tool: Callable[[str], str]) -> None:
    command = [chart_tool("helm"), "lint", "--strict", "--kube-version", NEWEST, str(CHART)]
    for name in ("default", "production"):
        done = subprocess.run([*command, "-f", str(FIXTURES[name])], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        assert "WARNING" not in done.stdout


def test_the_charts_own_unit_tests_pass(chart_tool: Callable[[str], str]) -> None:
    done = subprocess.run(
        [chart_tool("helm-unittest"), "--strict", str(CHART)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:]
    cases = sum(len(yaml.safe_load(path.read_text())["tests"]) for path in (CHART / "tests").glob("*_test.yaml"))
    assert cases >= 150
