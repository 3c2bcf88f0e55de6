"""What is loaded: a service started here for the run, or one that runs elsewhere."""

import base64
import contextlib
import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from benchmarks.clients import REQUESTS_PER_MINUTE
from benchmarks.machine import split_cores
from benchmarks.redis_process import redis_server
from benchmarks.servers import bare_server, free_port, service
from loadtest.scenarios import SCENARIOS

CLIENT, HOT_CLIENT = "load", "load-hot"
_SECRETS = {name: f"{name}-0123456789abcdef0123456789abcdef0123456789" for name in (CLIENT, HOT_CLIENT)}
"""Not secret: the service that knows them lives as long as the run, on loopback."""
HOT_CLIENT_PER_MINUTE = 600
TOKEN_SECONDS = 3600


class Target(msgspec.Struct, frozen=True):
    """A service to be loaded."""

    environ: Mapping[str, str]
    """What k6 is told of it: ``BASE_URL``, ``CLIENT_ID``, ``CLIENT_SECRET``, ``CALIBRATION_URL``, ``METRICS_URL``."""
    metrics_url: str | None
    """Where its ``/metrics`` is; None if that is not known."""
    cores: tuple[int, ...] = ()
    """Where k6 may run; empty for anywhere."""
    where: str = ""
    """For the report: what was loaded."""
    pid: int | None = None
    """The service's process, if it was started here; with several workers the one that watches them."""


def remote(base_url: str, environ: Mapping[str, str]) -> Target:
    """A service that runs elsewhere. Raises KeyError for a missing ``CLIENT_ID`` or ``CLIENT_SECRET``."""
    names = ("CLIENT_ID", "CLIENT_SECRET", "HOT_CLIENT_ID", "HOT_CLIENT_SECRET", "CALIBRATION_URL", "METRICS_URL")
    for name in names[:2]:
        if not environ.get(name):
            raise KeyError(f"{name} is not set: the client that the load acts as")
    told = {name: environ[name] for name in names if environ.get(name)}
    return Target({"BASE_URL": base_url, **told}, environ.get("METRICS_URL"), where=base_url)


@contextlib.contextmanager
def local(
    extra: Mapping[str, str] | None = None,
    *,
    token_seconds: int = TOKEN_SECONDS,
    token_format: str = "opaque",
    workers: int = 1,
    hot_client_per_minute: int = HOT_CLIENT_PER_MINUTE,
) -> Iterator[Target]:
    """A service on one core of this machine, for k6 on another, and a constant responder beside it.

    ``extra``: more settings of the service, such as ``REDIS_URL``. ``token_seconds``: how long its tokens live;
    ``token_format``: ``opaque`` or ``jwt``. ``workers``: its processes, whose ports for metrics follow one another.
    ``hot_client_per_minute``: the limit of the client that is to meet one.
    """
    server_cores, load_cores = split_cores()
    metrics_port = free_ports(workers)
    metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "CLIENTS_FILE": str(_clients_file(Path(folder), token_seconds, token_format, hot_client_per_minute)),
            "METRICS_ADDR": f"127.0.0.1:{metrics_port}",
            "ADMIN_ADDR": f"127.0.0.1:{free_ports(workers)}",
            "LOG_LEVEL": "warning",
            **(extra or {}),
        }
        arguments = ("--workers", str(workers)) if workers > 1 else ()
        serving = service(server_cores, settings, arguments=arguments)
        with serving as served, bare_server(server_cores) as bare:
            environ = {
                "BASE_URL": served.url(""),
                "CLIENT_ID": CLIENT,
                "CLIENT_SECRET": _SECRETS[CLIENT],
                "HOT_CLIENT_ID": HOT_CLIENT,
                "HOT_CLIENT_SECRET": _SECRETS[HOT_CLIENT],
                "CALIBRATION_URL": bare.url("/oauth/introspect"),
                "METRICS_URL": metrics_url,
            }
            where = f"a service on core {server_cores[0]} of this machine, k6 on core {load_cores[-1]}"
            yield Target(environ, metrics_url, tuple(load_cores), where, served.pid)


@contextlib.contextmanager
def local_on_redis(token_seconds: int = TOKEN_SECONDS) -> Iterator[Target]:
    """The same with a Redis of its own, beside k6."""
    _, load_cores = split_cores()
    with redis_server(load_cores) as redis:
        settings = {"REDIS_URL": redis.url, "STORE_FALLBACK": "fail"}
        with local(settings, token_seconds=token_seconds) as target:
            yield target


ALL_SCRIPTS = ("DURATION_FACTOR", "RATE_FACTOR", "MAX_VUS", "RUN_ID", "WAIT_SECONDS", "REPORT_PREFIX", "REPORT_IN_LOG")
"""What every script may be told, beside what says which service it loads and where its reports go."""
SOME_SCRIPTS = (
    *("STEPS", "STEP_SECONDS", "FIRST_RATE", "GROWTH", "RATE", "USERS", "TOKENS", "FILL_RATE"),
    *("HOT_RATE", "LIMITERS"),
)


CHOSEN_BY_SCENARIO = ("OPERATION", "STAGE", "CHANGE")
"""What scenarios tell their scripts, and nobody else."""


def given_by(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the environment is meant for k6's scripts. Raises KeyError for what a scenario says, with its name."""
    for name in CHOSEN_BY_SCENARIO:
        if value := environ.get(name):
            scripts = {one.script for one in SCENARIOS if name in one.environ}
            of_it = [one for one in SCENARIOS if one.script in scripts]
            fitting = [one.name for one in of_it if one.environ.get(name) == value] or [one.name for one in of_it]
            raise KeyError(f"{name}={value} is said by the scenario: unset it, and choose SCENARIO={'|'.join(fitting)}")
    return {name: environ[name] for name in (*ALL_SCRIPTS, *SOME_SCRIPTS) if environ.get(name)}


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nothing listens on. Raises OSError where none are found."""
    for _ in range(100):
        first = free_port()
        with contextlib.suppress(OSError, OverflowError), contextlib.ExitStack() as probes:
            for port in range(first, first + count):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise OSError(f"no {count} free ports in a row")


def _clients_file(folder: Path, token_seconds: int, token_format: str, hot_client_per_minute: int) -> Path:
    path = folder / "clients.yaml"
    clients = [
        _client(CLIENT, REQUESTS_PER_MINUTE, token_seconds, token_format),
        _client(HOT_CLIENT, hot_client_per_minute, token_seconds, token_format),
    ]
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        json.dump({"version": 1, "clients": clients}, file)
    return path


def _client(name: str, per_minute: int | str, token_seconds: int, token_format: str) -> dict[str, object]:
    digest = base64.urlsafe_b64encode(hashlib.sha256(_SECRETS[name].encode()).digest()).rstrip(b"=").decode()
    return {
        "id": name,
        "auth_method": "client_secret_basic",
        "secrets": [{"hash": f"sha256:{digest}"}],
        "grants": ["client_credentials"],
        "scopes": ["read"],
        "introspect": "own",
        "access_token": {"format": token_format, "seconds": token_seconds},
        "rate_limit_per_minute": per_minute,
    }
