"""Two releases on one Redis, clients that change while pods run, and an upgrade with its rollback."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import CHART, CommandFailed, Namespace, run, wait_for
from tests.e2e.figures import Figures
from tests.e2e.installation import Install, merged, production
from tests.e2e.load import OPAQUE, SECRETS, LoadPod, client_entry

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ASK = """
import httpx, json, sys
given = json.loads(sys.stdin.read())
answers = [httpx.post(given["url"] + path, auth=tuple(given["auth"]), data=data) for path, data in given["requests"]]
print(json.dumps([[answer.status_code, answer.json() if answer.content else None] for answer in answers]))
"""
GRANT = {"grant_type": "client_credentials"}


def ask(pod: LoadPod, host: str, *requests: tuple[str, dict[str, str]], client: str = OPAQUE, secret: str = "") -> Any:
    given = {
        "url": f"http://{host}:8080",
        "auth": [client, secret or SECRETS[client]],
        "requests": requests,
    }
    return json.loads(pod.python(ASK, json.dumps(given)))


def test_two_releases_on_one_redis_do_not_see_each_other(
    namespace: Namespace, load_pod: LoadPod, install: Install, figures: Figures
) -> None:
    """The same clients with the same secrets in both, so that only what is stored can tell them apart."""
    first = install(namespace, "one", production(namespace, replicaCount=1))
    redis = {"url": f"redis://{first}-redis:6379/0"}
    second = install(namespace, "two", production(namespace, replicaCount=1, devRedis={"enabled": False}, redis=redis))
    tokens = {}
    for service in (first, second):
        wait_for(lambda service=service: namespace.ready_addresses(service), "the endpoint")  # type: ignore[misc]
        status, body = ask(load_pod, service, ("/oauth/token", GRANT))[0]
        assert status == 200
        tokens[service] = {"token": body["access_token"]}
    for service, other in ((first, second), (second, first)):
        # The other's revocation of a token that it cannot know must leave it alone.
        answers = ask(load_pod, other, ("/oauth/introspect", tokens[service]), ("/oauth/revoke", tokens[service]))
        assert answers == [[200, {"active": False}], [200, None]]
        assert ask(load_pod, service, ("/oauth/introspect", tokens[service]))[0][1]["active"] is True
    listed = namespace.kubectl("exec", f"{first}-redis-0", "--", "redis-cli", "--no-raw", "keys", "*")  # in quotes
    keys = [line.split('"')[1] for line in listed.splitlines()]
    prefixes = tuple(f"{namespace.name}/{release}" for release in ("one", "two"))
    by_release = [sum(key.startswith(prefix) for key in keys) for prefix in prefixes]
    assert sum(by_release) == len(keys)
    assert all(by_release)
    figures.add("two releases on one Redis", keys_of_each=by_release, keys_of_neither=0, tokens_seen_by_the_other=0)


def test_a_client_that_is_added_or_removed_in_its_secret_is_known_to_every_pod(
    namespace: Namespace, load_pod: LoadPod, install: Install, figures: Figures
) -> None:
    secret = "e2e-new-0123456789abcdef0123456789abcdef"

    def write(*clients: dict[str, Any]) -> None:
        text = json.dumps({"version": 1, "clients": clients})  # JSON is YAML
        metadata = {"name": "my-clients"}
        namespace.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"c.yaml": text}})

    def on_every_pod(status: int) -> float:
        began = time.monotonic()
        hosts = [pod["status"]["podIP"] for pod in namespace.pods("c")]
        for host in hosts:

            def told(host: str = host) -> bool:
                asked = ask(load_pod, host, ("/oauth/token", GRANT), client="new", secret=secret)
                return bool(asked[0][0] == status)

            wait_for(told, f"{status} from {host}", 180, 2)
        return time.monotonic() - began

    standing = client_entry(OPAQUE, SECRETS[OPAQUE])
    write(standing)
    values = production(namespace, clients={"config": [], "existingSecret": "my-clients"})
    service = install(namespace, "c", values)
    pods = {pod["metadata"]["uid"] for pod in namespace.pods("c")}
    wait_for(lambda: len(namespace.ready_addresses(service)) == 3, "three endpoints")
    assert on_every_pod(401) < 30
    write(standing, client_entry("new", secret))
    added = on_every_pod(200)
    write(standing)
    removed = on_every_pod(401)
    assert {pod["metadata"]["uid"] for pod in namespace.pods("c")} == pods
    figures.add(
        "a client in the mounted Secret, on three pods",
        known_after_seconds=f"{added:.0f}",
        refused_after_seconds=f"{removed:.0f}",
        pods_restarted=0,
    )


def previous_chart(folder: Path) -> tuple[str, str]:
    """The chart of the newest tag and its version; this one's where nothing was released yet."""
    try:
        tag = run("git", "describe", "--tags", "--abbrev=0", "--match", "v*").strip()
    except CommandFailed:
        return str(CHART), "itself"
    archive = folder / "chart.tar"
    run("git", "archive", f"--output={archive}", tag)  # all of it: the chart has links to other folders
    run("tar", "-xf", str(archive), "-C", str(folder))
    return str(folder / "chart"), tag


def test_an_upgrade_and_its_rollback_lose_nothing(
    namespace: Namespace, load_pod: LoadPod, install: Install, figures: Figures, tmp_path: Path
) -> None:
    """From the newest tag's chart (``E2E_OTHER_IMAGE``: its image) to this one, and back."""
    chart, version = previous_chart(tmp_path)
    values = production(namespace)
    own = f"{namespace.repository}:{namespace.tag}"
    other = os.environ.get("E2E_OTHER_IMAGE", own)
    repository, _, tag = other.rpartition(":")
    released = f"chart of {version}, " + ("this image" if other == own else "its image")
    before = merged(values, {"image": {"repository": repository, "tag": tag}})
    namespace.helm("install", "u", chart, "--wait", "--atomic", "--timeout", "180s", values=before)
    service = "u-auth-service"
    with load_pod.running(service) as load:
        time.sleep(3)
        load.phase("upgrade")
        namespace.helm("upgrade", "u", str(CHART), "--wait", "--atomic", "--timeout", "180s", values=values)
        images = {pod["spec"]["containers"][0]["image"] for pod in namespace.pods("u")}
        time.sleep(12)
        load.phase("rollback")
        namespace.helm("rollback", "u", "1", "--wait", "--timeout", "180s")
        namespace.rollout(service)
        time.sleep(12)
        outcome = load.stop()
    assert images == {own}
    for phase, what in (("upgrade", f"upgrade from {version}"), ("rollback", f"rollback to {version}")):
        seen = outcome.seen(phase)
        figures.add(what, before_the_upgrade=released, requests=seen.asked, lost=seen.lost, wrong_answers=seen.wrong)
    assert (outcome.seen().lost, outcome.seen().wrong) == (0, 0), outcome.seen().examples
