"""Keys in Redis: sealed in all of its memory, and safe from its failures."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis.asyncio as redis
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from app.clock import unix_now
from app.composition.key_ring import address_of
from app.keys import keeper as keeper_module
from app.keys.document import decode
from app.keys.errors import SourceDenied, SourceUnreachable
from app.keys.jwk import b64url
from app.keys.keeper import KeyKeeper
from app.keys.policy import RotationPolicy
from app.keys.sealing import KeyEncryption
from app.keys.sources.redis import RedisSource
from app.randomness import random_bytes
from app.storage.redis_options import Credentials, parse_redis_url
from tests.conftest import StartRedis
from tests.redis.cluster_processes import ClusterProcesses
from tests.redis.sentinels import Sentinels

pytestmark = pytest.mark.anyio
POLICY = RotationPolicy(algorithms=("ES256", "RS256"))
KEK = KeyEncryption((b"k" * 32,), random_bytes)


def keeper(url: str, *, rotates: bool = True) -> KeyKeeper:
    source = RedisSource(address_of(parse_redis_url(url), "auth-service"), poll_seconds=0.05)
    return KeyKeeper(source, POLICY, kek=KEK, rotates=rotates, clock=unix_now, random_bytes=random_bytes)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "RETRY_SECONDS", 0.05)


async def test_private_keys_are_nowhere_in_redis(own_redis: StartRedis, tmp_path: Path) -> None:
    process = own_redis("--appendonly", "yes")
    held = keeper(process.url)
    await held.start()
    await until(lambda: len(held.status(0)) == 4)
    canaries = []
    for key in (held.ring.signing_key(algorithm, unix_now()).key for algorithm in POLICY.algorithms):
        secret = key.private_numbers().d if isinstance(key, RSAPrivateKey) else secret_number(key)
        canaries.append(secret.to_bytes((secret.bit_length() + 7) // 8, "big"))
    await held.stop()
    client = redis.Redis.from_url(process.url)
    body: Any = await client.get("auth-service{keyring}document")
    await client.save()
    await client.aclose()
    files = [path.read_bytes() for path in process.folder.rglob("*") if path.is_file()]
    assert body is not None
    assert any(body[:40] in content for content in files), "what Redis wrote to its disk was looked through"
    assert b"pkcs8" not in body
    for canary in canaries:
        for form in (canary, canary.hex().encode(), _base64_inside(canary)):
            assert not any(form in content for content in (*files, body))


def secret_number(key: object) -> int:
    assert isinstance(key, EllipticCurvePrivateKey)
    return key.private_numbers().private_value


def _base64_inside(secret: bytes) -> bytes:
    return b64url(secret)[4:-4].encode()


async def test_replicas_share_one_ring_and_survive_the_loss_of_redis(own_redis: StartRedis) -> None:
    process = own_redis()
    keepers = [keeper(process.url) for _ in range(3)]
    await asyncio.gather(*(each.start() for each in keepers))
    await until(lambda: {each.ring.revision for each in keepers} == {1})
    held = keepers[0].ring.document
    assert all(each.ring.document == held for each in keepers)

    process.kill()
    await until(lambda: all(each.problem == "unreachable" for each in keepers))
    assert all(each.ready for each in keepers)

    process.restart()  # empty: nothing was saved
    newcomer = keeper(process.url)
    await newcomer.start()
    await until(lambda: all(each.problem is None for each in keepers))
    assert newcomer.ring.document == held, "a new process waits for those who hold the ring"
    stored = await newcomer.source.read()
    assert stored is not None
    assert decode(stored.body) == held
    await asyncio.gather(*(each.stop() for each in (*keepers, newcomer)))


async def test_at_start_an_unreachable_redis_is_waited_for(own_redis: StartRedis) -> None:
    process = own_redis()
    process.kill()
    waiting = keeper(process.url)
    await waiting.start()
    assert waiting.problem == "unreachable"
    process.restart()
    await until(lambda: waiting.ready)
    await waiting.stop()


async def test_a_hanging_redis_is_unreachable(own_redis: StartRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    process = own_redis()
    monkeypatch.setattr("app.keys.sources.redis.TIMEOUT_SECONDS", 0.2)
    source = RedisSource(address_of(parse_redis_url(process.url), "p:"))
    process.pause()
    with pytest.raises(SourceUnreachable, match="no answer in time"):
        await source.read()
    process.resume()
    assert await source.read() is None
    await source.close()


async def test_wrong_credentials_and_missing_permissions_are_told_without_them(own_redis: StartRedis) -> None:
    process = own_redis("--requirepass", "right-password")
    admin = redis.Redis.from_url(process.url, password="right-password")
    await admin.acl_setuser("reader", enabled=True, passwords="+pass", keys=["*"], commands=["+get", "+auth", "+hello"])
    await admin.aclose()
    for credentials in ((None, "wrong-password"), ("reader", "wrong-password")):
        async with source_with(process.url, *credentials) as wrong:
            with pytest.raises(SourceDenied) as refusal:
                await wrong.read()
        assert "wrong-password" not in str(refusal.value)
    async with source_with(process.url, "reader", "pass") as reader:
        assert await reader.read() is None
        with pytest.raises(SourceDenied):
            await reader.write(b"x", None)
    async with source_with(process.url, None, "right-password") as right:
        assert await right.write(b"x", None)


async def test_credentials_are_asked_for_at_every_connection(own_redis: StartRedis) -> None:
    process = own_redis("--requirepass", "first")
    current = ["first"]
    address = address_of(parse_redis_url(process.url), "p:", lambda: Credentials(None, current[0]))
    source = RedisSource(address)
    assert await source.read() is None
    admin = redis.Redis.from_url(process.url, password="first")
    await admin.config_set("requirepass", "second")
    current[0] = "second"
    await admin.client_kill_filter(_type="normal", skipme=True)
    await admin.aclose()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await source.read() is None
                break
            except SourceUnreachable:
                await asyncio.sleep(0.05)
    await source.close()


async def test_after_a_failover_the_new_master_is_read_and_written(own_redis: StartRedis, tmp_path: Path) -> None:
    with Sentinels(own_redis, tmp_path) as sentinels:
        sentinels.wait_until_watching()
        source = RedisSource(address_of(parse_redis_url(sentinels.url), "p:"))
        assert await source.write(b"before", None)
        old = sentinels.master_port()
        next(server for server in sentinels.servers if server.port == old).kill()
        await until(lambda: sentinels.master_port() not in (old, None))
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await source.write(b"after", await source.read())
                    break
                except SourceUnreachable:
                    await asyncio.sleep(0.05)
        stored = await source.read()
        assert stored is not None
        assert stored.body == b"after"
        await source.close()


async def test_sentinels_without_a_password_know_a_master_with_one(own_redis: StartRedis, tmp_path: Path) -> None:
    with Sentinels(own_redis, tmp_path, replicas=0) as sentinels:
        address = address_of(parse_redis_url(sentinels.url), "p:", lambda: Credentials(None, "right"))
        async with redis.Redis(port=sentinels.servers[0].port) as admin:
            await admin.config_set("requirepass", "right")
        source = RedisSource(address)
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await source.write(b"x", None)
                    break
                except SourceUnreachable:  # on a busy machine a connection may take longer than it may
                    await asyncio.sleep(0.05)
        await source.close()
        unknown = msgspec.structs.replace(address, master_name="another")
        with pytest.raises(SourceUnreachable, match="no sentinel knows the master"):
            await RedisSource(unknown).read()


async def test_a_cluster_that_is_gone_is_unreachable(own_redis: StartRedis) -> None:
    cluster = ClusterProcesses(own_redis)
    source = RedisSource(address_of(parse_redis_url(cluster.url), "p:"))
    assert await source.write(b"x", None)
    for server in cluster.servers:
        server.kill()
    with pytest.raises(SourceUnreachable):
        await source.read()
    await source.close()


@asynccontextmanager
async def source_with(url: str, username: str | None, password: str | None) -> AsyncIterator[RedisSource]:
    source = RedisSource(address_of(parse_redis_url(url), "p:", lambda: Credentials(username, password)))
    try:
        yield source
    finally:
        await source.close()
