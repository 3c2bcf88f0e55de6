"""Starting: every mistake at once, a clear word where a port is taken, and the demonstration as a newcomer runs it."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx
import pytest

from tests.programs.ports import free_port
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC, CANARY, write_clients
from tests.programs.service_fixtures import FAST_PATHS, StartService
from tests.programs.service_process import (
    ServiceEnded,
    ServiceProcess,
    environment_of_its_own,
    serve_command,
    wait_until,
)


@pytest.fixture(scope="module")
def fast_path() -> str:
    """One mode will do: nothing is carried yet."""
    return FAST_PATHS[0]


def refused_start(
    folder: Path, settings: Mapping[str, str], arguments: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Start a service that must end by itself."""
    return subprocess.run(
        serve_command(*arguments),
        cwd=folder,
        env=environment_of_its_own(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


# ---------------------------------------------------------------------------------------------- what stops the start


def test_every_mistake_of_the_settings_is_told_at_once(tmp_path: Path) -> None:
    settings = {
        "BIND_ADDR": "nonsense",
        "TOKEN_EXPIRY_SECONDS": "5",
        "RATE_LIMIT_REQUESTS_PER_MINUTE": "many",
        "FAST_PATH": "warp",
        "EXTERNAL_BASE_URL": "ftp://example.com",
        "CLIENTS_FILE": "/does/not/exist.yaml",
        "REDIS_URL": f"http://:{CANARY}@redis",
        "KEYS_ALGORITHMS": "ES256,HS256",
        "KEYS_SOURCE": "memory:",
        "KEYS_FILE": "keyring.json",
        "ALLOWED_ORIGINS": "https://good.example.com, evil",
    }
    ended = refused_start(tmp_path, settings)
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    for name in settings:
        if name != "KEYS_SOURCE":
            assert any(line.strip().startswith(name) for line in lines), (name, ended.stderr)
    assert CANARY not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_mistake_of_the_clients_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "clients.yaml"
    file.write_text(
        "version: 1\n"
        "clients:\n"
        "  - id: one\n"
        "    secrets: []\n"
        "  - id: two\n"
        f"    secrets: [{CANARY}]\n"
        "  - id: three\n"
        "    auth_method: guess\n"
    )
    ended = refused_start(tmp_path, {"CLIENTS_FILE": str(file)})
    assert ended.returncode == 2
    for line in (4, 6, 8):
        assert f"clients.yaml:{line}" in ended.stderr
    assert CANARY not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_corrupt_key_ring_stops_the_start_and_is_left_alone(tmp_path: Path) -> None:
    keyring = tmp_path / "keyring.json"
    keyring.write_text('{"format": "auth-service/keyring", "version": "1.0", "keys": [')
    before = keyring.read_bytes()
    ended = refused_start(tmp_path, free_addresses() | {"KEYS_FILE": str(keyring)})
    assert ended.returncode == 2
    assert str(keyring) in ended.stderr
    assert "Traceback" not in ended.stderr
    assert keyring.read_bytes() == before


@pytest.mark.parametrize("name", ["BIND_ADDR", "METRICS_ADDR", "ADMIN_ADDR"])
def test_a_taken_port_is_named(tmp_path: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = refused_start(tmp_path, free_addresses() | {name: address})
    assert ended.returncode == 1
    assert f"{name}: cannot listen on {address}: another process listens there" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    ended = refused_start(tmp_path, free_addresses() | {"BIND_ADDR": "192.0.2.1:8080"})
    assert ended.returncode == 1
    assert "BIND_ADDR: cannot listen on 192.0.2.1:8080: " in ended.stderr


def test_workers_need_a_common_store_and_common_keys(tmp_path: Path) -> None:
    ended = refused_start(tmp_path, free_addresses(), ["--workers", "2"])
    assert ended.returncode == 2
    assert "needs REDIS_URL" in ended.stderr
    assert "needs shared keys" in ended.stderr


@pytest.mark.parametrize("arguments", [["--nonsense"], ["extra"], ["--workers", "0"], ["--workers", "x"]])
def test_an_unknown_argument_is_a_usage_error(tmp_path: Path, arguments: list[str]) -> None:
    assert refused_start(tmp_path, free_addresses(), arguments).returncode == 2


# ---------------------------------------------------------------------------------------------- what does not


def test_what_was_probably_not_meant_is_warned_about(start_service: StartService) -> None:
    process = start_service(clients=None, RATE_LIMIT_REQUESTS_PER_MINUT="5", STORE_FALLBACK="fail")
    warnings = [record["message"] for record in process.log_records() if record["level"] == "warning"]
    for word in ("RATE_LIMIT_REQUESTS_PER_MINUT", "STORE_FALLBACK", "no client is registered"):
        assert any(word in warning for warning in warnings), (word, warnings)


def test_ipv6_addresses_work(start_service: StartService) -> None:
    port = free_port()
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", port))  # this machine has it
    process = start_service(clients=(BASIC,), METRICS_ADDR=f"[::1]:{port}")
    assert httpx.get(f"http://[::1]:{port}/health/ready").status_code == 200
    assert httpx.get(f"{process.base_url}/health/ready").status_code == 200


def test_every_interface_in_both_families_can_be_bound(start_service: StartService) -> None:
    port = free_port()
    start_service(clients=(BASIC,), METRICS_ADDR=f"[::]:{port}")
    for host in ("127.0.0.1", "[::1]"):
        assert httpx.get(f"http://{host}:{port}/health/ready").status_code == 200


def test_keys_in_a_file_outlive_the_process(
    start_service: StartService, calls_of: Callable[[ServiceProcess], ServiceCalls], tmp_path: Path
) -> None:
    settings = {"KEYS_FILE": str(tmp_path / "keyring.json"), "EXTERNAL_BASE_URL": "https://auth.example.com"}
    first = start_service(**settings)
    kids = {key["kid"] for key in httpx.get(f"{first.base_url}/jwks.json").json()["keys"]}
    first.stop()
    second = start_service(**settings)
    assert kids <= {key["kid"] for key in httpx.get(f"{second.base_url}/jwks.json").json()["keys"]}
    assert (tmp_path / "keyring.json").stat().st_mode & 0o077 == 0


# ---------------------------------------------------------------------------------------------- the demonstration


def free_addresses() -> dict[str, str]:
    return {name: f"127.0.0.1:{free_port()}" for name in ("BIND_ADDR", "METRICS_ADDR", "ADMIN_ADDR")}


def printed_commands(output: str) -> list[str]:
    """The commands, as the demonstration prints them: indented below a line that says what they are for."""
    return [line.removeprefix("  ") for line in output.splitlines() if line.startswith("  ")]


def test_the_demonstration_works_as_printed(tmp_path: Path) -> None:
    """Start, paste, look: with bash and curl, in an empty folder. Prints how long the first answer took."""
    assert shutil.which("curl"), "the printed commands need curl"
    began = time.monotonic()
    process = ServiceProcess(tmp_path, arguments=["--demo"])
    print(f"start to first answered request: {time.monotonic() - began:.2f} s")
    try:
        wait_until(lambda: "Ctrl-C" in process.output, "the commands to be printed")
        commands = printed_commands(process.output)
        assert len(commands) == 5
        done = subprocess.run(
            ["bash", "-c", "\n".join(commands)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    finally:
        assert process.stop() == 0
    assert (done.returncode, done.stderr) == (0, "")
    token, active, inactive, stats = done.stdout.splitlines()
    assert re.fullmatch(r"asa_1[\w-]{55}", token)
    assert active.startswith('{"active":true,"client_id":"demo"')
    assert inactive == '{"active":false}'
    assert '"live_tokens":0' in stats
    assert '"issued":{"total":1,' in stats


def test_the_demonstration_keeps_its_files_private_and_for_the_next_time(tmp_path: Path) -> None:
    local = tmp_path / ".local"
    secrets: list[dict[str, bytes]] = []
    for _ in range(2):
        process = ServiceProcess(tmp_path, arguments=["--demo"])
        secrets.append({file.name: file.read_bytes() for file in local.iterdir()})
        credentials = ("demo", (local / "demo-secret").read_text().strip())
        form = {"grant_type": "client_credentials"}
        assert httpx.post(f"{process.base_url}/oauth/token", auth=credentials, data=form).status_code == 200
        assert credentials[1] not in process.logs + process.output
        process.kill()
    assert secrets[0] == secrets[1]
    assert local.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in local.iterdir()} == {0o600}


def test_the_demonstration_makes_up_for_a_lost_file(tmp_path: Path) -> None:
    local = tmp_path / ".local"
    ServiceProcess(tmp_path, arguments=["--demo"]).kill()
    for lost in ("demo-secret", "admin-token", "clients.yaml"):
        (local / lost).unlink()
        process = ServiceProcess(tmp_path, arguments=["--demo"])
        credentials = ("demo", (local / "demo-secret").read_text().strip())
        form = {"grant_type": "client_credentials"}
        token = httpx.post(f"{process.base_url}/oauth/token", auth=credentials, data=form)
        headers = {"authorization": f"Bearer {(local / 'admin-token').read_text().strip()}"}
        stats = httpx.get(f"{process.admin_url}/admin/stats", headers=headers)
        process.kill()
        assert (token.status_code, stats.status_code) == (200, 200), lost


def test_the_demonstration_leaves_what_the_user_set(tmp_path: Path) -> None:
    file = write_clients(tmp_path / "mine.yaml", (BASIC,))
    process = ServiceProcess(tmp_path, {"CLIENTS_FILE": str(file)}, ["--demo"])
    form = {"grant_type": "client_credentials"}
    answer = httpx.post(f"{process.base_url}/oauth/token", auth=BASIC.basic, data=form)
    process.kill()
    assert answer.status_code == 200


def test_a_service_that_ends_instead_of_becoming_ready_says_why(tmp_path: Path) -> None:
    with pytest.raises(ServiceEnded, match="TOKEN_EXPIRY_SECONDS") as ended:
        ServiceProcess(tmp_path, {"TOKEN_EXPIRY_SECONDS": "1"})
    assert ended.value.code == 2
