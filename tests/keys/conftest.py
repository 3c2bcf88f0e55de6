"""The places that the source conformance suite runs against, all of them real."""

import asyncio
import json
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from app.composition.key_ring import address_of
from app.keys.memory import MemorySource
from app.keys.sources.file import FileSource
from app.keys.sources.interface import KeySource
from app.keys.sources.redis import RedisSource
from app.keys.sources.secret import SecretSource
from app.storage.redis_options import parse_redis_url
from tests.conftest import RequireProgram, StartRedis
from tests.keys.api_server import ApiServer
from tests.programs.redis_process import RedisProcess
from tests.redis.cluster_processes import ClusterProcesses
from tests.redis.sentinels import Sentinels


class Place:
    """Somewhere that can hold one document; every ``open`` is another process's view of it."""

    def __init__(self, kind: str, open_source: Callable[[], KeySource], put_raw: Callable[[bytes], Awaitable[None]]):
        self.kind = kind
        self._open = open_source
        self.put_raw = put_raw
        """Write bytes past the source, as an operator or an accident would."""
        self._opened: list[KeySource] = []

    def open(self) -> KeySource:
        source = self._open()
        self._opened.append(source)
        return source

    async def close(self) -> None:
        for source in self._opened:
            await source.close()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def api_server() -> Iterator[ApiServer]:
    server = ApiServer()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def kubeconfig(api_server: ApiServer, tmp_path: Path) -> Path:
    """How to reach the fake API server, with a token that it checks."""
    path = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": api_server.url}}
    user = {"name": "u", "user": {"token": api_server.token}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    path.write_text(
        json.dumps(
            {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "users": [user], "contexts": [context],
             "current-context": "x"}
        )
    )  # fmt: skip
    return path


@pytest.fixture(scope="session")
def start_redis(
    tmp_path_factory: pytest.TempPathFactory, require_program: RequireProgram
) -> Iterator[Callable[..., RedisProcess]]:
    """Servers that live as long as the run: for deployments that take seconds to come up."""
    started: list[RedisProcess] = []

    def start(*arguments: str) -> RedisProcess:
        started.append(RedisProcess(require_program("redis-server"), tmp_path_factory.mktemp("redis"), arguments))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture(scope="session")
def sentinel_url(start_redis: Callable[..., RedisProcess], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Sentinels(start_redis, tmp_path_factory.mktemp("sentinels"), replicas=1) as sentinels:
        sentinels.wait_until_watching()
        yield sentinels.url


@pytest.fixture(scope="session")
def cluster_url(start_redis: Callable[..., RedisProcess]) -> str:
    return ClusterProcesses(start_redis).url


@pytest.fixture(params=["memory", "file", "folder", "secret", "redis", "sentinel", "cluster"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    kind = request.param
    if kind == "memory":
        shared = MemorySource()

        async def put_into_memory(body: bytes) -> None:
            assert await shared.write(body, await shared.read())

        made = Place(kind, lambda: shared, put_into_memory)
    elif kind in ("file", "folder"):
        (tmp_path / "ring").mkdir()
        target = tmp_path / "ring" / "keyring.json"

        async def put_into_file(body: bytes) -> None:
            await asyncio.to_thread(target.write_bytes, body)

        named = target if kind == "file" else target.parent
        made = Place(kind, lambda: FileSource(named, interval_seconds=0.02), put_into_file)
    elif kind == "secret":
        server: ApiServer = request.getfixturevalue("api_server")
        config: Path = request.getfixturevalue("kubeconfig")

        async def put_into_secret(body: bytes) -> None:
            server.put("auth", "keyring", body)

        made = Place(
            kind, lambda: SecretSource("auth", "keyring", kubeconfig=config, poll_seconds=0.05), put_into_secret
        )
    else:
        address = address_of(parse_redis_url(request.getfixturevalue(f"{kind}_url")), f"test-{secrets.token_hex(6)}:")

        async def put_into_redis(body: bytes) -> None:
            source = RedisSource(address)
            await (await source._clients.current()).set(source.key, body)
            await source.close()

        made = Place(kind, lambda: RedisSource(address, poll_seconds=0.05), put_into_redis)
    return made


@pytest.fixture
def own_redis(redis_process: StartRedis) -> StartRedis:
    """A redis-server of the test's own, for what stops or refuses it."""
    return redis_process


@pytest.fixture
def as_nobody() -> Callable[[Callable[[], str]], str]:
    """Run something in a child process without root's power over permissions, and return the text that it returns."""

    def run(task: Callable[[], str]) -> str:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                if os.geteuid() == 0:
                    os.setgid(65534)
                    os.setuid(65534)
                text = task()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the test's answer
                text = f"{type(error).__name__}: {error}"
            os.write(writer, text.encode()[:4000])
            os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        with os.fdopen(reader, "rb") as pipe:
            return pipe.read().decode()

    return run
