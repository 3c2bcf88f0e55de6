"""Two replicas rotate their keys under load, and a leaked key is purged: seen by verifiers that cache all they may.

Lives are seconds here; the settings are otherwise those of a cluster. The long run is 20 rotations (``-m slow``).
"""

import itertools
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from click.testing import CliRunner

from app.cli import cli
from tests.conftest import RequireProgram
from tests.programs.node import NPM_FOLDER
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import API, with_secret
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ServiceProcess, wait_until

ISSUER = "http://auth.test"
MAX_AGE = 1
CLIENT = with_secret("live", audiences=[API], access_token={"format": "jwt", "seconds": 8}, introspect="own")
SETTINGS = {
    "EXTERNAL_BASE_URL": ISSUER,
    "TOKEN_EXPIRY_SECONDS": "60",
    "KEYS_ALGORITHMS": "ES256",
    "JWKS_MAX_AGE_SECONDS": str(MAX_AGE),
    "KEYS_PROPAGATION_SECONDS": "2",
    "KEY_CLOCK_SKEW_SECONDS": "0",
    "JWKS_ROTATION_SECONDS": "4",
    "JWKS_RETAIN_SECONDS": "60",
}
Replicas = list[ServiceCalls]


@pytest.fixture(scope="session")
def fast_path() -> str:
    """How requests are carried does not matter to keys."""
    return "asgi"


@pytest.fixture
def replicas(
    start_service: StartService, calls_of: Callable[[ServiceProcess], ServiceCalls], tmp_path: Path
) -> Replicas:
    """Two replicas with one ring in a file, which both of them rotate."""
    settings = {**SETTINGS, "KEYS_SOURCE": f"file://{tmp_path}/keyring.json"}
    return [calls_of(start_service(clients=(CLIENT,), **settings)) for _ in range(2)]


class PatientVerifier:
    """Caches the JWKS of one replica for max-age, and fetches nothing sooner."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = itertools.cycle(urls)
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fresh_until = 0.0

    def verify(self, token: str) -> None:
        now = time.monotonic()
        if now >= self._fresh_until:
            response = httpx.get(next(self._urls))
            assert f"max-age={MAX_AGE}" in response.headers["cache-control"]
            self._keys = {key["kid"]: jwt.PyJWK(key) for key in response.json()["keys"]}
            self._fresh_until = now + MAX_AGE
        key = self._keys[jwt.get_unverified_header(token)["kid"]]
        jwt.decode(token, key, audience=API, issuer=ISSUER)


class JoseVerifier:
    """npm's jose, told not to look for unknown keys before max-age ends."""

    def __init__(self, node: str, url: str) -> None:
        command = [node, "--import", str(NPM_FOLDER / "webcrypto.mjs"), str(NPM_FOLDER / "cached_jwks.mjs")]
        self._process = subprocess.Popen(
            [*command, url, ISSUER, str(1000 * MAX_AGE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def verify(self, token: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(token + "\n")
        self._process.stdin.flush()

    def close(self) -> dict[str, Any]:
        answer, _ = self._process.communicate(timeout=30)
        result: dict[str, Any] = json.loads(answer)
        return result


@pytest.fixture
def jose(require_program: RequireProgram, replicas: Replicas) -> Iterator[JoseVerifier]:
    verifier = JoseVerifier(require_program("node"), f"{replicas[0].process.base_url}/jwks.json")
    yield verifier
    verifier._process.kill()
    verifier._process.communicate()


@pytest.mark.parametrize("rotations", [2, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
def test_no_verifier_meets_a_key_that_it_does_not_know(replicas: Replicas, jose: JoseVerifier, rotations: int) -> None:
    urls = [f"{replica.process.base_url}/jwks.json" for replica in replicas]
    pyjwt = jwt.PyJWKClient(urls[1], cache_jwk_set=True, lifespan=MAX_AGE)
    patient = PatientVerifier(urls)
    signed_with: dict[str, int] = {}
    waiting: list[tuple[float, str, ServiceCalls]] = []
    give_up_at = time.monotonic() + 10 + 8 * rotations
    for one, other in itertools.cycle([(replicas[0], replicas[1]), (replicas[1], replicas[0])]):
        token = one.access_token(CLIENT)
        kid = jwt.get_unverified_header(token)["kid"]
        signed_with[kid] = signed_with.get(kid, 0) + 1
        patient.verify(token)
        jose.verify(token)
        jwt.decode(token, pyjwt.get_signing_key(kid), audience=API, issuer=ISSUER)
        assert other.is_active(CLIENT, token), "one replica signed it, the other one refuses it"
        waiting.append((time.monotonic() + 5, token, other))
        while waiting and waiting[0][0] <= time.monotonic():
            _, old, replica = waiting.pop(0)
            assert replica.is_active(CLIENT, old), "a token is refused before it expires"
        if len(signed_with) > rotations:
            break
        assert time.monotonic() < give_up_at, f"only {len(signed_with) - 1} rotations"
        time.sleep(0.02)
    told = jose.close()
    assert told["failures"] == []
    assert told["good"] == signed_with


def test_a_leaked_key_is_dead_on_every_replica_when_the_command_returns(replicas: Replicas, tmp_path: Path) -> None:
    tokens = [(replica.access_token(CLIENT), replica) for replica in replicas]
    leaked = {jwt.get_unverified_header(token)["kid"] for token, _ in tokens}
    named = [option for replica in replicas for option in ("--replica", replica.process.base_url)]
    environ = {**SETTINGS, "KEYS_SOURCE": f"file://{tmp_path}/keyring.json"}
    began = time.monotonic()
    for kid in leaked:
        done = CliRunner().invoke(cli, ("keys", "revoke", kid, "--reason", "drill", "--yes", *named), env=environ)
        assert done.exit_code == 0, done.output
    took = time.monotonic() - began
    for token, replica in tokens:
        assert not replica.is_active(CLIENT, token)
        assert not replicas[0].is_active(CLIENT, token)
        fresh = replica.access_token(CLIENT)
        assert jwt.get_unverified_header(fresh)["kid"] not in leaked
        assert replicas[1].is_active(CLIENT, fresh)
    assert took < 6, "a file is looked at every second"


def test_a_damaged_ring_stops_nothing_and_is_told(replicas: Replicas, tmp_path: Path) -> None:
    ring = tmp_path / "keyring.json"
    good = ring.read_bytes()
    ring.write_bytes(good[:-100])
    wait_until(lambda: all(r.metric("config_reload_failures_total", source="keys") > 0 for r in replicas), "the metric")
    for replica in replicas:
        assert replica.is_active(CLIENT, replica.access_token(CLIENT))
        assert "truncated or damaged" in replica.process.logs
    ring.write_bytes(good)
    wait_until(lambda: all(r.http.get("/jwks.json").status_code == 200 for r in replicas), "the ring")
