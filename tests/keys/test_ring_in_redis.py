"""Two running replicas with their ring in Redis: Redis comes back empty, and nothing private is ever to be seen."""

import base64
import itertools
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import jwt
import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.keys.document import decode
from app.keys.loading import load_private
from app.keys.sealing import KeyEncryption, parse_keks
from tests.conftest import StartRedis
from tests.programs.redis_process import RedisProcess
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import API, with_secret
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ROOT, ServiceProcess, wait_until

CLIENT = with_secret("ring", audiences=[API], access_token={"format": "jwt"}, introspect="own")
RING = "auth-service{keyring}document"
COMMANDS = (
    "list",
    "list --json",
    "rotate --dry-run",
    "rotate --force --json",
    "verify",
    "export --public",
    "export --public --format pem",
)


class Pair:
    """Two replicas that share nothing but Redis."""

    def __init__(
        self,
        folder: Path,
        process: RedisProcess,
        start: StartService,
        calls_of: Callable[[ServiceProcess], ServiceCalls],
    ) -> None:
        self.redis = process
        self.kek = folder / "kek"
        self.kek.write_bytes(base64.b64encode(secrets.token_bytes(32)))
        self.admin_token = secrets.token_urlsafe(32)
        (folder / "admin-token").write_text(self.admin_token)
        self.settings = {
            "EXTERNAL_BASE_URL": "http://auth.test",
            "REDIS_URL": process.url,
            "KEYS_SOURCE": "redis:",
            "KEYS_KEK_FILE": str(self.kek),
            "KEYS_ALGORITHMS": "ES256,RS256",
            "ADMIN_TOKEN_FILE": str(folder / "admin-token"),
            "LOG_LEVEL": "debug",
        }
        self.replicas = [calls_of(start(clients=(CLIENT,), **self.settings)) for _ in range(2)]
        wait_until(lambda: all(len(self.published(one)) == 4 for one in self.replicas), "the successors")

    def published(self, replica: ServiceCalls) -> set[str]:
        return {key["kid"] for key in replica.http.get("/jwks.json").json()["keys"]}

    def document(self) -> bytes | None:
        with redis.Redis(port=self.redis.port) as client:
            body: bytes | None = client.get(RING)
            return body

    def command(self, *arguments: str) -> str:
        """What ``auth-service keys`` prints to both streams."""
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **self.settings}
        command = [sys.executable, "-m", "app", "keys", *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout + done.stderr


@pytest.fixture
def pair(
    tmp_path: Path,
    redis_process: StartRedis,
    start_service_once: StartService,
    calls_of: Callable[[ServiceProcess], ServiceCalls],
) -> Pair:
    return Pair(tmp_path, redis_process(), start_service_once, calls_of)


class Load:
    """Asks a replica for tokens and its JWKS until it is ended, and remembers every key that it met."""

    def __init__(self, process: ServiceProcess) -> None:
        self._calls = ServiceCalls(process)
        self._ended = threading.Event()
        self.signed_with: set[str] = set()
        self.key_sets: set[frozenset[str]] = set()
        self.failures: list[str] = []
        self.answers = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            issued, jwks = self._calls.request_token(CLIENT), self._calls.http.get("/jwks.json")
            self.answers += 1
            if (issued.status_code, jwks.status_code) != (200, 200):
                self.failures.append(f"{issued.status_code} {jwks.status_code}")
                continue
            self.signed_with.add(jwt.get_unverified_header(issued.json()["access_token"])["kid"])
            self.key_sets.add(frozenset(key["kid"] for key in jwks.json()["keys"]))

    def has_answered(self, times: int) -> bool:
        return self.answers >= times

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        self._calls.close()


def test_a_redis_that_comes_back_empty_gets_the_ring_that_the_replicas_hold(pair: Pair) -> None:
    before = pair.document()
    loads = [Load(one.process) for one in pair.replicas]
    try:
        for _ in range(2):
            pair.redis.restart()  # nothing was saved
            wait_until(lambda: pair.document() is not None, "the ring")
            for load in loads:
                wait_until(partial(load.has_answered, load.answers + 20), "more answers")
    finally:
        for load in loads:
            load.end()
    after = pair.document()
    assert before is not None
    assert after is not None
    assert decode(after).keys == decode(before).keys
    for load in loads:
        assert load.failures == []
        assert load.answers > 40
        assert len(load.key_sets) == len(load.signed_with) == 1, "no key came or went"
    assert loads[0].key_sets == loads[1].key_sets
    assert loads[0].signed_with == loads[1].signed_with
    one, other = pair.replicas
    wait_until(lambda: other.request_introspection(CLIENT, one.access_token(CLIENT)).status_code == 200, "the store")
    assert other.is_active(CLIENT, one.access_token(CLIENT))


def forms(secret: bytes) -> Iterator[bytes]:
    """How a secret may be written; inside base64 at each of the three offsets."""
    yield secret
    yield secret.hex().encode()
    yield str(int.from_bytes(secret, "big")).encode()
    for shift, encode in itertools.product(range(3), (base64.b64encode, base64.urlsafe_b64encode)):
        yield encode(bytes(shift) + secret)[4:-4]


def private_numbers(pair: Pair, body: bytes) -> Iterator[bytes]:
    """The secret numbers of every private key in a ring."""
    kek = KeyEncryption(parse_keks(pair.kek.read_bytes()), secrets.token_bytes)
    for entry in decode(body).keys:
        key = load_private(entry, kek)
        if isinstance(key, rsa.RSAPrivateKey):
            numbers = key.private_numbers()
            yield from (n.to_bytes((n.bit_length() + 7) // 8, "big") for n in (numbers.d, numbers.p, numbers.q))
        else:
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            yield key.private_numbers().private_value.to_bytes(32, "big")


def shown_by(pair: Pair) -> Iterator[tuple[str, bytes]]:
    """Everything that the replicas tell anybody, and everything that Redis has."""
    bearer = {"authorization": f"Bearer {pair.admin_token}"}
    for replica in pair.replicas:
        process = replica.process
        urls = (f"{process.base_url}/jwks.json", f"{process.metrics_url}/metrics")
        for url in (*urls, f"{process.admin_url}/admin/stats", f"{process.admin_url}/admin/"):
            answer = httpx.get(url, headers=bearer)
            assert answer.status_code == 200 or url.endswith("/admin/"), url
            yield url, answer.content
        yield "a log", process.logs.encode()
        yield "audit events", process.output.encode()
    with redis.Redis(port=pair.redis.port) as client:
        for name in client.scan_iter("*"):
            yield f"Redis, {name!r}", name + (client.dump(name) or b"")
            if client.type(name) == b"string":
                yield f"Redis, {name!r}", client.get(name) or b""


def test_nothing_private_leaves_the_process_or_lies_in_redis_unsealed(pair: Pair) -> None:
    one, other = pair.replicas
    token = one.access_token(CLIENT)
    assert other.is_active(CLIENT, token)
    kid = jwt.get_unverified_header(token)["kid"]
    shown = [(f"keys {line}", pair.command(*line.split()).encode()) for line in COMMANDS]
    good = pair.document()
    assert good is not None
    canaries = [*private_numbers(pair, good), base64.b64decode(pair.kek.read_bytes())]
    assert len(canaries) == 3 + 3 * 3 + 1, "three keys of each algorithm, and the key-encryption key"
    shown.append(("keys revoke", pair.command("revoke", kid, "--reason", "drill", "--yes").encode()))
    wait_until(lambda: all(kid not in pair.published(each) for each in pair.replicas), "the revocation")
    with redis.Redis(port=pair.redis.port) as client:
        held = client.get(RING)
        assert held is not None
        client.set(RING, good[:-300])
        wait_until(lambda: all("truncated or damaged" in each.process.logs for each in pair.replicas), "the failure")
        client.set(RING, held)
    shown += shown_by(pair)
    for where, text in shown:
        for canary in canaries:
            assert not any(form in text for form in forms(canary)), f"a private key is in {where}"
    everything = b"".join(text for _, text in shown)
    public = [key["x"] for key in one.http.get("/jwks.json").json()["keys"] if key["kty"] == "EC"]
    for found in (base64.urlsafe_b64decode(x + "=") for x in public):
        assert any(form in everything for form in forms(found)), "what is looked for would have been found"
