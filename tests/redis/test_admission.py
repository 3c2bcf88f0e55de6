"""Who is let in by Redis with what, and which Redis is accepted."""

import time

import pytest
import redis

from app.storage.epochs import Epoch, RevocationScope
from app.storage.interface import Issuance, Rotation, StoreError
from app.storage.redis.acl import COMMANDS, acl_line
from app.storage.redis.store import RedisStore
from app.storage.redis_options import Credentials
from tests.conformance.issued import access_record, new_family, new_grant, new_ref
from tests.conftest import StartRedis
from tests.programs.plain import is_plain
from tests.redis.conftest import MakeStore, OpenStore

pytestmark = pytest.mark.anyio

PREFIX = "install-a"


async def use_everything(store: RedisStore) -> None:
    """Every kind of operation; each raises if Redis refuses one of its commands or names."""
    now = time.time()
    grant = new_grant(now)
    await store.save(grant.issuance)
    await store.save(Issuance(access=(new_ref(), access_record(now))))
    assert await store.find_access_token(grant.access) is not None
    assert await store.find_refresh_token(grant.refresh) is not None
    successor = new_grant(now, family=grant.family)
    assert await store.rotate(grant.refresh, grant.used(now), successor.issuance) is Rotation.ROTATED
    await store.restore_access_token(new_ref(), access_record(now))
    await store.restore_refresh_token(grant.refresh, grant.used(now))
    await store.revoke_access_token(grant.access)
    await store.revoke_family(grant.family, int(now) + 60)
    await store.revoke_jwt(new_ref(), int(now) + 60)
    await store.revoke_before(Epoch(RevocationScope.CLIENT, "somebody", int(now), int(now) + 60))
    await store.revoke_before(Epoch(RevocationScope.CLIENT, "somebody", int(now) + 1, int(now) + 60))
    assert not await store.is_jwt_revoked(new_ref(), new_family())
    assert await store.remember_once(new_ref().digest, int(now) + 60)
    assert await store.count_live_tokens() >= 0
    await store.server_memory()


async def test_the_printed_acl_line_is_enough(redis_process: StartRedis, open_store: OpenStore) -> None:
    process = redis_process()
    _, username, *rules = acl_line("auth", PREFIX).replace("<PASSWORD>", "right").split()
    with redis.Redis.from_url(process.url) as operator:
        operator.execute_command("ACL", "SETUSER", username, *rules)
    store = await open_store(
        process.url,
        prefix=PREFIX,
        credentials=lambda: Credentials("auth", "right"),
        monotonic=time.monotonic,
    )
    await use_everything(store)
    with redis.Redis.from_url(process.url) as operator:
        denied = operator.execute_command("ACL", "LOG")
    assert denied == []


ALWAYS_USED = ("getdel", "eval", "publish", "info", "role")


# Reads become one MGET only where they are batched.
@pytest.mark.parametrize("command", ALWAYS_USED if is_plain() else (*ALWAYS_USED, "mget"))
async def test_no_command_of_the_line_is_too_many(
    command: str, redis_process: StartRedis, make_store: MakeStore
) -> None:
    process = redis_process()
    _, username, *rules = acl_line("auth", PREFIX).replace("<PASSWORD>", "right").split()
    assert command in COMMANDS
    with redis.Redis.from_url(process.url) as operator:
        operator.execute_command("ACL", "SETUSER", username, *rules, f"-{command}")
    store = make_store(process.url, prefix=PREFIX, credentials=lambda: Credentials("auth", "right"))
    try:
        with pytest.raises(StoreError, match=r"may not run a command|refused"):
            await open_and_use(store)
    finally:
        await store.close()  # uvloop waits forever for a connection that is open when its loop closes


async def open_and_use(store: RedisStore) -> None:
    await store.open()
    await use_everything(store)


async def test_the_line_opens_no_other_installation(redis_process: StartRedis, make_store: MakeStore) -> None:
    process = redis_process()
    _, username, *rules = acl_line("auth", PREFIX).replace("<PASSWORD>", "right").split()
    with redis.Redis.from_url(process.url) as operator:
        operator.execute_command("ACL", "SETUSER", username, *rules)
    store = make_store(process.url, prefix="install", credentials=lambda: Credentials("auth", "right"))
    with pytest.raises(StoreError, match="may not run a command or reach a key"):
        await store.open()
    await store.close()


async def test_wrong_credentials_are_named(redis_process: StartRedis, make_store: MakeStore) -> None:
    process = redis_process("--requirepass", "right")
    store = make_store(process.url, credentials=lambda: Credentials(None, "wrong"))
    with pytest.raises(StoreError, match="refused the user name or password"):
        await store.open()
    await store.close()


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "volatile-random"])
async def test_a_redis_that_may_drop_revocations_is_refused_unless_told_otherwise(
    policy: str, redis_process: StartRedis, make_store: MakeStore, open_store: OpenStore
) -> None:
    process = redis_process("--maxmemory-policy", policy, "--maxmemory", "100mb")
    store = make_store(process.url)
    with pytest.raises(StoreError, match=f"maxmemory-policy is {policy}"):
        await store.open()
    await store.close()
    await use_everything(await open_store(process.url, allow_eviction=True))


async def test_how_full_redis_is_can_be_told(redis_process: StartRedis, open_store: OpenStore) -> None:
    store = await open_store(redis_process("--maxmemory", "100mb").url)
    memory = await store.server_memory()
    assert memory.max_bytes == 100 * 1024 * 1024
    assert 0 < memory.used_bytes < memory.max_bytes
    assert memory.evicted_keys == 0
