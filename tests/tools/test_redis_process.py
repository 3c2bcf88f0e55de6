"""The real redis-server that other tests stand on can itself be relied on."""

import os
import re
from collections.abc import Callable

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.programs.ports import accepts_connections
from tests.programs.redis_process import RedisProcess

StartRedis = Callable[..., RedisProcess]


def ping(process: RedisProcess, password: str | None = None) -> bool:
    no_retry = Retry(NoBackoff(), 0)
    with redis.Redis(port=process.port, socket_timeout=0.3, retry=no_retry, password=password) as client:
        return bool(client.ping())


def test_the_session_server_answers_and_keeps_nothing_on_disk(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping() is True
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_a_stopped_or_killed_server_is_gone_and_comes_back_empty_on_the_same_port(redis_process: StartRedis) -> None:
    server = redis_process()
    port, pid = server.port, server.pid
    with redis.Redis(port=port) as client:
        client.set("key", "value")
    for end in (server.stop, server.kill):
        end()
        assert not server.is_running
        assert not accepts_connections(port)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        with pytest.raises(RuntimeError, match="not running"):
            _ = server.pid
        server.restart()
        pid = server.pid
        with redis.Redis(port=port) as client:
            assert client.dbsize() == 0


def test_a_paused_server_hangs_until_it_is_resumed(redis_process: StartRedis) -> None:
    server = redis_process()
    server.pause()
    with pytest.raises(redis.TimeoutError):
        ping(server)
    server.resume()
    assert ping(server)


def test_a_paused_server_can_be_stopped(redis_process: StartRedis) -> None:
    server = redis_process()
    server.pause()
    server.stop()
    assert not server.is_running


def test_arguments_reach_the_server(redis_process: StartRedis) -> None:
    server = redis_process("--requirepass", "a-password")
    with pytest.raises(redis.AuthenticationError):
        ping(server)
    assert ping(server, password="a-password")


def test_a_server_that_cannot_start_says_why(redis_process: StartRedis) -> None:
    with pytest.raises(RuntimeError, match=re.escape("Bad directive or wrong number of arguments")):
        redis_process("--no-such-option", "1")


def test_prefixes_are_unique(redis_key_prefix: str, request: pytest.FixtureRequest) -> None:
    assert re.fullmatch(r"test-[0-9a-f]{16}:", redis_key_prefix)
