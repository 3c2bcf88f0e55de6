"""k8s/ is what the chart renders, and its kustomizations name what there is."""

import subprocess
import sys
from collections.abc import Callable

import yaml

from tests.programs.charts import ROOT


def test_the_plain_manifests_are_current(chart_tool: Callable[[str], str]) -> None:
    chart_tool("chartrender")
    command = [sys.executable, str(ROOT / "tools" / "plain_manifests.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_of_helm_is_left_in_them() -> None:
    for path in sorted((ROOT / "k8s").glob("*/manifests.yaml")):
        assert "helm" not in path.read_text().lower(), path


def test_every_kustomization_names_what_exists() -> None:
    found = sorted((ROOT / "k8s").rglob("kustomization.yaml"))
    assert len(found) == 4
    for path in found:
        content = yaml.safe_load(path.read_text())
        for resource in content["resources"]:
            target = path.parent / resource
            assert (target / "kustomization.yaml" if target.is_dir() else target).exists(), f"{path}: {resource}"
        for change in [*content.get("replicas", []), *(p["target"] for p in content.get("patches", []))]:
            made = yaml.safe_load_all((path.parent / content["resources"][0] / "manifests.yaml").read_text())
            assert change["name"] in {o["metadata"]["name"] for o in made if o["kind"] == "Deployment"}
