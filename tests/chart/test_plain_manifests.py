"""k8s/ is what the chart renders, and its kustomizations are built by kustomize itself."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.programs.charts import KUBE_VERSIONS, ROOT, Manifest, containers, pod_templates
from tests.programs.kubernetes_schemas import problems_of

KUSTOMIZATIONS = sorted(path.parent for path in (ROOT / "k8s").rglob("kustomization.yaml"))


def test_the_plain_manifests_are_current(chart_tool: Callable[[str], str]) -> None:
    chart_tool("chartrender")
    command = [sys.executable, str(ROOT / "tools" / "plain_manifests.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_of_helm_is_left_in_them() -> None:
    for path in sorted((ROOT / "k8s").glob("*/manifests.yaml")):
        assert "helm" not in path.read_text().lower(), path


@pytest.fixture
def build(chart_tool: Callable[[str], str]) -> Callable[[Path], list[Manifest]]:
    """``build(folder)``: what ``kubectl apply -k`` would send."""

    def build(folder: Path) -> list[Manifest]:
        command = [chart_tool("kustomize"), "build", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return list(yaml.load_all(done.stdout, Loader=yaml.CSafeLoader))

    return build


def identity(made: Manifest) -> tuple[str, str]:
    return made["kind"], made["metadata"]["name"]


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=lambda folder: folder.name)
def test_every_kustomization_builds_objects_that_kubernetes_takes(
    build: Callable[[Path], list[Manifest]], folder: Path
) -> None:
    objects = build(folder)
    assert [
        f"{identity(made)}: {problem}" for made in objects for problem in problems_of(made, KUBE_VERSIONS[-1])
    ] == []
    assert {made["metadata"]["namespace"] for made in objects} == {"auth-service"}
    base = ROOT / "k8s" / ("production" if folder.name in ("production", "three-zones") else "trial")
    plain = {identity(made) for made in yaml.safe_load_all((base / "manifests.yaml").read_text())}
    assert {identity(made) for made in objects} == plain


def test_there_are_two_ready_ones_and_two_to_copy() -> None:
    names = ["own-image", "three-zones", "production", "trial"]
    assert [folder.name for folder in KUSTOMIZATIONS] == names


def test_another_image_is_every_pods(build: Callable[[Path], list[Manifest]]) -> None:
    pods = pod_templates(build(ROOT / "k8s" / "overlays" / "own-image"))
    images = {container["image"] for pod in pods for container in containers(pod)}
    assert images == {"registry.example.com/platform/auth-service:0.1.0"}


def test_three_zones_are_a_condition_and_nothing_else_of_production_is_lost(
    build: Callable[[Path], list[Manifest]],
) -> None:
    def deployment(folder: str) -> Manifest:
        (found,) = [made for made in build(ROOT / "k8s" / folder) if made["kind"] == "Deployment"]
        return found

    changed, plain = deployment("overlays/three-zones"), deployment("production")
    assert changed["spec"]["replicas"] == 6
    spread = changed["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [(one["topologyKey"], one["whenUnsatisfiable"], one["matchLabelKeys"]) for one in spread] == [
        ("topology.kubernetes.io/zone", "DoNotSchedule", ["pod-template-hash"]),
        ("kubernetes.io/hostname", "ScheduleAnyway", ["pod-template-hash"]),
    ]
    env, before = (
        {one["name"]: one for one in made["spec"]["template"]["spec"]["containers"][0]["env"]}
        for made in (changed, plain)
    )
    assert env == before | {"EXTERNAL_BASE_URL": {"name": "EXTERNAL_BASE_URL", "value": "https://login.example.com"}}
