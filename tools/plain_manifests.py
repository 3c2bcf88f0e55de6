#!/usr/bin/env python3
"""Plain manifests for those who use no Helm: ``k8s/``, rendered from the chart.

    python tools/plain_manifests.py            write k8s/
    python tools/plain_manifests.py --check    exit 1 if it is not what would be written

Rules:
- ``k8s/trial`` and ``k8s/production`` are the chart with the ``values.yaml`` beside them; the kustomizations there, and
  those in ``k8s/overlays``, are written by hand and made to be copied.
- Nothing of Helm stays in it: no hooks, no chart label, and no Job of the tests.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
K8S = ROOT / "k8s"
KUBE_VERSION = "1.34.0"
FLAVOURS = ("trial", "production")
HELM_LABELS = ("helm.sh/chart", "app.kubernetes.io/managed-by")
HEAD = "# Written by `make k8s` from the chart; do not edit.\n"


def rendered(values: Path) -> list[dict[str, Any]]:
    """The chart's objects with these values."""
    job = {
        "values": yaml.safe_load(values.read_text()) or {},
        "kubeVersion": KUBE_VERSION,
        "release": "auth-service",
        "namespace": "auth-service",
    }
    done = subprocess.run(
        [str(ROOT / ".tools" / "bin" / "chartrender")],
        input=json.dumps({"chart": str(ROOT / "chart"), "jobs": [job]}),
        capture_output=True,
        text=True,
        check=True,
    )
    (result,) = json.loads(done.stdout)
    if result["error"]:
        raise SystemExit(result["error"])
    found = [made for made in yaml.safe_load_all(result["manifest"]) if made]
    return [plain(made) for made in found if "helm.sh/hook" not in (made["metadata"].get("annotations") or {})]


def plain(made: Any) -> Any:
    """The object without what only Helm reads."""
    if isinstance(made, list):
        return [plain(item) for item in made]
    if not isinstance(made, dict):
        return made
    kept = {key: plain(value) for key, value in made.items() if key not in HELM_LABELS}
    for name in ("labels", "annotations"):
        held = kept.get(name)
        if isinstance(held, dict):
            held.pop("helm.sh/resource-policy", None)
            if not held:
                del kept[name]
    return kept


def generated() -> dict[Path, str]:
    """What the files should contain."""
    files = {}
    for flavour in FLAVOURS:
        folder = K8S / flavour
        objects = rendered(folder / "values.yaml")
        files[folder / "manifests.yaml"] = HEAD + yaml.safe_dump_all(objects, sort_keys=False, width=120)
    return files


def main(arguments: list[str]) -> int:
    stale = [path for path, text in generated().items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path} is not what the chart renders; run `make k8s`", file=sys.stderr)
        return 1 if stale else 0
    for path, text in generated().items():
        path.write_text(text)
    print("k8s/: " + ("written" if stale else "as it was"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
