"""``auth-service doctor`` against real processes and a real Redis, whole and broken; one mode: it asks no hot route."""

import hashlib
import json
import secrets
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from click.testing import CliRunner, Result

from app.cli import cli
from app.config.fields import all_fields, secret_file_names
from tests.conftest import StartRedis
from tests.programs.redis_process import RedisProcess
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC, CANARY, EVERY_CLIENT, JWT, REFRESHER, write_clients
from tests.programs.service_fixtures import FAST_PATHS, ServiceOfMode, assert_nothing_secret
from tests.programs.service_process import ServiceProcess, environment_of_its_own, wait_until

ADMIN_TOKEN = f"{CANARY}-operators-token"
REDIS_PASSWORD = f"{CANARY}-redis-password"


class Patient:
    """A service on a Redis of its own, and the doctor with the same environment."""

    def __init__(self, folder: Path, server: RedisProcess) -> None:
        self.folder = folder
        self.redis = server
        self.clients = write_clients(folder / "clients.yaml", EVERY_CLIENT)
        self.audit = folder / "audit.jsonl"
        (folder / "admin-token").write_text(ADMIN_TOKEN)
        settings = {
            "FAST_PATH": FAST_PATHS[0],
            "CLIENTS_FILE": str(self.clients),
            "ADMIN_TOKEN_FILE": str(folder / "admin-token"),
            "REDIS_URL": server.url,
            "REDIS_PASSWORD": REDIS_PASSWORD,
            "CACHE_MAX_ENTRIES": "10000",  # the doctor looks at the lease
            "REDIS_KEY_PREFIX": f"test-{secrets.token_hex(8)}",
            "AUDIT_LOG": str(self.audit),
            "KEYS_SOURCE": f"file://{folder / 'keyring.json'}",
            "KEYS_ALGORITHMS": "ES256",
            "STORE_FALLBACK": "fail",
        }
        self.process = ServiceProcess(folder, settings)
        self.calls = ServiceCalls(self.process, ADMIN_TOKEN)
        addresses = {
            "BIND_ADDR": self.process.base_url,
            "METRICS_ADDR": self.process.metrics_url,
            "ADMIN_ADDR": self.process.admin_url,
        }
        self.environ = {**settings, **{name: url.removeprefix("http://") for name, url in addresses.items()}}

    def doctor(self, *arguments: str, **changed: str | None) -> Result:
        return run_doctor(*arguments, environ={**self.environ, **changed})

    def found(self, expected_code: int = 1) -> list[tuple[str, str | None]]:
        result = self.doctor("--json")
        assert result.exit_code == expected_code, result.output
        return [(each["level"], each["alert"]) for each in json.loads(result.stdout)["findings"]]


def run_doctor(*arguments: str, environ: Mapping[str, str | None]) -> Result:
    """The command in this process, with these settings alone."""
    nothing: dict[str, str | None] = {field.name: None for field in all_fields()}
    nothing |= dict.fromkeys(secret_file_names().values())
    result = CliRunner().invoke(cli, ("doctor", *arguments), env={**nothing, **environ}, prog_name="auth-service")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert_nothing_secret(result.output)
    return result


def ask_redis(server: RedisProcess, *command: str) -> Any:
    with redis.Redis(port=server.port, password=REDIS_PASSWORD) as client:
        return client.execute_command(*command)


