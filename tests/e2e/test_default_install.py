"""An installation without values: what survives its pod, what a sync changes, and what an uninstall leaves."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.cluster import CHART, Namespace, run, wait_for
from tests.e2e.figures import Figures
from tests.e2e.installation import Install
from tests.e2e.load import ISSUE, LoadPod

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

CHECK = """
import httpx, json, jwt, sys, time
given = json.loads(sys.stdin.read())
def jwks():
    for left in range(30, -1, -1):  # a Service leads to its pods a moment after they are ready
        try:
            return httpx.get(given["url"] + "/jwks.json").json()["keys"]
        except httpx.ConnectError:
            if not left:
                raise
            time.sleep(0.3)
keys = {key["kid"]: jwt.PyJWK(key) for key in jwks()}
def active(token):
    url, auth = given["url"] + "/oauth/introspect", tuple(given["auth"])
    return httpx.post(url, auth=auth, data={"token": token}).json()["active"]
key = keys[jwt.get_unverified_header(given["jwt"])["kid"]]
jwt.decode(given["jwt"], key.key, algorithms=[key.algorithm_name], options={"verify_aud": False})
print(json.dumps({"verifies": True, "active": active(given["jwt"])}))
"""


def client_of(namespace: Namespace, service: str) -> dict[str, Any]:
    """The demonstration's client, as the notes tell to find it, and the Service's URL."""
    secret = namespace.secret(f"{service}-demo-client")
    return {"auth": [secret["client-id"], secret["client-secret"]], "url": f"http://{service}:8080"}


def signing_secrets(namespace: Namespace) -> Mapping[str, Any]:
    """The data of all Secrets but helm's own, in base64."""
    found = namespace.get("secrets")["items"]
    return {each["metadata"]["name"]: each.get("data") for each in found if not each["type"].startswith("helm.sh/")}


def test_a_default_installation_keeps_its_keys_passes_its_test_and_leaves_only_kept_secrets(
    namespace: Namespace, install: Install, load_pod: LoadPod, figures: Figures
) -> None:
    began = time.monotonic()
    values = {**namespace.image_values(), "demoClient": {"accessTokenFormat": "jwt"}}
    service = install(namespace, "d", values)
    installed = time.monotonic() - began
    client = client_of(namespace, service)
    wait_for(lambda: namespace.ready_addresses(service), "the endpoint")
    assert "Succeeded" in namespace.helm("test", "d", "--timeout", "120s")  # a Job: helm's --logs knows pods alone

    token = load_pod.python(ISSUE, json.dumps(client)).strip()
    before = signing_secrets(namespace)
    old = namespace.pods("d")[0]["metadata"]["name"]
    began = time.monotonic()
    namespace.kubectl("delete", "pod", old)
    namespace.rollout(service)
    wait_for(lambda: namespace.ready_addresses(service), "the endpoint")
    away = time.monotonic() - began
    after = json.loads(load_pod.python(CHECK, json.dumps({**client, "jwt": token})))
    assert after["verifies"] is True
    assert signing_secrets(namespace) == before

    # An upgrade that changes nothing, and one that does, touch no Secret's data.
    for more in ({}, {"podAnnotations": {"changed": "yes"}}):
        namespace.helm("upgrade", "d", str(CHART), "--wait", "--timeout", "120s", values={**values, **more})
        assert signing_secrets(namespace) == before

    namespace.helm("uninstall", "d", "--wait", "--timeout", "120s")
    instance = "app.kubernetes.io/instance=d"
    serving = f"{instance},app.kubernetes.io/component=service"
    wait_for(lambda: not namespace.get("pods", "-l", serving)["items"], "the last pod to drain and go", 60)
    kinds = run("kubectl", "api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
    ours = sorted(
        line
        for kind in kinds
        if not kind.startswith(("events", "pods.metrics"))
        for line in namespace.kubectl("get", kind, "-l", instance, "-o", "name").split()
    )
    figures.add(
        "default install",
        ready_after_seconds=f"{installed:.0f}",
        helm_test="succeeded",
        JWT_of_before_the_pod_was_deleted="verifies with the new pod's JWKS",
        introspected_by_the_new_pod="active" if after["active"] else "inactive",
        seconds_without_a_pod=f"{away:.0f}",
        left_by_uninstall=", ".join(ours),
    )
    secrets = [f"secret/{service}-{name}" for name in ("demo-client", "keys", "test-client")]
    assert ours == secrets  # the Job of `helm test` went when it had succeeded


def test_repeated_syncs_change_no_secret(namespace: Namespace, load_pod: LoadPod, figures: Figures) -> None:
    """As Argo CD does it: render, apply, again and again; no helm release exists."""
    values = {**namespace.image_values(), "demoClient": {"accessTokenFormat": "jwt"}}
    service, seen, revisions = "s-auth-service", [], []
    version = json.loads(run("kubectl", "version", "-o", "json"))["serverVersion"]["gitVersion"]
    for _ in range(3):
        rendered = namespace.helm("template", "s", str(CHART), "--no-hooks", "--kube-version", version, values=values)
        namespace.kubectl("apply", "-f", "-", stdin=rendered)
        namespace.rollout(service)
        wait_for(lambda: f"{service}-demo-client" in signing_secrets(namespace), "the Secret")
        wait_for(lambda: signing_secrets(namespace)[f"{service}-demo-client"], "the bootstrap")
        seen.append(signing_secrets(namespace))
        revisions.append(namespace.get("deployment", service)["metadata"]["generation"])
    assert all(data for data in seen[0].values())
    assert seen[0] == seen[1] == seen[2]
    assert load_pod.python(ISSUE, json.dumps(client_of(namespace, service)))
    figures.add(
        "template | apply, three times",
        secrets=len(seen[0]),
        secrets_changed=0,
        generations_of_the_Deployment=revisions[-1],
    )
    assert revisions[-1] == revisions[0]
