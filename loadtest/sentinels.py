"""A master, its replicas and the sentinels that watch them, as real processes; whoever starts them ends the servers."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import redis

from benchmarks.children import tied
from benchmarks.servers import free_port

MASTER_NAME = "tokens"
_CONFIGURATION = """
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor {name} 127.0.0.1 {master} 2
sentinel down-after-milliseconds {name} {down_after}
sentinel failover-timeout {name} 2000
sentinel parallel-syncs {name} 2
"""


class RedisServer(Protocol):
    """A running redis-server on 127.0.0.1."""

    @property
    def port(self) -> int: ...


ServerT = TypeVar("ServerT", bound=RedisServer)


class SentinelGroup(Generic[ServerT]):
    """Three sentinels over a master and its replicas. ``start_redis`` takes more of redis-server's command line."""

    free_port = staticmethod(free_port)
    """Where the sentinels' ports come from."""

    def __init__(
        self,
        start_redis: Callable[..., ServerT],
        folder: Path,
        replicas: int = 2,
        down_after_milliseconds: int = 400,
    ) -> None:
        master = start_redis("--repl-diskless-sync-delay", "0")
        self.servers = [master]
        for _ in range(replicas):
            self.servers.append(
                start_redis("--replicaof", "127.0.0.1", str(master.port), "--repl-diskless-sync-delay", "0")
            )
        self._processes: list[subprocess.Popen[bytes]] = []
        self.ports: list[int] = []
        for number in range(3):
            self.ports.append(self.free_port())
            configuration = folder / f"sentinel-{number}.conf"
            configuration.write_text(
                _CONFIGURATION.format(
                    port=self.ports[-1],
                    folder=folder,
                    name=MASTER_NAME,
                    master=master.port,
                    down_after=down_after_milliseconds,
                )
            )
            command = tied(["redis-server", str(configuration), "--sentinel"])
            self._processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in self.ports)}/{MASTER_NAME}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.wait(5)

    def master_port(self) -> int | None:
        """Whom the first sentinel that answers takes for the master."""
        return next(iter(self._answers()), None)

    def agreed_master_port(self) -> int | None:
        """Whom all sentinels take for the master; None while they differ."""
        answers = set(self._answers())
        return answers.pop() if len(answers) == 1 else None

    def _answers(self) -> Iterator[int]:
        for port in self.ports:
            client = redis.Redis(port=port, socket_timeout=1)
            try:
                answer = client.execute_command(  # type: ignore[no-untyped-call]
                    "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME
                )
            except redis.RedisError:
                continue
            finally:
                client.close()
            if answer:
                yield int(answer[1])

    def wait_until_watching(self, seconds: float = 20) -> None:
        """Until every sentinel knows the two others and all replicas, and these are in step."""
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            if all(map(self._knows_all, self.ports)) and all(map(self._is_in_step, self.servers)):
                return
            time.sleep(0.05)
        raise RuntimeError("the sentinels and replicas did not find each other")

    def wait_until_content(self, master_port: int, seconds: float = 30) -> None:
        """Until for half a second no sentinel has doubted that this server is the master and works."""
        give_up_at = time.monotonic() + seconds
        since = time.monotonic()
        while time.monotonic() - since < 0.5:
            if time.monotonic() > give_up_at:
                raise RuntimeError("the sentinels do not settle")
            if not all(self._is_content(port, master_port) for port in self.ports):
                since = time.monotonic()
            time.sleep(0.05)

    def _is_content(self, port: int, master_port: int) -> bool:
        try:
            with redis.Redis(port=port, socket_timeout=1, decode_responses=True) as client:
                facts = client.execute_command("SENTINEL", "MASTER", MASTER_NAME)
        except redis.RedisError:
            return False
        return bool(facts["flags"] == "master" and int(facts["port"]) == master_port)

    def _knows_all(self, port: int) -> bool:
        try:
            with redis.Redis(port=port, socket_timeout=1, decode_responses=True) as client:
                facts = client.execute_command("SENTINEL", "MASTER", MASTER_NAME)
                replicas = client.execute_command("SENTINEL", "REPLICAS", MASTER_NAME)
        except redis.RedisError:
            return False
        healthy = [replica for replica in replicas if replica["flags"] == "slave"]
        return int(facts["num-other-sentinels"]) == 2 and len(healthy) == len(self.servers) - 1

    def _is_in_step(self, server: ServerT) -> bool:
        try:
            with redis.Redis(port=server.port, socket_timeout=1) as client:
                facts = client.info("replication")
        except redis.RedisError:
            return False
        if facts["role"] == "master":
            return bool(facts["connected_slaves"] == len(self.servers) - 1)
        return bool(facts["master_link_status"] == "up")