@pytest.fixture(scope="module")
def module_redis(
    tmp_path_factory: pytest.TempPathFactory, require_program: Callable[[str], str]
) -> Iterator[RedisProcess]:
    server = RedisProcess(
        require_program("redis-server"), tmp_path_factory.mktemp("redis"), ("--requirepass", REDIS_PASSWORD)
    )
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def patient(module_redis: RedisProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    started = Patient(tmp_path_factory.mktemp("patient"), module_redis)
    try:
        yield started
    finally:
        started.calls.close()
        started.process.kill()
        assert_nothing_secret(started.process.logs)


# ---------------------------------------------------------------------- healthy


def test_of_a_healthy_service_nothing_is_wrong(patient: Patient) -> None:
    result = patient.doctor()
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    row = next(line for line in lines if line.startswith(patient.environ["METRICS_ADDR"]))
    version, ready, ring, store, lease = row.split()[1:6]
    assert (ready, store, lease) == ("ready", "ok", "held")
    assert version == patient.calls.stats()["version"]
    assert int(ring) == json.loads((patient.folder / "keyring.json").read_text())["revision"]
    server = next(line for line in lines if line.startswith(f"127.0.0.1:{patient.redis.port}"))
    assert server.split()[1] == "master"
    assert "noeviction" in server
    assert "0 wrong" in lines[-1] or lines[-1] == "nothing is wrong"


def test_an_epoch_that_redis_has_is_the_one_that_the_process_has(patient: Patient) -> None:
    body = {"client_id": "nobody-of-this-name"}
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    httpx.post(f"{patient.process.admin_url}/admin/revocations/client", json=body, headers=headers).raise_for_status()

    def seen() -> Any:
        return json.loads(patient.doctor("--json").stdout)

    def known() -> bool:
        document = seen()
        redis = document["configuration"]["redis"]["epochs_version"]
        return bool(redis != "0" and document["replicas"][0]["stats"]["cache"]["epochs_version"] == redis)

    # Told to itself it reads them with the next decision.
    token = patient.calls.access_token(BASIC)
    wait_until(lambda: bool(patient.calls.introspect(BASIC, token)) and known(), "the epoch to be known")


def test_it_runs_as_a_program_of_its_own(patient: Patient) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "doctor"],
        env=environment_of_its_own(patient.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_listeners_can_be_asked_from_elsewhere(patient: Patient) -> None:
    urls = ("--url", patient.process.metrics_url, "--url", patient.process.admin_url)
    token = ("--admin-token-file", str(patient.folder / "admin-token"))
    document = json.loads(run_doctor(*urls, *token, "--json", environ={}).stdout)
    (process,) = document["replicas"]
    assert document["configuration"] is None
    assert process["ready"] == "ready"
    assert process["stats"]["cache"]["lease"] is True
    without = run_doctor("--url", patient.process.admin_url, "--json", environ={})
    assert "ADMIN_TOKEN_FILE" in json.loads(without.stdout)["replicas"][0]["no_stats"]


def test_two_processes_with_rings_of_their_own_are_told_of(patient: Patient, service_of_mode: ServiceOfMode) -> None:
    other = service_of_mode(FAST_PATHS[0]).process
    listeners = [process.metrics_url for process in (patient.process, other)]
    listeners += [process.admin_url for process in (patient.process, other)]
    (other_token,) = [(other.folder / "admin-token").read_text()]
    urls = [part for url in listeners for part in ("--url", url)]
    shared = patient.folder / "admin-token"
    try:
        shared.write_text(other_token)
        patient_hidden = run_doctor(*urls, "--admin-token-file", str(shared), environ={})
    finally:
        shared.write_text(ADMIN_TOKEN)
    # One operators' token for both: both rings are seen, and they differ.
    assert patient_hidden.exit_code == 0, patient_hidden.output
    assert "their key rings differ" in patient_hidden.stdout


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "said"),
    [
        (("--url", "http://127.0.0.1:1"), {}, 3, "cannot be asked"),
        (("--url", "ftp://x"), {}, 2, "is not the address"),
        ((), {"REDIS_URL": "nonsense"}, 2, "REDIS_URL"),
        ((), {"METRICS_ADDR": "127.0.0.1:0", "CLIENT_CREDENTIALS": "a:b", "ALLOWED_SCOPES": "c"}, 2, "port 0"),
        (("--json", "explain", "StoreDown"), {}, 2, "put them behind it"),
        (("--admin-token-file", "/nowhere/token", "--url", "http://127.0.0.1:1"), {}, 2, "cannot be read"),
    ],
)
def test_what_cannot_be_done_has_its_exit_code(
    arguments: tuple[str, ...], environ: dict[str, str], code: int, said: str
) -> None:
    result = run_doctor(*arguments, environ=environ)
    assert (result.exit_code, said in result.output) == (code, True), result.output


# ---------------------------------------------------------------------- tokens


@pytest.mark.parametrize("as_refresh", [False, True])
def test_a_live_token_is_found_by_its_digest_and_never_shown(patient: Patient, as_refresh: bool) -> None:
    client = REFRESHER if as_refresh else BASIC
    token = patient.calls.token(client)["refresh_token" if as_refresh else "access_token"]
    digest = hashlib.sha256(token.encode()).hexdigest()
    wait_until(lambda: digest in patient.audit.read_text(), "the audit event")
    result = patient.doctor("explain", f"sha256:{digest}")
    assert result.exit_code == 0, result.output
    assert "active" in result.stdout
    assert "token.issued" in result.stdout
    assert token not in result.output
    patient.calls.revoke(client, token)
    wait_until(lambda: patient.audit.read_text().count(digest) >= 2, "the audit event of the revocation")
    after = json.loads(patient.doctor("explain", digest.upper(), "--json").stdout)
    assert after["record"] is None
    assert [event["event"] for event in after["events"]] == ["token.issued", "token.revoked"]


def test_a_token_in_clear_is_refused_with_the_way_to_hash_it(patient: Patient) -> None:
    for token in (patient.calls.access_token(BASIC), patient.calls.access_token(JWT), f"{CANARY}{'x' * 60}"):
        result = patient.doctor("explain", token)
        assert result.exit_code == 2
        assert "sha256sum" in result.output
        assert token not in result.output


