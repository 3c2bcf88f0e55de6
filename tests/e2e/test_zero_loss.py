"""Three replicas with Redis under load: what a rollout, an eviction and a killed process cost."""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cluster import CommandFailed, Namespace, run, wait_for
from tests.e2e.figures import Figures
from tests.e2e.installation import Install, production
from tests.e2e.load import LoadPod

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
RETRY_SECONDS = 1.0


@pytest.fixture
def killer(image: str) -> Iterator[Namespace]:
    """A namespace with a privileged pod ``killer`` that sees the node's processes."""
    namespace = Namespace("auth-e2e-killer", image)
    run("kubectl", "create", "namespace", namespace.name)
    try:
        namespace.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "killer"},
                "spec": {
                    "hostPID": True,
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {
                            "name": "killer",
                            "image": image,
                            "command": ["sleep", "infinity"],
                            "securityContext": {"privileged": True, "runAsUser": 0},
                        }
                    ],
                },
            }
        )
        namespace.kubectl("wait", "--for=condition=Ready", "pod/killer", "--timeout=120s")
        yield namespace
    finally:
        run("kubectl", "delete", "namespace", namespace.name, "--wait=true")


KILL = """
import os, pathlib, signal, sys
uid = sys.stdin.read().strip()
found = []
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if uid.replace("-", "_") in (folder / "cgroup").read_text().replace("-", "_") \
                and b"auth-service" in (folder / "cmdline").read_bytes():
            found.append(int(folder.name))
    except OSError:
        pass
for pid in found:
    os.kill(pid, signal.SIGKILL)
print(len(found))
"""


def restarts(namespace: Namespace, pod: str) -> int:
    return int(namespace.get("pod", pod)["status"]["containerStatuses"][0]["restartCount"])


def test_a_rolling_update_and_a_drain_lose_nothing_and_a_killed_process_what_one_retry_gets_back(
    namespace: Namespace, load_pod: LoadPod, install: Install, killer: Namespace, figures: Figures
) -> None:
    service = install(namespace, "z", production(namespace))
    with load_pod.running(service) as load:
        time.sleep(5)
        load.phase("rolling-update")
        for _ in range(2):
            namespace.kubectl("rollout", "restart", f"deployment/{service}")
            namespace.rollout(service)
            time.sleep(12)  # the last old pod drains
        load.phase("drain")
        for pod in namespace.pods("z"):
            evict(namespace, pod["metadata"]["name"])
        namespace.rollout(service)
        time.sleep(12)
        load.phase("after")
        time.sleep(3)
        outcome = load.stop()
    rolling, drained = outcome.seen("rolling-update"), outcome.seen("drain")
    for name, seen in (("rolling update, twice", rolling), ("every pod evicted (drain)", drained)):
        figures.add(name, requests=seen.asked, lost=seen.lost, wrong_answers=seen.wrong)
    assert outcome.seen().wrong == outcome.seen().lost == 0, outcome.seen().examples

    kills = 3
    with load_pod.running(service, retries=1, retry_seconds=RETRY_SECONDS) as load:
        time.sleep(3)
        load.phase("kill")
        for _ in range(kills):
            kill(killer, namespace, namespace.pods("z")[0])
            wait_for(lambda: len(namespace.ready_addresses(service)) == 3, "three ready pods")
        outcome = load.stop()
    seen = outcome.seen("kill")
    figures.add(
        f"kill -9 of a pod's process, {kills} times",
        requests=seen.asked,
        wrong_answers=seen.wrong,
        repeated_after_a_second=seen.repeated,
        lost_after_one_retry=seen.lost,
    )
    assert seen.wrong == 0, seen.examples
    assert seen.repeated > 0  # a kill that nobody noticed would prove nothing
    assert seen.lost == 0, seen.examples


def kill(killer: Namespace, namespace: Namespace, pod: dict[str, Any]) -> None:
    """SIGKILL to the service's process in a pod; returns when it was started again, in a pod that was never killed."""
    name = pod["metadata"]["name"]
    before = restarts(namespace, name)
    killed = killer.kubectl("exec", "-i", "killer", "--", "python", "-c", KILL, stdin=pod["metadata"]["uid"])
    assert int(killed) >= 1
    wait_for(lambda: restarts(namespace, name) > before, "the process to be started again")
    namespace.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    namespace.kubectl("delete", "pod", name)  # kubelet would wait before a second restart of this one


