"""Faults of the key ring, until their alerts fire and are resolved again."""

import fcntl
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.conftest import StartRedis
from tests.livefire.conftest import Range, Repeatedly
from tests.livefire.shortened import QUICK_ROTATION
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC
from tests.programs.service_process import environment_of_its_own

pytestmark = [pytest.mark.live_fire, pytest.mark.timeout(600)]

ROTATING = {
    "JWKS_MAX_AGE_SECONDS": "1",
    "KEYS_PROPAGATION_SECONDS": "2",
    "KEY_CLOCK_SKEW_SECONDS": "0",
    "JWKS_ROTATION_SECONDS": "4",
    "JWKS_RETAIN_SECONDS": "60",
    "TOKEN_EXPIRY_SECONDS": "60",
}


class LateMount:
    """A ring that operators change, and the copy that a process sees: as a mounted Secret, which comes later."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self._ring, self._copy = folder / "operators" / "keyring.json", folder / "mounted" / "keyring.json"
        for path in (self._ring, self._copy):
            path.parent.mkdir()
        self.settings = {
            "KEYS_FILE": str(self._copy),
            "KEYS_ALGORITHMS": "ES256",
            "KEYS_ROTATION": "off",
            "REDIS_URL": redis_url,
        }
        self.keys("init")
        self.comes()

    def keys(self, *arguments: str) -> str:
        """``auth-service keys`` on the operators' ring: its output."""
        environment = environment_of_its_own({**self.settings, "KEYS_FILE": str(self._ring)})
        command = [sys.executable, "-m", "app", "keys", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout

    def signing_kid(self) -> str:
        """The key that signs now."""
        (key,) = (each for each in json.loads(self.keys("list", "--json"))["keys"] if each["state"] == "signing")
        return str(key["kid"])

    def comes(self) -> None:
        """The process's copy is brought up to date."""
        shutil.copy(self._ring, self._copy.with_suffix(".new"))
        self._copy.with_suffix(".new").rename(self._copy)


def test_every_key_leaked_and_the_new_ring_is_late(
    firing_range: Range, redis_process: StartRedis, tmp_path: Path
) -> None:
    mount = LateMount(tmp_path, redis_process().url)
    firing_range.start(**mount.settings)
    firing_range.traffic()
    fault = "all keys revoked through Redis, and the process does not get the new ring"
    with firing_range.incident(fault, "NoSigningKey"):
        mount.keys("revoke", "--all", "--reason", "drill", "--yes")
    mount.comes()
    firing_range.over()


def test_a_key_leaked_and_the_new_ring_is_late(firing_range: Range, redis_process: StartRedis, tmp_path: Path) -> None:
    mount = LateMount(tmp_path, redis_process().url)
    firing_range.start(**mount.settings)
    firing_range.traffic()
    fault = "the key that signs revoked through Redis, and the process does not get the new ring"
    with firing_range.incident(fault, "NoPublishedSuccessor"):
        mount.keys("revoke", mount.signing_kid(), "--reason", "drill", "--yes")
    mount.comes()
    firing_range.over()


@pytest.mark.parametrize("overrides", [QUICK_ROTATION], ids=["5 s"])
def test_rotation_stops(firing_range: Range, tmp_path: Path) -> None:
    ring = tmp_path / "ring" / "keyring.json"
    ring.parent.mkdir()
    firing_range.start(KEYS_FILE=str(ring), **ROTATING)
    lock = ring.with_name(f".{ring.name}.lock")
    expected = ("KeyRotationFailing", "KeyRotationOverdue", "SigningKeyOld")
    with lock.open("ab") as held:
        with firing_range.incident("another process holds the lock of the key ring", *expected):
            fcntl.flock(held, fcntl.LOCK_EX)
        fcntl.flock(held, fcntl.LOCK_UN)
    firing_range.over()


def test_jwts_of_unknown_keys_come(firing_range: Range, repeatedly: Repeatedly, tmp_path: Path) -> None:
    (tmp_path / "ring").mkdir()
    calls = ServiceCalls(firing_range.start(KEYS_FILE=str(tmp_path / "ring" / "keyring.json")))
    claims = {"iss": calls.process.base_url, "sub": "a", "exp": int(time.time()) + 3600}
    key = ec.generate_private_key(ec.SECP256R1())
    stranger = jwt.encode(claims, key, "ES256", headers={"kid": "unknown", "typ": "at+jwt"})
    with firing_range.incident("JWTs of a key that nobody knows, ten a second", "UnknownKid"):
        stop = repeatedly(lambda: calls.request_introspection(BASIC, stranger), 0.1)
    stop()
    calls.close()
    firing_range.over()
