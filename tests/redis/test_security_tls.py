"""TLS towards Redis: only a server that proves its name is talked to, and nothing is told to any other."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from app.clock import stopwatch, unix_now
from app.randomness import random_bytes
from app.storage.interface import StoreUnavailable
from app.storage.redis.opening import redis_store
from app.storage.redis.store import RedisStore
from app.storage.redis_options import TlsFiles, parse_redis_url
from tests.conformance.issued import new_ref
from tests.programs.certificates import LOOPBACK, Issued, issue
from tests.programs.redis_process import RedisProcess

pytestmark = pytest.mark.anyio

StartRedis = Callable[..., RedisProcess]
UnusedPort = Callable[[], int]


def store_at(port: int, tls: TlsFiles | None) -> RedisStore:
    return redis_store(
        parse_redis_url(f"rediss://:canary-password@127.0.0.1:{port}/0"),
        "tls",
        now=unix_now,
        stopwatch=stopwatch,
        random_bytes=random_bytes,
        tls=tls,
        deadline_seconds=0.5,
        connect_seconds=2.0,
    )


def start_with(redis_process: StartRedis, port: int, server: Issued, authority: Issued, *more: str) -> None:
    files = ("--tls-cert-file", str(server.certificate_file), "--tls-key-file", str(server.key_file))
    redis_process(
        "--requirepass",
        "canary-password",
        "--tls-port",
        str(port),
        *files,
        "--tls-ca-cert-file",
        str(authority.certificate_file),
        *more,
    )


async def test_a_redis_with_the_right_certificate_is_talked_to(
    redis_process: StartRedis, unused_port: UnusedPort, tmp_path: Path
) -> None:
    authority = issue(tmp_path, "authority")
    own = issue(tmp_path, "service", authority)
    port = unused_port()
    start_with(redis_process, port, issue(tmp_path, "redis", authority), authority, "--tls-auth-clients", "yes")
    store = store_at(port, TlsFiles(authority.certificate_file, own.certificate_file, own.key_file))
    await store.open()
    try:
        assert await store.find_access_token(new_ref()) is None
    finally:
        await store.close()


@pytest.mark.parametrize("wrong", ["authority", "name", "expired", "system's authorities"])
async def test_a_redis_with_any_other_certificate_is_not(
    redis_process: StartRedis, unused_port: UnusedPort, tmp_path: Path, wrong: str
) -> None:
    authority = issue(tmp_path, "authority")
    signer = issue(tmp_path, "stranger") if wrong == "authority" else authority
    alternative = x509.DNSName("elsewhere.example") if wrong == "name" else LOOPBACK
    server = issue(tmp_path, "redis", signer, alternative, days=-1 if wrong == "expired" else 1)
    port = unused_port()
    start_with(redis_process, port, server, authority, "--tls-auth-clients", "no")
    store = store_at(port, None if wrong == "system's authorities" else TlsFiles(authority.certificate_file))
    try:
        with pytest.raises(StoreUnavailable, match="certificate is not trusted") as refused:
            await store.open()
        assert "canary" not in str(refused.value)
        assert not store.reached
    finally:
        await store.close()


async def test_a_redis_without_tls_is_told_nothing(redis_process: StartRedis, tmp_path: Path) -> None:
    process = redis_process("--requirepass", "canary-password")
    store = store_at(process.port, TlsFiles(issue(tmp_path, "authority").certificate_file))
    try:
        with pytest.raises(StoreUnavailable):
            await store.open()
        assert not store.reached
    finally:
        await store.close()
