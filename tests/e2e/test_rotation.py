"""The CronJob's Job, run by hand under a load whose verifier caches the JWKS for as long as it may."""

import base64
import json
import secrets
import time
from typing import Any

import pytest

from tests.e2e.cluster import Namespace, wait_for
from tests.e2e.figures import Figures
from tests.e2e.installation import Install, production
from tests.e2e.load import LoadPod

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

MAX_AGE, PERIOD = 3, 12
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
            said = json.loads(namespace.job_ended(f"by-hand-{number}").splitlines()[-1])
            changed += bool(said["changed"])
            made += len(kids(namespace) - before)
            time.sleep(PERIOD)
        load.phase("at-once")
        before = kids(namespace)
        for name in ("first", "second"):
            namespace.run_job(f"{rotating}-rotation", name)
        both = [json.loads(namespace.job_ended(name).splitlines()[-1]) for name in ("first", "second")]
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