def evict(namespace: Namespace, pod: str) -> None:
    """What ``kubectl drain`` does to a pod: it asks until the disruption budget allows it."""
    body = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}})
    path = f"/api/v1/namespaces/{namespace.name}/pods/{pod}/eviction"

    def asked() -> bool:
        try:
            run("kubectl", "create", "--raw", path, "-f", "-", stdin=body)
        except CommandFailed as failure:
            if "disruption budget" not in str(failure) and "TooManyRequests" not in str(failure):
                raise
            return False
        return True

    wait_for(asked, f"the eviction of {pod}", 180)


@pytest.mark.timeout(1800)
def test_without_redis_what_needs_no_store_goes_on_and_the_rest_is_refused(
    namespace: Namespace, load_pod: LoadPod, install: Install, figures: Figures
) -> None:
    outage = float(os.environ.get("E2E_OUTAGE_SECONDS", "60"))
    service = install(namespace, "o", production(namespace))
    fewest = 3
    with load_pod.running(service, jwks_max_age=10) as load:
        time.sleep(5)
        load.phase("going")
        namespace.kubectl("scale", f"statefulset/{service}-redis", "--replicas=0")
        wait_for(
            lambda: not namespace.get("pods", "-l", "app.kubernetes.io/component=redis")["items"], "Redis to be gone"
        )
        load.phase("outage")
        end = time.monotonic() + outage
        while time.monotonic() < end:
            fewest = min(fewest, len(namespace.ready_addresses(service)))
            time.sleep(2)
        load.phase("coming")
        namespace.kubectl("scale", f"statefulset/{service}-redis", "--replicas=1")
        namespace.kubectl("rollout", "status", f"statefulset/{service}-redis", "--timeout=120s")
        returned = time.monotonic()
        recovered = wait_for(lambda: all_connected(namespace, load_pod, service), "tokens to be issued again", 60)
        back = time.monotonic() - returned
        assert recovered
        time.sleep(3)
        load.phase("after")
        time.sleep(10)
        outcome = load.stop()
    offline = outcome.seen("outage", kinds=lambda kind: kind == "jwks" or kind.endswith("offline"))
    signed = outcome.seen("outage", kinds=lambda kind: kind == "issue JWT")  # a JWT has no record in the store
    others = ("jwks", "issue JWT", "verify offline", "verify held offline")
    store = outcome.seen("outage", kinds=lambda kind: kind not in others)
    restarted = sum(restarts(namespace, pod["metadata"]["name"]) for pod in namespace.pods("o"))
    figures.add(
        "Redis away",
        seconds=f"{outage:g}",
        JWKS_and_offline_checks=f"{offline.ok} of {offline.asked} answered",
        JWTs_issued=f"{signed.ok} of {signed.asked}",
        needed_the_store=f"{store.asked}: {store.refused} x 503 with Retry-After, {store.ok} ok, {store.failed} failed",
        wrong_answers=outcome.seen().wrong,
        fewest_endpoints_in_the_Service=f"{fewest} of 3",
        restarts=restarted,
        seconds_until_issued_again_after_Redis_was_ready=f"{back:.1f}",
        lost_afterwards=outcome.seen("after").lost,
    )
    assert offline.asked > 0
    assert offline.ok == offline.asked, offline.examples
    assert signed.ok == signed.asked, signed.examples
    assert store.refused > 0
    assert store.failed == 0, store.examples
    assert outcome.seen().wrong == 0, outcome.seen().examples
    assert (fewest, restarted) == (3, 0)
    assert outcome.seen("after").lost == 0


def all_connected(namespace: Namespace, load_pod: LoadPod, service: str) -> bool:
    """Whether each pod issues a token."""
    hosts = [pod["status"]["podIP"] for pod in namespace.pods("o")]
    return load_pod.python(ISSUE_EVERYWHERE, json.dumps({"hosts": hosts})).strip() == "True"


ISSUE_EVERYWHERE = """
import httpx, json, sys
sys.path.insert(0, "/load")
hosts = json.loads(sys.stdin.read())["hosts"]
auth = ("load", "e2e-load-0123456789abcdef0123456789abcdef")
form = {"grant_type": "client_credentials"}
print(all(httpx.post(f"http://{host}:8080/oauth/token", auth=auth, data=form).status_code == 200 for host in hosts))
"""
