"""A leaked key is dead on every replica before any of them has the new ring: the store tells them.

Each replica has a folder of its own, which nobody brings up to date: as kubelet, which takes up to two minutes.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jwt
import pytest
import redis

from tests.conftest import StartRedis
from tests.programs.redis_process import RedisProcess
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import API, with_secret
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ROOT, ServiceProcess, wait_until

CLIENT = with_secret("leak", audiences=[API], access_token={"format": "jwt"}, introspect="own")
STALENESS_SECONDS = 2.0
"""The bound of the store: ``CACHE_MAX_STALENESS_SECONDS``."""


class Installation:
    """A ring that an operator changes, replicas with copies of it, and the Redis between them."""

    def __init__(
        self,
        folder: Path,
        redis_process: RedisProcess,
        start_service: StartService,
        calls_of: Callable[[ServiceProcess], ServiceCalls],
    ) -> None:
        self.folder = folder
        self.redis = redis_process
        self._start_service = start_service
        self._calls_of = calls_of
        self.settings = {
            "EXTERNAL_BASE_URL": "http://auth.test",
            "KEYS_ALGORITHMS": "ES256",
            "KEYS_ROTATION": "off",
            "REDIS_URL": redis_process.url,
        }
        (folder / "operator").mkdir()
        assert self.command("init").returncode == 0

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``auth-service keys`` on the operator's ring, as a process of its own."""
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **self.settings}
        environ["KEYS_SOURCE"] = f"file://{self.folder}/operator/keyring.json"
        command = [sys.executable, "-m", "app", "keys", *arguments]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    def sync(self, name: str) -> Path:
        """Bring a replica's folder up to date."""
        (self.folder / name).mkdir(exist_ok=True)
        copy = self.folder / name / "keyring.json.new"
        shutil.copy(self.folder / "operator" / "keyring.json", copy)
        return copy.rename(self.folder / name / "keyring.json")

    def replica(self, name: str, *, sync: bool = True) -> ServiceCalls:
        path = self.sync(name) if sync else self.folder / name / "keyring.json"
        process = self._start_service(clients=(CLIENT,), **self.settings, KEYS_SOURCE=f"file://{path}")
        return self._calls_of(process)


@pytest.fixture
def installation(
    tmp_path: Path,
    redis_process: StartRedis,
    start_service_once: StartService,
    calls_of: Callable[[ServiceProcess], ServiceCalls],
) -> Installation:
    return Installation(tmp_path, redis_process(), start_service_once, calls_of)


def published(replica: ServiceCalls) -> set[str]:
    return {key["kid"] for key in replica.http.get("/jwks.json").json()["keys"]}


def has_two_keys(replica: ServiceCalls) -> bool:
    return len(published(replica)) == 2


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


class Watch:
    """Asks one replica again and again, and notes when each thing was first so."""

    def __init__(self, process: ServiceProcess, tokens: list[str], leaked: str) -> None:
        self._calls = ServiceCalls(process)
        self._tokens = tokens
        self._leaked = leaked
        self.first: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set() and len(self.first) < 3:
            self._note("inactive", not any(self._calls.is_active(CLIENT, token) for token in self._tokens))
            self._note("signs", kid_of(self._calls.access_token(CLIENT)) != self._leaked)
            self._note("jwks", self._leaked not in published(self._calls))

    def _note(self, what: str, so: bool) -> None:
        if so:
            self.first.setdefault(what, time.monotonic())
        else:
            assert what not in self.first, f"{what}, and then no more"

    def end(self) -> dict[str, float]:
        self._stop.set()
        self._thread.join()
        self._calls.close()
        return self.first


