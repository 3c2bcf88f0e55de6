"""Fixtures for all tests: real programs, free ports, and unit tests without a network."""

import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.programs.node import NPM_INSTALLED, run_node_script
from tests.programs.ports import free_port
from tests.programs.redis_process import RedisProcess
from tools.programs import PROGRAMS, install_command

pytest_plugins = ["pytester", "tests.programs.service_fixtures", "tests.programs.scrape_fixture"]

# How long examples take says how busy the machine is, nothing about what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_UNIT_TESTS = Path(__file__).parent / "unit"

RequireProgram = Callable[[str], str]
StartRedis = Callable[..., RedisProcess]


def _require_program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on the PATH ({PROGRAMS[name].purpose}); to get it: {install_command([name])}")
    return path


@pytest.fixture(scope="session")
def require_program() -> RequireProgram:
    """``require_program(name)``: the path of a real program; skips the test and says how to get it if it is missing."""
    return _require_program


@pytest.fixture(scope="session")
def unused_port() -> Callable[[], int]:
    """``unused_port()``: a port of 127.0.0.1 that was free a moment ago."""
    return free_port


@pytest.fixture(scope="session")
def run_node() -> Callable[..., str]:
    """``run_node(script, *arguments, environment=, seconds=)``: what a script of ``tests/clients/npm`` prints."""
    node = _require_program("node")
    if not NPM_INSTALLED.exists():
        _require_program("npm")
        pytest.skip("the npm client libraries are not installed; to install them: make client-libraries")
    return partial(run_node_script, node)


@pytest.fixture
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartRedis]:
    """``redis_process(*arguments)``: start a real redis-server of the test's own, to stop, kill, pause and restart."""
    started: list[RedisProcess] = []

    def start(*arguments: str) -> RedisProcess:
        process = RedisProcess(_require_program("redis-server"), tmp_path_factory.mktemp("redis"), arguments)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one real redis-server for the whole run. It is shared: use ``redis_key_prefix``, never FLUSHALL."""
    process = RedisProcess(_require_program("redis-server"), tmp_path_factory.mktemp("redis"))
    try:
        yield process.url
    finally:
        process.kill()


@pytest.fixture
def redis_key_prefix() -> str:
    """A prefix for keys and channels that no other test uses."""
    return f"test-{secrets.token_hex(8)}:"


@pytest.fixture(autouse=True)
def no_network_in_unit_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit test that reaches for a socket is not one: it fails, and says so."""
    if not request.path.is_relative_to(_UNIT_TESTS):
        return

    def refuse(*arguments: object) -> NoReturn:
        raise RuntimeError("a unit test must not use the network; tests with sockets live outside tests/unit")

    for name in ("connect", "connect_ex", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
