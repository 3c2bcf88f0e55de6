"""Renders of the chart, by Helm's own code, hundreds in one process."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "chart"
BIN = ROOT / ".tools" / "bin"
KUBE_VERSIONS = ("1.29.0", "1.31.0", "1.34.0")
"""The oldest version that the chart allows, one between, and a current one."""
FIXTURES = {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))}

Manifest = dict[str, Any]


class Render(msgspec.Struct, frozen=True):
    """What one render gave."""

    manifest: str
    notes: str
    error: str

    @property
    def objects(self) -> list[Manifest]:
        """All objects, hooks included. Raises AssertionError if the render failed."""
        assert not self.error, self.error
        return [found for found in yaml.load_all(self.manifest, Loader=yaml.CSafeLoader) if found]

    def one(self, kind: str, suffix: str = "") -> Manifest:
        """The only object of a kind whose name ends so."""
        (found,) = [o for o in self.objects if o["kind"] == kind and o["metadata"]["name"].endswith(suffix)]
        return found


def fixture_values(name: str) -> Manifest:
    return yaml.load(FIXTURES[name].read_text(), Loader=yaml.CSafeLoader) or {}


def render_all(jobs: Sequence[Manifest], chart: Path = CHART) -> list[Render]:
    """Render the chart with each job's ``values``, ``kubeVersion``, ``release`` and ``namespace``."""
    defaults = {"kubeVersion": KUBE_VERSIONS[-1], "release": "rel", "namespace": "auth"}
    done = subprocess.run(
        [str(BIN / "chartrender")],
        input=json.dumps({"chart": str(chart), "jobs": [{**defaults, **job} for job in jobs]}),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return msgspec.json.decode(done.stdout, type=list[Render])


def render(values: Manifest, **job: Any) -> Render:
    return render_all([{"values": values, **job}])[0]


def pod_templates(objects: Sequence[Manifest]) -> list[Manifest]:
    """``{"name", "metadata", "spec"}`` of every pod that these objects are or make."""
    found = []
    for made in objects:
        spec = made.get("spec", {})
        if made["kind"] == "Pod":
            pod = made
        elif made["kind"] == "CronJob":
            pod = spec["jobTemplate"]["spec"]["template"]
        elif made["kind"] in ("Deployment", "StatefulSet", "Job"):
            pod = spec["template"]
        elif made["kind"] == "TestRun":
            found += [operator_pod(made, part) for part in ("runner", "starter")]
            continue
        else:
            continue
        name = f"{made['kind']}/{made['metadata']['name']}"
        found.append({"name": name, "metadata": pod.get("metadata", {}), "spec": pod["spec"]})
    return found


def operator_pod(test_run: Manifest, part: str) -> Manifest:
    """The pod that k6-operator makes of a part of a TestRun (its pkg/resources/jobs), scripts and command left out."""
    given = dict(test_run["spec"][part])
    of_container = ("env", "image", "imagePullPolicy", "resources", "volumeMounts")
    container = {"name": "k6", **{name: given.pop(name) for name in of_container if name in given}}
    container["securityContext"] = given.pop("containerSecurityContext")
    metadata = given.pop("metadata")
    spec = {
        **given,
        "automountServiceAccountToken": given["automountServiceAccountToken"] == "true",
        "restartPolicy": "Never",
        "containers": [container],
    }
    return {"name": f"TestRun/{test_run['metadata']['name']}/{part}", "metadata": metadata, "spec": spec}


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
