"""The CronJob's Job, run by hand under a load whose verifier caches the JWKS for as long as it may."""

import base64
import json
import secrets
import time
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.cluster import Namespace, wait_for
from tests.e2e.figures import Figures
from tests.e2e.installation import Install, production
from tests.e2e.load import ISSUE, JWT, SECRETS, LoadPod

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

MAX_AGE, PERIOD = 3, 12
STALENESS_SECONDS = 2
"""CACHE_MAX_STALENESS_SECONDS, the bound that the service states."""
KEYS = {
    "source": "redis",
    "algorithms": ["ES256"],
    "rotationSeconds": PERIOD,
    "retainSeconds": 3600,
    "maxAgeSeconds": MAX_AGE,
    "propagationSeconds": 3,
    "clockSkewSeconds": 1,
    "kek": {"existingSecret": "kek"},
    "rotation": {"schedule": "0 0 29 2 *"},  # by hand alone
}
"""Everything at the smallest that the rules of rotation allow: ten rotations pass in some minutes."""


@pytest.fixture
def rotating(namespace: Namespace, install: Install) -> str:
    kek = base64.b64encode(secrets.token_bytes(32)).decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "kek"}, "stringData": {"kek": kek}}
    namespace.apply(secret)
    return install(namespace, "r", production(namespace, keys=KEYS))


def ring(namespace: Namespace) -> dict[str, Any]:
    pod = namespace.pods("r")[0]["metadata"]["name"]
    listed: dict[str, Any] = json.loads(namespace.kubectl("exec", pod, "--", "auth-service", "keys", "list", "--json"))
    return listed


def kids(namespace: Namespace) -> set[str]:
    return {key["kid"] for key in ring(namespace)["keys"]}


def what_it_said(log: str) -> dict[str, Any]:
    """The command's result among the lines of its log: both streams are one there, in any order."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return next(line for line in lines if "changed" in line)


def test_ten_rotations_by_the_job_lose_nothing_and_two_at_once_make_one_key(
    namespace: Namespace, load_pod: LoadPod, rotating: str, figures: Figures
) -> None:
    made, changed = 0, 0
    with load_pod.running(rotating, jwks_max_age=MAX_AGE) as load:
        time.sleep(3)
        load.phase("rotating")
        for number in range(10):
            before = kids(namespace)
            namespace.run_job(f"{rotating}-rotation", f"by-hand-{number}")
            said = what_it_said(namespace.job_ended(f"by-hand-{number}"))
            changed += bool(said["changed"])
            made += len(kids(namespace) - before)
            time.sleep(PERIOD)
        load.phase("at-once")
        before = kids(namespace)
        for name in ("first", "second"):
            namespace.run_job(f"{rotating}-rotation", name)
        both = [what_it_said(namespace.job_ended(name)) for name in ("first", "second")]
        made_at_once = len(kids(namespace) - before)
        time.sleep(2 * MAX_AGE)
        outcome = load.stop()
    seen, verified = outcome.seen(), outcome.seen(kinds=lambda kind: kind == "verify offline")
    figures.add(
        "the CronJob's Job, ten times by hand",
        rotations=changed,
        new_keys=made,
        kids_that_signed=len(outcome.kids),
        requests=seen.asked,
        JWTs_verified_with_a_cached_JWKS=f"{verified.ok} of {verified.asked}",
        lost=seen.lost,
        wrong_answers=seen.wrong,
    )
    figures.add(
        "two Jobs at once",
        new_keys=made_at_once,
        said_that_they_changed_the_ring=sum(bool(each["changed"]) for each in both),
    )
    assert changed == 10
    assert len(outcome.kids) >= 10
    assert (seen.lost, seen.wrong) == (0, 0), seen.examples
    assert made_at_once == 1
    assert wait_for(lambda: kids(namespace), "the ring")


WATCH = """
import httpx, json, sys, time
given = json.loads(sys.stdin.read())
auth, refused, signed = tuple(given["auth"]), {}, {}
end = time.time() + 120
while time.time() < end and not (len(refused) == len(signed) == len(given["hosts"])):
    for host in given["hosts"]:
        url = f"http://{host}:8080"
        active = httpx.post(url + "/oauth/introspect", auth=auth, data={"token": given["jwt"]}).json()["active"]
        kids = [key["kid"] for key in httpx.get(url + "/jwks.json").json()["keys"]]
        if not active and given["kid"] not in kids:
            refused.setdefault(host, time.time())
        token = httpx.post(url + "/oauth/token", auth=auth, data={"grant_type": "client_credentials"})
        if token.status_code == 200:
            header = token.json()["access_token"].split(".")[0]
            kid = json.loads(__import__("base64").urlsafe_b64decode(header + "=="))["kid"]
            if kid != given["kid"] and kid in kids:
                signed.setdefault(host, time.time())
print(json.dumps({"refused": refused, "signed": signed, "now": time.time()}))
"""


def test_a_leaked_key_is_dead_on_every_pod_before_kubelet_brings_the_new_ring(
    namespace: Namespace, load_pod: LoadPod, install: Install, figures: Figures
) -> None:
    """Keys in a mounted Secret, which takes up to minutes; the word of the leak goes through Redis."""
    service = install(namespace, "r", production(namespace, keys={"algorithms": ["ES256"]}))
    client: dict[str, Any] = {"url": f"http://{service}:8080", "auth": [JWT, SECRETS[JWT]]}
    wait_for(lambda: len(namespace.ready_addresses(service)) == 3, "three endpoints")
    token = load_pod.python(ISSUE, json.dumps(client)).strip()
    kid = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"]
    hosts = [pod["status"]["podIP"] for pod in namespace.pods("r")]

    job = namespace.get("cronjob", f"{service}-rotation")["spec"]["jobTemplate"]
    container = job["spec"]["template"]["spec"]["containers"][0]
    arguments = container["args"]
    source = arguments[arguments.index("--source") + 1]
    container["args"] = ["keys", "revoke", kid, "--reason", "drill", "--yes", "--source", source]
    namespace.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "leak"}, "spec": job["spec"]})
    watched = json.loads(load_pod.python(WATCH, json.dumps({**client, "jwt": token, "kid": kid, "hosts": hosts})))
    namespace.job_ended("leak")
    ended = namespace.get("job", "leak")["status"]["completionTime"]
    refused, signed = watched["refused"], watched["signed"]
    assert set(refused) == set(signed) == set(hosts)
    done = datetime.fromisoformat(ended).timestamp()
    last = max(*refused.values(), *signed.values())
    figures.add(
        "a leaked key, revoked through the store (keys in a mounted Secret)",
        pods_that_refuse_its_JWT_and_publish_it_no_more=len(refused),
        pods_that_sign_with_the_successor=len(signed),
        seconds_between_the_first_pod_and_the_last=f"{last - min(refused.values()):.2f}",
        seconds_from_the_end_of_the_Job_to_the_last_pod=f"{max(0.0, last - done):.0f}",
    )
    assert last - min(refused.values()) < STALENESS_SECONDS
    assert last - done < STALENESS_SECONDS + 1  # the Job's time has no fractions
