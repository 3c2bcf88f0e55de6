"""kubectl and helm as programs, against the current kube context.

Rules:
- Every scenario has a namespace of its own, in which Kubernetes enforces the restricted Pod Security Standard.
- Every wait is bounded, and says what it waited for.
- Secrets go through standard input or files, never through arguments.
"""

import base64
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[2]
CHART = ROOT / "chart"
T = TypeVar("T")
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


class CommandFailed(Exception):
    """A program ended with another code than 0; the message has what it wrote."""


def run(*command: str, stdin: str | None = None, seconds: float = 120) -> str:
    """What the program printed. Raises CommandFailed."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False, cwd=ROOT)
    if done.returncode:
        raise CommandFailed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def wait_for(look: Callable[[], T], what: str, seconds: float = 120, every: float = 0.5) -> T:
    """What ``look`` returns once that is true."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(every)
    return found


class Namespace:
    """One namespace, and the releases in it."""

    def __init__(self, name: str, image: str) -> None:
        self.name = name
        self.repository, _, self.tag = image.rpartition(":")

    def kubectl(self, *arguments: str, stdin: str | None = None, seconds: float = 120) -> str:
        return run("kubectl", "-n", self.name, *arguments, stdin=stdin, seconds=seconds)

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *objects: Mapping[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def secret(self, name: str) -> dict[str, str]:
        """The data of a Secret, as text."""
        data = self.get("secret", name).get("data") or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def helm(self, *arguments: str, values: Mapping[str, Any] | None = None, seconds: float = 240) -> str:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(values or {}, file)
            file.flush()
            more = () if values is None else ("-f", file.name)
            return run("helm", "-n", self.name, *arguments, *more, seconds=seconds)

    def image_values(self) -> dict[str, Any]:
        return {"image": {"repository": self.repository, "tag": self.tag}}

    def pods(self, release: str, component: str = "service") -> list[dict[str, Any]]:
        """The pods of a component that are not being deleted."""
        labels = f"app.kubernetes.io/instance={release},app.kubernetes.io/component={component}"
        found = self.get("pods", "-l", labels)["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def ready_addresses(self, service: str) -> list[str]:
        """The addresses that the Service sends requests to."""
        slices = self.get("endpointslices", "-l", f"kubernetes.io/service-name={service}")["items"]
        endpoints = [endpoint for each in slices for endpoint in each.get("endpoints") or []]
        return sorted(a for endpoint in endpoints if endpoint["conditions"].get("ready") for a in endpoint["addresses"])

    def metric(self, pod: str, name: str, contains: str = "") -> float:
        """The sum of a metric's series of one pod, asked through the API server."""
        text = run("kubectl", "get", "--raw", f"/api/v1/namespaces/{self.name}/pods/{pod}:9464/proxy/metrics")
        lines = [line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} ")) and contains in line]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def rollout(self, deployment: str, seconds: float = 180) -> None:
        self.kubectl("rollout", "status", f"deployment/{deployment}", f"--timeout={seconds:g}s", seconds=seconds + 10)

    def run_job(self, cronjob: str, name: str) -> None:
        self.kubectl("create", "job", name, f"--from=cronjob/{cronjob}")

    def job_ended(self, name: str, seconds: float = 120) -> str:
        """What the Job's pod printed once it is done. Raises AssertionError if it failed."""

        def ended() -> str:
            conditions = self.get("job", name)["status"].get("conditions") or []
            return next(
                (c["type"] for c in conditions if c["status"] == "True" and c["type"] in ("Complete", "Failed")), ""
            )

        assert wait_for(ended, f"the Job {name}", seconds) == "Complete", self.kubectl("logs", f"job/{name}")
        return self.kubectl("logs", f"job/{name}")