def test_every_replica_drops_the_key_before_its_mount_has_the_new_ring(
    installation: Installation, record_property: Callable[[str, object], None]
) -> None:
    replicas = [installation.replica("one"), installation.replica("two")]
    tokens = [replica.access_token(CLIENT) for replica in replicas]
    leaked = kid_of(tokens[0])
    assert leaked == kid_of(tokens[1])
    for replica in replicas:
        for token in (*tokens, *tokens):  # the second time from the cache
            assert replica.is_active(CLIENT, token)
    watches = [Watch(replica.process, tokens, leaked) for replica in replicas]
    told = threading.Event()
    moment: list[float] = []

    def listen() -> None:
        with redis.Redis(port=installation.redis.port) as client:
            names = set(client.keys("*"))
            while not told.wait(0.001):
                if any(b"epoch" in name for name in set(client.keys("*")) - names):
                    moment.append(time.monotonic())
                    return

    listener = threading.Thread(target=listen)
    listener.start()
    done = installation.command("revoke", leaked, "--reason", "drill", "--yes")
    returned = time.monotonic()
    wait_until(lambda: all(len(watch.first) == 3 for watch in watches), "the replicas", seconds=5)
    told.set()
    listener.join()
    seen = [watch.end() for watch in watches]
    assert done.returncode == 0, done.stderr
    assert "within 2 s" in done.stdout
    for what in ("inactive", "signs", "jwks"):
        took = max(first[what] for first in seen) - moment[0]
        record_property(what, round(took, 3))
        after = moment[0] + took - returned
        print(f"{what}: {1000 * took:.0f} ms after Redis knew, {1000 * after:.0f} ms after the command ended")
        assert took < STALENESS_SECONDS

    # The successor is known to verifiers since its making, and everything else goes on.
    fresh = replicas[0].access_token(CLIENT)
    assert all(replica.is_active(CLIENT, fresh) for replica in replicas)
    assert kid_of(fresh) in published(replicas[1])

    # A replica that starts with the old ring, because its mount is late as well, never signs with the leaked key.
    installation.command("list")
    (installation.folder / "three").mkdir()
    shutil.copy(installation.folder / "one" / "keyring.json", installation.folder / "three" / "keyring.json")
    late = installation.replica("three", sync=False)
    assert leaked not in published(late)
    assert kid_of(late.access_token(CLIENT)) == kid_of(fresh)
    assert not any(late.is_active(CLIENT, token) for token in tokens)
    assert late.is_active(CLIENT, fresh)

    # The new ring comes, and changes nothing but the successor of the successor.
    for name, replica in zip(("one", "two"), replicas, strict=True):
        installation.sync(name)
        wait_until(partial(has_two_keys, replica), "the new ring")
        assert leaked not in published(replica)
        assert kid_of(replica.access_token(CLIENT)) == kid_of(fresh)
        assert not replica.is_active(CLIENT, tokens[0])


def test_a_leaked_ring_stops_issuing_and_nothing_else(installation: Installation) -> None:
    replica = installation.replica("one")
    token = replica.access_token(CLIENT)
    done = installation.command("revoke", "--all", "--reason", "drill", "--yes")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not replica.is_active(CLIENT, token), "the store's word", seconds=STALENESS_SECONDS)
    wait_until(lambda: published(replica) == set(), "the empty set: verifiers are to forget the leaked keys")
    assert replica.request_token(CLIENT).status_code == 503
    assert replica.http.get("/health/ready").status_code == 200
    installation.sync("one")
    wait_until(partial(has_two_keys, replica), "the new ring")
    assert replica.is_active(CLIENT, replica.access_token(CLIENT))


def test_without_the_store_the_ring_is_changed_and_the_command_asks_for_another_try(installation: Installation) -> None:
    replica = installation.replica("one")
    leaked = kid_of(replica.access_token(CLIENT))
    installation.redis.pause()
    done = installation.command("revoke", leaked, "--reason", "drill", "--yes")
    assert done.returncode == 3
    assert "the store does not know of it" in done.stderr
    assert leaked not in installation.command("export", "--public").stdout
    installation.redis.resume()
    wait_until(lambda: replica.http.get("/health").status_code == 200, "the service")
    again = installation.command("revoke", leaked, "--reason", "drill", "--yes")
    assert again.returncode == 0, again.stderr
    wait_until(lambda: leaked not in published(replica), "the replica", seconds=STALENESS_SECONDS + 1)