def test_the_search_for_a_token_keeps_redis_busy_for_no_longer_than_five_milliseconds_a_step(patient: Patient) -> None:
    server = patient.redis
    ask_redis(server, "CONFIG", "SET", "slowlog-log-slower-than", "5000")
    ask_redis(server, "SLOWLOG", "RESET")
    assert "no record" in patient.doctor("explain", "0" * 64).stdout
    assert ask_redis(server, "SLOWLOG", "LEN") == 0


# ---------------------------------------------------------------------- alerts


def test_an_alert_is_explained() -> None:
    result = run_doctor("explain", "StoreDown", environ={})
    assert result.exit_code == 0
    for part in ("critical", "Meaning", "First five minutes", "how long it must hold", "Mitigation"):
        assert part in result.stdout
    assert "StoreDown or" in run_doctor("explain", "StoreDwn", environ={}).output


# ---------------------------------------------------------------------- the support file


def test_the_support_file_has_everything_but_secrets(patient: Patient, tmp_path: Path) -> None:
    token = patient.calls.access_token(BASIC)
    file = tmp_path / "support.tar.gz"
    assert patient.doctor("--bundle", str(file)).exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as archive:
        texts = {m.name.partition("/")[2]: archive.extractfile(m).read().decode() for m in archive}  # type: ignore[union-attr]
    assert texts.keys() == {
        "report.txt",
        "report.json",
        "releases.txt",
        "settings.txt",
        "process-0/metrics.txt",
        "process-0/ready.json",
        "process-0/stats.json",
    }
    assert "REDIS_KEY_PREFIX=test-" in texts["settings.txt"]
    assert "build_info" in texts["process-0/metrics.txt"]
    private = json.loads((patient.folder / "keyring.json").read_text())["keys"][0]["private"]["pkcs8"]
    for text in texts.values():
        assert_nothing_secret(text)
        assert not any(secret in text for secret in (token, CANARY, private, BASIC.secret, "asa_", "PRIVATE"))
    again = patient.doctor("--bundle", str(file))
    assert (again.exit_code, "is there already" in again.output) == (2, True)


# ---------------------------------------------------------------------- ill; the last tests break what the others use


def test_refused_clients_and_rings_are_told_with_their_file(patient: Patient) -> None:
    good, ring = patient.clients.read_text(), (patient.folder / "keyring.json").read_bytes()
    patient.clients.write_text("version: 1\nclients: [{id: x, surprise: 1}]\n")
    (patient.folder / "keyring.json").write_text("{")
    try:
        result = patient.doctor()
        assert result.exit_code == 1
        assert "WRONG [ConfigReloadFailing] clients: they would be refused" in result.stdout
        assert "clients.yaml" in result.stdout
        assert "the key ring cannot be read" in result.stdout
        wait_until(lambda: ("look", "ConfigReloadFailing") in patient.found(), "the process to see it", 30)
    finally:
        patient.clients.write_text(good)
        (patient.folder / "keyring.json").write_bytes(ring)


def test_a_redis_that_may_evict_and_one_that_is_a_replica_are_told_of(
    patient: Patient, redis_process: StartRedis
) -> None:
    server = patient.redis
    ask_redis(server, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        assert ("wrong", "StoreEvicting") in patient.found()
    finally:
        ask_redis(server, "CONFIG", "SET", "maxmemory-policy", "noeviction")
    replica = redis_process(
        "--replicaof", "127.0.0.1", str(server.port), "--masterauth", REDIS_PASSWORD, "--requirepass", REDIS_PASSWORD
    )
    result = patient.doctor(REDIS_URL=replica.url)
    assert result.exit_code == 1
    assert "the service needs the master" in result.stdout
    wrong = patient.doctor(REDIS_PASSWORD=f"{CANARY}-not-this")
    assert (wrong.exit_code, "refuses the user name or password" in wrong.stdout) == (1, True)


def test_redis_down_is_what_is_wrong_and_the_next_step_is_said(patient: Patient) -> None:
    patient.redis.kill()
    wait_until(lambda: patient.calls.metric("store_connections", backend="redis", state="connected") == 0, "the loss")
    result = patient.doctor()
    assert result.exit_code == 1
    assert "WRONG [StoreDown] Redis: Redis cannot be reached" in result.stdout
    assert f"WRONG [StoreDown] {patient.environ['METRICS_ADDR']}: no connection to Redis" in result.stdout
    assert "store fence --before" in result.stdout
    assert patient.doctor("explain", "0" * 64).exit_code == 3
    patient.process.kill()
    gone = patient.doctor()
    assert (gone.exit_code, "cannot be asked" in gone.stdout) == (3, True)
