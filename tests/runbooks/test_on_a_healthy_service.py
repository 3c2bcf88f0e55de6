"""Every command of the runbooks that needs no cluster, on a real service with a real Redis: each ends with 0."""

import hashlib
import json
from collections.abc import Iterator

import msgspec
import pytest

from tests.conftest import RequireProgram
from tests.programs.redis_process import RedisProcess
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC, CANARY, write_clients
from tests.programs.service_process import ServiceProcess
from tests.runbooks.kept import keep
from tests.runbooks.pages import OF_A_NODE, RUNBOOKS, all_commands, blocks, in_cluster
from tests.runbooks.terminal import Terminal

COMMANDS = {
    command: pages
    for command, pages in all_commands().items()
    if not in_cluster(command) and not command.startswith(OF_A_NODE)
}


@pytest.fixture(scope="module")
def terminal(require_program: RequireProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A shell beside a service that has everything the commands ask for."""
    for name in ("redis-cli", "curl"):
        require_program(name)
    redis = RedisProcess(require_program("redis-server"), tmp_path_factory.mktemp("redis"))
    folder = tmp_path_factory.mktemp("service")
    (folder / "ring").mkdir()
    (folder / "admin-token").write_text(f"{CANARY}-operators-token")
    settings = {
        "ADMIN_TOKEN_FILE": str(folder / "admin-token"),
        "AUDIT_LOG": str(folder / "audit.jsonl"),
        "CLIENTS_FILE": str(write_clients(folder / "clients.yaml")),
        "KEYS_FILE": str(folder / "ring" / "keyring.json"),
        "REDIS_URL": redis.url,
        "STORE_FALLBACK": "fail",
    }
    service = ServiceProcess(folder, settings)
    calls = ServiceCalls(service)
    digest = hashlib.sha256(calls.access_token(BASIC).encode()).hexdigest()
    calls.close()
    try:
        yield Terminal(folder / "programs", service, {"DIGEST": digest})
    finally:
        service.kill()
        redis.kill()


def filled_in(command: str, terminal: Terminal) -> str:
    """A command with its placeholders replaced."""
    if "KID" in command:
        keys = json.loads(terminal.run("auth-service keys list --json").output)["keys"]
        command = command.replace("KID", next(key["kid"] for key in keys if key["state"] == "published"))
    return command.replace("TIME", "2026-01-01T00:00:00Z").replace('"CLIENT"', f'"{BASIC.id}"')


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_what_a_runbook_says(command: str, terminal: Terminal) -> None:
    ran = terminal.run(filled_in(command, terminal))
    keep("service", msgspec.structs.replace(ran, command=command), COMMANDS[command])
    assert ran.code == 0, ran.output
    assert ran.output.strip() or "slowlog" in command  # nothing is slow there


def test_what_a_page_shows_of_a_healthy_service_is_what_one_says(terminal: Terminal) -> None:
    ready = terminal.run("curl -sS http://127.0.0.1:8080/health/ready").output
    health = terminal.run("curl -sS http://127.0.0.1:8080/health").output
    shown = {line for pages in COMMANDS.values() for page in pages for line in healthy_answers(page)}
    assert shown == {ready.strip(), health.strip()}


def healthy_answers(page: str) -> list[str]:
    """The answers in JSON that a page shows."""
    return blocks(RUNBOOKS / f"{page}.md", "json")
