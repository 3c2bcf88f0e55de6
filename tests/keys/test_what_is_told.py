"""What a service tells of its keys: the JWKS before there is one, and metrics that are true at every scrape."""

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import jwt
import pytest
from click.testing import CliRunner

from app.cli import cli
from app.keys.ring import KeyState
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import API, with_secret, write_clients
from tests.programs.service_process import ServiceProcess, wait_until

CLIENT = with_secret("told", audiences=[API], access_token={"format": "jwt", "seconds": 8}, introspect="own")
ROTATION_SECONDS = 86_400
"""So long that none comes while a test looks."""
STATES = ("published", "signing", "retired", "removed", "revoked")
Start = Callable[..., ServiceCalls]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """``start(**settings)``: a service with its ring in ``tmp_path``, ready or not."""
    started: list[ServiceCalls] = []

    def start_service(**settings: str) -> ServiceCalls:
        folder = tmp_path / f"service-{len(started)}"
        folder.mkdir()
        environment = {
            "CLIENTS_FILE": str(write_clients(folder / "clients.yaml", (CLIENT,))),
            "KEYS_SOURCE": f"file://{tmp_path}/keyring.json",
            "KEYS_ALGORITHMS": "ES256,EdDSA",
            **settings,
        }
        started.append(ServiceCalls(ServiceProcess(folder, environment, ready_path="/health/live")))
        return started[-1]

    yield start_service
    for service in started:
        service.close()
        service.process.kill()


def keys_command(tmp_path: Path, *arguments: str, **settings: str) -> None:
    environ = {"KEYS_SOURCE": f"file://{tmp_path}/keyring.json", "KEYS_ALGORITHMS": "ES256,EdDSA", **settings}
    done = CliRunner().invoke(cli, ("keys", *arguments), env=environ)
    assert done.exit_code == 0, done.output


def test_before_the_first_ring_the_jwks_is_not_there_instead_of_empty(start: Start, tmp_path: Path) -> None:
    service = start(KEYS_ROTATION="off")
    for _ in range(2):
        answer = service.http.get("/jwks.json")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["error"] == "temporarily_unavailable"
    assert service.request_token(CLIENT).status_code == 503
    assert service.http.get("/health/ready").json()["checks"]["keys"] == "missing"
    keys_command(tmp_path, "init")
    wait_until(lambda: service.http.get("/jwks.json").status_code == 200, "the ring")
    assert len(service.http.get("/jwks.json").json()["keys"]) == 4
    assert service.http.get("/health/ready").status_code == 200


def keys_in(service: ServiceCalls, state: str) -> float:
    return service.metric("signing_keys", algorithm="ES256", state=state)


def next_rotation(service: ServiceCalls) -> float:
    return service.metric("signing_key_next_rotation_timestamp_seconds", algorithm="ES256")


def test_every_series_exists_from_the_start(start: Start) -> None:
    service = start(KEYS_ROTATION="auto", JWKS_ROTATION_SECONDS=str(ROTATION_SECONDS))
    text = httpx.get(f"{service.process.metrics_url}/metrics").text
    for algorithm in ("ES256", "EdDSA"):
        for state in STATES:
            assert f'signing_keys{{algorithm="{algorithm}",state="{state}"}}' in text
    for line in (
        *(f'signing_key_rotations_total{{result="{result}"}} 0.0' for result in ("rotated", "lost", "failed")),
        "unknown_kid_total 0.0",
        'config_reload_failures_total{source="keys"} 0.0',
    ):
        assert line in text
    assert set(STATES) == set(KeyState)
    assert (keys_in(service, "signing"), keys_in(service, "published")) == (1, 1)
    assert 0 <= service.metric("signing_key_age_seconds", algorithm="ES256", state="signing") < 60
    assert 0 < next_rotation(service) - time.time() <= ROTATION_SECONDS


def test_the_series_follow_what_happens(start: Start, tmp_path: Path) -> None:
    service = start(
        KEYS_ROTATION="auto",
        TOKEN_EXPIRY_SECONDS="60",
        JWKS_RETAIN_SECONDS="60",
        JWKS_MAX_AGE_SECONDS="1",
        KEYS_PROPAGATION_SECONDS="2",
        KEY_CLOCK_SKEW_SECONDS="0",
        JWKS_ROTATION_SECONDS="4",
    )
    first = next_rotation(service)
    old = service.access_token(CLIENT)
    wait_until(lambda: service.metric("signing_key_rotations_total", result="rotated") >= 1, "a rotation")
    wait_until(lambda: keys_in(service, "retired") >= 1, "the old key to retire")
    assert keys_in(service, "signing") == 1
    wait_until(lambda: next_rotation(service) > first, "the next instant")

    ring = tmp_path / "keyring.json"
    good = ring.read_bytes()
    ring.write_bytes(b"{")
    wait_until(lambda: service.metric("config_reload_failures_total", source="keys") >= 1, "the failure")
    wait_until(lambda: service.metric("signing_key_rotations_total", result="failed") >= 1, "a failed rotation")
    ring.write_bytes(good)
    wait_until(lambda: service.metric("signing_key_rotations_total", result="rotated") >= 2, "the next rotation")

    assert service.metric("unknown_kid_total") == 0
    header = base64.urlsafe_b64encode(b'{"alg":"ES256","kid":"unknown","typ":"at+jwt"}').rstrip(b"=").decode()
    for _ in range(3):
        assert not service.is_active(CLIENT, ".".join((header, *old.split(".")[1:])))
    assert service.metric("unknown_kid_total") == 3

    kid = jwt.get_unverified_header(service.access_token(CLIENT))["kid"]
    keys_command(tmp_path, "revoke", kid, "--reason", "drill", "--yes", JWKS_ROTATION_SECONDS="3600")
    wait_until(lambda: keys_in(service, "revoked") == 1, "the revoked key")
    assert keys_in(service, "signing") == 1
