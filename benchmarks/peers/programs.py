"""Starting the peers, each a process pinned to the core of the server, with one client that may ask for two scopes."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import msgspec

from benchmarks import clients
from benchmarks.machine import REPOSITORY
from benchmarks.servers import Server, ServerError, free_port, running

FOLDER = Path(__file__).parent
DJANGO = REPOSITORY / ".tools" / "peer-django" / "bin" / "gunicorn"
HYDRA = REPOSITORY / ".tools" / "bin" / "hydra"
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of its own is made in it
CLIENT = clients.OPAQUE
INTROSPECTION, ISSUANCE = "introspection", "client_credentials, opaque"


class Peer(msgspec.Struct, frozen=True):
    """A running server with the paths of its two endpoints; their ports may differ."""

    token: Server
    introspection: Server
    token_path: str
    introspection_path: str


Start: TypeAlias = Callable[[Path, Sequence[int]], AbstractContextManager[Peer]]


class Kind(msgspec.Struct, frozen=True):
    """A peer as it is measured."""

    name: str
    """With its version."""
    durability: str
    """Where it keeps what it issues."""
    program: Path
    """What must be installed."""
    start: Start
    endpoints: tuple[str, ...] = (INTROSPECTION, ISSUANCE)
    connections: int = 64


def kinds() -> tuple[Kind, ...]:
    """Every peer, installed or not."""
    npm = json.loads((FOLDER / "npm" / "package-lock.json").read_text())["packages"]["node_modules/oidc-provider"]
    toolkit = _pinned(FOLDER / "django.lock", "django-oauth-toolkit==")
    hydra = _pinned(REPOSITORY / "tools" / "go" / "hydra" / "go.mod", "github.com/ory/hydra/v2 v")
    provider = FOLDER / "npm" / "node_modules" / "oidc-provider"
    tmpfs = "SQLite, WAL, `synchronous=OFF`, in a file in memory (tmpfs)"
    as_it_comes = (ISSUANCE,)
    few = 4  # with up to a third of a second for a secret, who comes last of 64 gives up
    return (
        Kind(f"oidc-provider {npm['version']}", "a map in memory, its default", provider, _oidc_provider),
        Kind(f"Ory Hydra {hydra}, PBKDF2 once", tmpfs, HYDRA, partial(_hydra, iterations=1)),
        Kind(f"Ory Hydra {hydra}", tmpfs, HYDRA, partial(_hydra, iterations=25_000), as_it_comes, few),
        Kind(f"django-oauth-toolkit {toolkit}, no hash", "SQLite in memory", DJANGO, partial(_django, hashed=False)),
        Kind(
            f"django-oauth-toolkit {toolkit}",
            "SQLite in memory",
            DJANGO,
            partial(_django, hashed=True),
            as_it_comes,
            few,
        ),
    )


def _pinned(file: Path, before: str) -> str:
    """The version that stands behind ``before`` in a lock. Raises ServerError if it does not."""
    for line in file.read_text().splitlines():
        _, found, version = line.partition(before)
        if found:
            return version.split()[0]
    raise ServerError(f"{file.name} pins no {before}")


@contextlib.contextmanager
def _oidc_provider(_: Path, cores: Sequence[int]) -> Iterator[Peer]:
    port = free_port()
    node = shutil.which("node")
    if node is None:
        raise ServerError("node is not on the PATH")
    environ = {"PORT": str(port), "NODE_ENV": "production", **_client()}
    command = [node, str(FOLDER / "npm" / "server.mjs")]
    ready = "/.well-known/openid-configuration"
    with running("oidc-provider", command, port, cores, environ=environ, ready=ready) as server:
        yield Peer(server, server, "/token", "/token/introspection")


@contextlib.contextmanager
def _django(_: Path, cores: Sequence[int], *, hashed: bool) -> Iterator[Peer]:
    """One worker with one thread: more of either share the core and wait for each other."""
    port = free_port()
    options = ["--worker-class", "gthread", "--workers", "1", "--threads", "1", "--keep-alive", "60"]
    options += ["--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    command = [str(DJANGO), *options, "benchmarks.peers.django_app"]
    environ = {"HASH_SECRET": "1" if hashed else "0", **_client()}
    with running("django-oauth-toolkit", command, port, cores, environ=environ) as server:
        yield Peer(server, server, "/oauth/token/", "/oauth/introspect/")


@contextlib.contextmanager
def _hydra(folder: Path, cores: Sequence[int], *, iterations: int) -> Iterator[Peer]:
    port, admin_port = free_port(), free_port()
    local = {"host": "127.0.0.1"}
    settings = {
        "serve": {"public": {**local, "port": port}, "admin": {**local, "port": admin_port}},
        "urls": {
            "self": {"issuer": f"http://127.0.0.1:{port}"},
            "login": "http://127.0.0.1/",
            "consent": "http://127.0.0.1/",
        },
        "secrets": {"system": [os.urandom(16).hex()]},
        "oauth2": {"hashers": {"algorithm": "pbkdf2", "pbkdf2": {"iterations": iterations}}},
        "log": {"level": "error"},
        "sqa": {"opt_out": True},
    }
    file = folder / f"hydra-{port}.yaml"
    file.write_text(json.dumps(settings))  # JSON is YAML too
    with tempfile.TemporaryDirectory(prefix="benchmarks-hydra-", dir=_MEMORY) as disk:
        # Its DSN "memory" loses the whole database when clients hang up in the middle, as wrk does at its end.
        dsn = f"sqlite://{disk}/hydra.sqlite?_fk=true&_journal_mode=WAL&_synchronous=OFF&_busy_timeout=5000"
        environ = {"DSN": dsn, "GOMAXPROCS": "1"}
        migrate = [str(HYDRA), "migrate", "sql", "--read-from-env", "--yes", "--config", str(file)]
        done = subprocess.run(migrate, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerError(f"Hydra cannot make its tables: {done.stderr[-500:]}")
        command = [str(HYDRA), "serve", "all", "--dev", "--config", str(file)]  # --dev: without TLS
        with running("Ory Hydra", command, port, cores, environ=environ) as server:
            admin = msgspec.structs.replace(server, port=admin_port)
            _register(admin)
            yield Peer(server, admin, "/oauth2/token", "/admin/oauth2/introspect")


def _register(admin: Server) -> None:
    """Make Hydra's client. Raises ServerError."""
    document = {
        "client_id": CLIENT,
        "client_secret": clients.secret(CLIENT),
        "grant_types": ["client_credentials"],
        "scope": "read write",
        "token_endpoint_auth_method": "client_secret_basic",
    }
    connection = http.client.HTTPConnection("127.0.0.1", admin.port, timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", "/admin/clients", json.dumps(document), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 201:
            raise ServerError(f"Hydra takes no client: {response.status} {response.read().decode()[:300]}")


def _client() -> dict[str, str]:
    return {"CLIENT_ID": CLIENT, "CLIENT_SECRET": clients.secret(CLIENT)}
