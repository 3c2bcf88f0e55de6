"""Fixtures for tests over HTTP: the running service, once for each way in which it can carry requests.

Rules:
- Tests share one service a mode. What they leave behind (tokens, counters) must not matter to others; who needs other
  settings or changes clients starts a service of their own.
- Whatever a service was asked, neither its log nor its audit holds a secret, a token, an assertion or a traceback.
  That is checked of every service when it is stopped.
"""

import base64
import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.programs.plain import is_plain
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import CANARY, EVERY_CLIENT, RegisteredClient, write_clients
from tests.programs.service_process import ServiceProcess

FAST_PATHS = ("off",) if is_plain() else ("protocol", "asgi", "off")
"""Every mode that the service can be served in: each test over HTTP runs in each."""

ALLOWED_ORIGIN = "https://app.example.com"
_PATIENT = {"RATE_LIMIT_FAILURES_PER_MINUTE": "0"}
"""Tests fail on purpose, and all from one address; those about that set their own."""

StartService = Callable[..., ServiceProcess]
ServiceOfMode = Callable[..., ServiceCalls]


@pytest.fixture(scope="session", params=FAST_PATHS)
def fast_path(request: pytest.FixtureRequest) -> str:
    """``FAST_PATH`` of the services that the test meets."""
    mode: str = request.param
    return mode


@pytest.fixture(scope="session")
def service_of_mode(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceOfMode]:
    """``service_of_mode(fast_path)``: the session's service of that mode, with every client of the tests.

    ``service_of_mode(fast_path, "redis")``: the one whose tokens are in Redis.
    """
    running: dict[tuple[str, str], ServiceCalls] = {}

    def of_mode(mode: str, store: str = "memory") -> ServiceCalls:
        if (mode, store) not in running:
            folder = tmp_path_factory.mktemp(f"service-{mode}")
            admin_token = f"{CANARY}-admin-{secrets.token_hex(16)}"
            (folder / "admin-token").write_text(admin_token)
            settings = {
                "FAST_PATH": mode,
                "CLIENTS_FILE": str(write_clients(folder / "clients.yaml")),
                "ADMIN_TOKEN_FILE": str(folder / "admin-token"),
                "ALLOWED_ORIGINS": ALLOWED_ORIGIN,
                "LOG_LEVEL": "debug",
                **_PATIENT,
            }
            if store == "redis":
                settings["REDIS_URL"] = request.getfixturevalue("redis_url")
                settings["REDIS_KEY_PREFIX"] = f"test-{secrets.token_hex(8)}"
            running[mode, store] = ServiceCalls(ServiceProcess(folder, settings), admin_token)
        return running[mode, store]

    try:
        yield of_mode
    finally:
        for calls in running.values():
            calls.close()
            code = calls.process.stop()
            assert_nothing_secret(calls.process.logs)
            assert_nothing_secret(calls.process.output)
            assert "Traceback" not in calls.process.logs, calls.process.logs
            assert code == 0


@pytest.fixture(scope="session")
def service(fast_path: str, service_of_mode: ServiceOfMode) -> ServiceCalls:
    """The session's service of this mode."""
    return service_of_mode(fast_path)


@pytest.fixture(scope="session", params=["memory", "redis"])
def service_on_each_store(
    request: pytest.FixtureRequest, fast_path: str, service_of_mode: ServiceOfMode
) -> ServiceCalls:
    """Like ``service``, once for each store: where the answers come from what the store remembers."""
    return service_of_mode(fast_path, request.param)


@pytest.fixture(scope="session")
def running_service(service: ServiceCalls) -> ServiceProcess:
    """The process of ``service``."""
    return service.process


@pytest.fixture
def start_service(fast_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartService]:
    """``start_service(*arguments, clients=, **settings)``: a service of the test's own, in this mode.

    ``clients`` are registered clients, by default all of the tests; None for no clients file.
    """
    yield from _starting(fast_path, tmp_path_factory)


@pytest.fixture
def start_service_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartService]:
    """Like ``start_service``, in one mode alone: for what does not depend on what carries the requests."""
    yield from _starting(FAST_PATHS[0], tmp_path_factory)


@pytest.fixture(scope="module")
def start_module_service(fast_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartService]:
    """Like ``start_service``, for a service that a module's tests share."""
    yield from _starting(fast_path, tmp_path_factory)


def _starting(fast_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartService]:
    started: list[ServiceProcess] = []

    def start(
        *arguments: str, clients: tuple[RegisteredClient, ...] | None = EVERY_CLIENT, **settings: str
    ) -> ServiceProcess:
        folder = tmp_path_factory.mktemp("service")
        environment = {"FAST_PATH": fast_path, **_PATIENT, **settings}
        if clients is not None and "CLIENTS_FILE" not in settings:
            environment["CLIENTS_FILE"] = str(write_clients(folder / "clients.yaml", clients))
        process = ServiceProcess(folder, environment, arguments)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()  # who wants to see how it ends has ended it
            assert_nothing_secret(process.logs)
            assert_nothing_secret(process.output)
            assert "Traceback" not in process.logs, process.logs


@pytest.fixture
def calls_of() -> Iterator[Callable[[ServiceProcess], ServiceCalls]]:
    """``calls_of(process)``: to ask a service of the test's own."""
    made: list[ServiceCalls] = []

    def calls(process: ServiceProcess) -> ServiceCalls:
        made.append(ServiceCalls(process))
        return made[-1]

    yield calls
    for each in made:
        each.close()


def assert_nothing_secret(text: str) -> None:
    """Assert that a log holds no secret of the tests' clients, and nothing of the form of a token or an assertion."""
    for client in EVERY_CLIENT:
        if client.secret:
            assert base64.b64encode(f"{client.id}:{client.secret}".encode()).decode() not in text
    for marker in (CANARY, "asa_1", "asr_1", "eyJ"):
        position = text.find(marker)
        assert position < 0, f"the log holds something secret: {text[max(0, position - 200) : position + 40]}"
