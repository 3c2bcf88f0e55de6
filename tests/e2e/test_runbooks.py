"""Every command of the runbooks that needs a cluster, as it stands there, in the namespace of a release."""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.e2e.cluster import CHART, ROOT, Namespace, run, wait_for
from tests.e2e.installation import Install, production
from tests.programs.ports import accepts_connections
from tests.runbooks.kept import keep
from tests.runbooks.pages import all_commands, in_cluster
from tests.runbooks.terminal import Ran

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CHANGING = (
    "kubectl create job",
    "kubectl logs -l app.kubernetes.io/component=rotation",
    "kubectl get jobs",
    "kubectl delete pod",
    "kubectl cordon",
    "kubectl uncordon",
    "kubectl scale",
    "kubectl rollout restart",
    "helm rollback",
)
"""What needs an order: a node is taken out and in again, the rollback comes last. All else comes before."""
END_ITSELF = "import os, signal; os.kill(1, signal.SIGTERM)"
WITH_TUNNEL = "kubectl port-forward deployment/auth-service 8080 9465"
"""Of the README: the commands of the pages go through it."""


def place(command: str) -> tuple[int, str]:
    """Where a command stands in the order."""
    order = [number for number, beginning in enumerate(CHANGING, 1) if command.startswith(beginning)]
    return (order[0] if order else 0, command)


class Operator:
    """A shell whose current context is the release's namespace."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.namespace = namespace
        self.environment = {"KUBECONFIG": str(folder / "kubeconfig")}
        (folder / "kubeconfig").touch(mode=0o600)
        (folder / "kubeconfig").write_text(run("kubectl", "config", "view", "--raw", "--minify"))
        assert self.run(f"kubectl config set-context --current --namespace={namespace.name}").code == 0

    def run(self, command: str) -> Ran:
        done = subprocess.run(
            ["env", *(f"{name}={value}" for name, value in self.environment.items()), "bash", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
            cwd=ROOT,
        )
        return Ran(command, done.returncode, done.stdout)

    @contextmanager
    def tunnel(self) -> Iterator[None]:
        command = ["env", f"KUBECONFIG={self.environment['KUBECONFIG']}", *WITH_TUNNEL.split()]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for(lambda: accepts_connections(8080) and accepts_connections(9465), "the tunnel", 30)
                yield
            finally:
                process.terminate()


def test_runbooks(namespace: Namespace, install: Install, tmp_path: Path) -> None:
    token = secrets.token_urlsafe(32)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "operators"}, "stringData": {"token": token}}
    namespace.apply(secret)
    values = production(
        namespace,
        replicaCount=2,
        admin={"existingSecret": "operators"},
        autoscaling={"enabled": True, "minReplicas": 2, "maxReplicas": 4},
    )
    service = install(namespace, "auth-service", values)
    assert service.startswith("auth-service")
    more = {**values, "podAnnotations": {"second": "revision"}}
    namespace.helm("upgrade", "auth-service", str(CHART), "--wait", "--timeout", "180s", values=more)
    operator = Operator(namespace, tmp_path)

    # Each pod's process ends once and starts again: `--previous` has something to show.
    for pod in namespace.pods("auth-service"):
        name = pod["metadata"]["name"]
        namespace.kubectl("exec", name, "--", "python", "-c", END_ITSELF)
        wait_for(lambda name=name: restarts(namespace, name) > 0, f"{name} to start again", 90)  # type: ignore[misc]
    namespace.rollout("auth-service")

    for command, pages in sorted(all_commands().items(), key=lambda each: place(each[0])):
        if not in_cluster(command):
            continue
        pod = namespace.pods("auth-service")[0]["metadata"]["name"]
        node = namespace.pods("auth-service")[0]["spec"]["nodeName"]
        line = command.replace("POD", pod).replace("NODE", node)
        ran = operator.run(line)
        assert ran.code == 0, f"{line}: {ran.output}"
        assert ran.output.strip(), line
        keep("cluster", msgspec.structs.replace(ran, command=command, output=ran.output.replace(node, "NODE")), pages)
        if command.startswith("kubectl create job"):
            namespace.job_ended("keys-now")
        if place(command)[0] > CHANGING.index("kubectl uncordon"):
            namespace.rollout("auth-service")

    doctor = operator.run("kubectl exec deployment/auth-service -- auth-service doctor")
    assert doctor.code == 0, doctor.output
    (tmp_path / "token").write_text(token)
    with operator.tunnel():
        assert httpx.get("http://127.0.0.1:8080/health/ready").json()["status"] == "ready"
        operator.environment["ADMIN_TOKEN_FILE"] = str(tmp_path / "token")
        for command in (each for each in all_commands() if each.startswith("curl ")):
            ran = operator.run(command.replace("CLIENT", "nobody"))
            assert ran.code == 0, ran.output
            assert ran.output.startswith("{"), f"{command}: {ran.output}"


def restarts(namespace: Namespace, pod: str) -> int:
    """How often the pod's container started again."""
    return int(namespace.get("pod", pod)["status"]["containerStatuses"][0]["restartCount"])
