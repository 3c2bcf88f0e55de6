"""The load client's pod, and what came of a load."""

import base64
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.cluster import RESTRICTED, Namespace, run

OPAQUE, JWT = "load", "load-jwt"
SECRETS = {OPAQUE: "e2e-load-0123456789abcdef0123456789abcdef", JWT: "e2e-jwt-0123456789abcdef0123456789abcdef"}
"""Of clients that exist as long as a scenario."""

ISSUE = """
import httpx, json, sys, time
given = json.loads(sys.stdin.read())
for left in range(30, -1, -1):  # a Service leads to its pods a moment after they are ready
    try:
        httpx.get(given["url"] + "/jwks.json")
        break
    except httpx.ConnectError:
        if not left:
            raise
        time.sleep(0.3)
answer = httpx.post(given["url"] + "/oauth/token", auth=tuple(given["auth"]), data={"grant_type": "client_credentials"})
print(answer.json()["access_token"])
"""
"""A program for the pod: prints a token for ``{"url", "auth"}`` from its standard input."""


def client_entry(client: str, secret: str, token_format: str = "opaque") -> dict[str, Any]:
    """A client as ``clients.config`` has it."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).rstrip(b"=").decode()
    return {
        "id": client,
        "auth_method": "client_secret_basic",
        "secrets": [{"hash": f"sha256:{digest}"}],
        "grants": ["client_credentials"],
        "scopes": ["read"],
        "introspect": "own",
        "access_token": {"format": token_format, "seconds": 3600},
        "rate_limit_per_minute": "unlimited",
    }


CLIENTS = [client_entry(OPAQUE, SECRETS[OPAQUE]), client_entry(JWT, SECRETS[JWT], "jwt")]


class Seen(NamedTuple):
    """The counts of some phases and kinds of requests."""

    asked: int
    ok: int
    refused: int
    failed: int
    wrong: int
    repeated: int
    examples: list[str]

    @property
    def lost(self) -> int:
        return self.refused + self.failed


class Outcome(NamedTuple):
    """What a load saw, by phase and kind of request."""

    phases: dict[str, dict[str, dict[str, Any]]]
    kids: list[str]

    def seen(self, *phases: str, kinds: Callable[[str], bool] = lambda _: True) -> Seen:
        """The sums over phases (all if none is named) and kinds."""
        total: dict[str, Any] = dict.fromkeys(Seen._fields, 0) | {"examples": []}
        for phase, by_kind in self.phases.items():
            for kind, counts in by_kind.items():
                if (not phases or phase in phases) and kinds(kind):
                    for name, value in counts.items():
                        total[name] += [f"{phase}, {kind}: {e}" for e in value] if name == "examples" else value
        return Seen(**total)


class RunningLoad:
    """A load that runs until :meth:`stop`."""

    def __init__(self, process: "subprocess.Popen[str]", config: Mapping[str, Any]) -> None:
        self._process = process
        self._tell(json.dumps(config))
        self._read("started")

    def phase(self, name: str) -> None:
        """What is asked from now on is counted under ``name``."""
        self._tell(f"phase {name}")
        self._read("phase")

    def stop(self) -> Outcome:
        self._tell("stop")
        ended = self._read("ended")
        self._process.wait(timeout=30)
        return Outcome(ended["phases"], ended["kids"])

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self, event: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the load client ended with {self._process.wait(timeout=30)}"
        said: dict[str, Any] = json.loads(line)
        assert said["event"] == event, said
        return said


class LoadPod:
    """A restricted pod in the scenario's namespace, which runs the load client from the service's own image."""

    def __init__(self, namespace: Namespace, name: str = "load") -> None:
        self.namespace, self.name = namespace, name
        script = (Path(__file__).parent / "load_client.py").read_text()
        namespace.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"load_client.py": script}},
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name},
                "spec": {
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {
                            "name": "load",
                            "image": f"{namespace.repository}:{namespace.tag}",
                            "command": ["sleep", "infinity"],
                            "securityContext": RESTRICTED,
                            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
                            "volumeMounts": [{"name": "client", "mountPath": "/load"}],
                        }
                    ],
                    "volumes": [{"name": "client", "configMap": {"name": name}}],
                },
            },
        )
        namespace.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s")

    def python(self, code: str, stdin: str = "") -> str:
        """What a program in the pod prints."""
        return self.namespace.kubectl("exec", "-i", self.name, "--", "python", "-c", code, stdin=stdin)

    @contextmanager
    def running(
        self, service: str, *, rate: float = 40, users: int = 20, retries: int = 0, **more: Any
    ) -> Iterator[RunningLoad]:
        """A load on a Service, ``rate`` requests a second from ``users`` connections."""
        config = {
            "host": f"{service}.{self.namespace.name}.svc",
            "port": 8080,
            "issuer": more.pop("issuer", f"http://{service}.{self.namespace.name}.svc.cluster.local:8080"),
            "secrets": SECRETS,
            "opaque_client": OPAQUE,
            "jwt_client": JWT,
            "jwks_max_age": 300,
            "rate": rate,
            "users": users,
            "retries": retries,
            **more,
        }
        command = ["kubectl", "-n", self.namespace.name, "exec", "-i", self.name, "--", "python", "-u"]
        with subprocess.Popen(
            [*command, "/load/load_client.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield RunningLoad(process, config)
            finally:
                process.kill()


def delete_namespace(name: str) -> None:
    run("kubectl", "delete", "namespace", name, "--wait=false")
