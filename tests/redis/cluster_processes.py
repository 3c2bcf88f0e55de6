"""A Redis Cluster of real processes that a test owns."""

import subprocess
import time
from collections.abc import Callable

import redis

from app.storage.redis.slots import slot_of_tag
from tests.programs.ports import free_port
from tests.programs.redis_process import RedisProcess

NODE_TIMEOUT_MILLISECONDS = 600


class ClusterProcesses:
    """So many masters, each with as many replicas as asked for. Raises RuntimeError if they do not become a cluster."""

    def __init__(self, start_redis: Callable[..., RedisProcess], masters: int = 3, replicas: int = 0) -> None:
        self.servers = [
            start_redis(
                *("--cluster-enabled", "yes", "--cluster-port", str(free_port())),
                *("--cluster-node-timeout", str(NODE_TIMEOUT_MILLISECONDS), "--cluster-replica-validity-factor", "0"),
                *("--repl-diskless-sync-delay", "0", "--cluster-require-full-coverage", "no"),
            )
            for _ in range(masters * (1 + replicas))
        ]
        addresses = [f"127.0.0.1:{server.port}" for server in self.servers]
        create = ["redis-cli", "--cluster", "create", *addresses, "--cluster-replicas", str(replicas), "--cluster-yes"]
        subprocess.run(create, check=True, capture_output=True, timeout=60)
        self.wait_until_whole()

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    def masters(self) -> dict[RedisProcess, list[range]]:
        """Who serves which slots, by the first node that answers."""
        by_port = {server.port: server for server in self.servers}
        for server in self.servers:
            if not server.is_running:
                continue
            served: dict[RedisProcess, list[range]] = {}
            with redis.Redis(port=server.port, socket_timeout=1) as client:
                for first, last, master, *_ in client.execute_command("CLUSTER", "SLOTS"):
                    served.setdefault(by_port[master[1]], []).append(range(first, last + 1))
            return served
        raise RuntimeError("no node of the cluster runs")

    def master_of(self, tag: str) -> RedisProcess:
        """The process that serves the slot of a tag."""
        slot = slot_of_tag(tag.encode())
        return next(server for server, ranges in self.masters().items() if any(slot in some for some in ranges))

    def wait_until_whole(self, seconds: float = 30) -> None:
        """Until every running node says that all slots are served, and its replicas are in step."""
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            if all(_is_whole(server) for server in self.servers if server.is_running):
                return
            time.sleep(0.05)
        raise RuntimeError("the processes did not become a cluster")

    def move_slot(self, tag: str, target: RedisProcess, between: Callable[[], None] = lambda: None) -> None:
        """Move a tag's slot with its names to another master; ``between`` is called when half of them have moved."""
        slot, source = slot_of_tag(tag.encode()), self.master_of(tag)
        with redis.Redis(port=source.port) as giver, redis.Redis(port=target.port) as taker:
            giver_id, taker_id = (client.execute_command("CLUSTER", "MYID").decode() for client in (giver, taker))
            taker.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", giver_id)
            giver.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", taker_id)
            names = giver.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100_000)
            half = len(names) // 2
            for number, name in enumerate(names):
                if number == half:
                    between()
                giver.execute_command("MIGRATE", "127.0.0.1", target.port, name, 0, 5000)
            for server in self.masters():
                with redis.Redis(port=server.port) as client:
                    client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", taker_id)


def _is_whole(server: RedisProcess) -> bool:
    try:
        with redis.Redis(port=server.port, socket_timeout=1) as client:
            facts = client.execute_command("CLUSTER", "INFO").decode()
            replication = client.info("replication")
    except redis.RedisError:
        return False
    in_step = replication["role"] == "master" or replication["master_link_status"] == "up"
    return "cluster_state:ok" in facts and "cluster_slots_ok:16384" in facts and in_step
