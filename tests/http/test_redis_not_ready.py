"""A Redis that answers and cannot serve yet is "not ready, trying again": never an exit, and over by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.conftest import StartRedis
from tests.programs.redis_process import RedisProcess
from tests.programs.service_clients import BASIC
from tests.programs.service_process import ServiceProcess, wait_until


@contextmanager
def waiting_service(folder: Path, server: RedisProcess) -> Iterator[ServiceProcess]:
    """The service, up and told to wait for this Redis."""
    settings = {
        "REDIS_URL": server.url,
        "STORE_FALLBACK": "fail",
        "CLIENT_CREDENTIALS": f"{BASIC.id}:{BASIC.secret}",
        "ALLOWED_SCOPES": "read write",
        "DRAIN_SECONDS": "0",
    }
    process = ServiceProcess(folder, settings, ready_path="/health/live")
    try:
        yield process
    finally:
        process.stop()


def is_ready(process: ServiceProcess) -> bool:
    answer = httpx.get(f"{process.base_url}/health/ready")
    checks = answer.json()["checks"]["store"]
    assert (answer.status_code, checks) in {(200, "ok"), (503, "unreachable")}
    return answer.status_code == 200


def issues(process: ServiceProcess) -> int:
    form = {"grant_type": "client_credentials"}
    return httpx.post(f"{process.base_url}/oauth/token", auth=BASIC.basic, data=form).status_code


def test_a_read_only_replica_is_not_ready_until_it_is_the_master(redis_process: StartRedis, tmp_path: Path) -> None:
    master = redis_process()
    replica = redis_process("--replicaof", "127.0.0.1", str(master.port))
    with waiting_service(tmp_path, replica) as process:
        assert not is_ready(process)
        assert issues(process) == 503
        assert httpx.get(f"{process.base_url}/jwks.json").status_code == 200
        assert any("is a replica" in record["message"] for record in process.log_records())
        with redis.Redis(port=replica.port) as client:
            client.replicaof("NO", "ONE")
        wait_until(lambda: is_ready(process), "the new master to be taken", 15)
        assert issues(process) == 200


def test_a_server_that_loads_its_data_is_not_ready_until_it_has(redis_process: StartRedis, tmp_path: Path) -> None:
    server = redis_process("--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024")
    with redis.Redis(port=server.port) as client:
        client.mset({f"key-{number}": "x" * 100 for number in range(2000)})
        client.save()
    server.restart()
    with redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as client, pytest.raises(redis.BusyLoadingError):
        client.get("key-1")
    with waiting_service(tmp_path, server) as process:
        assert not is_ready(process)
        assert issues(process) == 503
        assert any("loading its data" in record["message"] for record in process.log_records())
        wait_until(lambda: is_ready(process), "the data to be loaded", 30)
        assert issues(process) == 200
