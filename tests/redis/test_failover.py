"""Sentinels fail a master over: the store follows by itself, and revocations are said again, or had been waited for."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from app.storage.interface import StoreUnavailable
from app.storage.redis.store import RedisStore
from tests.conformance.issued import Grant, new_grant, new_ref
from tests.conftest import StartRedis
from tests.programs.redis_process import RedisProcess
from tests.redis.conftest import MakeStore, OpenStore
from tests.redis.sentinel_voice import SentinelVoice
from tests.redis.sentinels import Sentinels

pytestmark = pytest.mark.anyio


@pytest.fixture
def sentinels(redis_process: StartRedis, tmp_path: Path) -> Iterator[Sentinels]:
    with Sentinels(redis_process, tmp_path) as watching:
        watching.wait_until_watching()
        yield watching


def master_of(sentinels: Sentinels) -> RedisProcess:
    port = sentinels.master_port()
    return next(server for server in sentinels.servers if server.port == port)


async def until_another_leads(sentinels: Sentinels, old: RedisProcess) -> None:
    """The store follows the first sentinel that knows the new master; the one that is asked here may learn later."""
    async with asyncio.timeout(20):
        while master_of(sentinels) is old:  # noqa: ASYNC110 - sentinels tell nobody
            await asyncio.sleep(0.05)


async def until_answering(store: RedisStore, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while True:
            try:
                await store.save(new_grant(time.time()).issuance)
            except StoreUnavailable:
                await asyncio.sleep(0.02)
            else:
                return


async def test_a_failover_is_followed_and_tokens_that_replicas_had_live_on(
    sentinels: Sentinels, open_store: OpenStore
) -> None:
    store = await open_store(sentinels.url)
    grants = [new_grant(time.time()) for _ in range(200)]
    await asyncio.gather(*(store.save(grant.issuance) for grant in grants))
    await until_replicated(sentinels)
    old = master_of(sentinels)
    old.kill()
    with pytest.raises(StoreUnavailable):
        await store.find_access_token(grants[0].access)
    await until_answering(store)
    await until_another_leads(sentinels, old)
    for grant in grants:
        assert await store.find_access_token(grant.access) == grant.access_record


async def until_replicated(sentinels: Sentinels) -> None:
    with redis.Redis(port=master_of(sentinels).port) as client:
        assert client.wait(2, 5000) >= 0
    await asyncio.sleep(0.2)


async def test_a_master_that_hangs_is_left_for_its_successor(sentinels: Sentinels, open_store: OpenStore) -> None:
    store = await open_store(sentinels.url)
    old = master_of(sentinels)
    old.pause()
    with pytest.raises(StoreUnavailable):
        await store.save(new_grant(time.time()).issuance)
    await until_answering(store)
    await until_another_leads(sentinels, old)
    # The old master wakes up and believes in itself for a moment; the store does not go back to it.
    old.resume()
    grant = new_grant(time.time())
    await store.save(grant.issuance)
    await asyncio.sleep(1)
    assert await store.find_access_token(grant.access) == grant.access_record


async def test_revocations_that_the_old_master_took_with_it_are_said_again(
    sentinels: Sentinels, open_store: OpenStore
) -> None:
    store = await open_store(sentinels.url, monotonic=time.monotonic)
    now = time.time()
    grants = [new_grant(now) for _ in range(100)]
    await asyncio.gather(*(store.save(grant.issuance) for grant in grants))
    await until_replicated(sentinels)
    old = master_of(sentinels)
    # Cut the replicas off, so that what follows is surely lost with the master.
    for server in sentinels.servers:
        if server is not old:
            server.pause()
    jwts = [new_ref() for _ in range(20)]
    for number, grant in enumerate(grants[:50]):
        if number % 2:
            await store.revoke_access_token(grant.access)
        else:
            await store.revoke_family(grant.family, int(now) + 600)
    for jwt in jwts:
        await store.revoke_jwt(jwt, int(now) + 600)
    old.kill()
    for server in sentinels.servers:
        if server is not old:
            server.resume()
    await until_answering(store)
    async with asyncio.timeout(5):
        for grant in grants[:50]:
            while await store.find_access_token(grant.access) is not None:  # noqa: ASYNC110 - is what is tested
                await asyncio.sleep(0.02)
    for jwt in jwts:
        assert await store.is_jwt_revoked(jwt, None)
    for grant in grants[50:]:
        assert await store.find_access_token(grant.access) is not None


async def test_with_wait_a_revocation_that_is_acknowledged_survives_a_failover(
    sentinels: Sentinels, open_store: OpenStore
) -> None:
    reader = await open_store(sentinels.url)
    store = await open_store(sentinels.url, wait_replicas=1)
    revoked: list[Grant] = []
    refused = 0
    grants = [new_grant(time.time()) for _ in range(300)]
    await asyncio.gather(*(store.save(grant.issuance) for grant in grants))
    await until_replicated(sentinels)

    async def revoke(some: list[Grant]) -> None:
        nonlocal refused
        for grant in some:
            try:
                await store.revoke_family(grant.family, int(time.time()) + 600)
            except StoreUnavailable:
                refused += 1
            else:
                revoked.append(grant)
            await asyncio.sleep(0.001)

    revoking = [asyncio.create_task(revoke(grants[start::10])) for start in range(10)]
    await asyncio.sleep(0.02)
    master_of(sentinels).kill()
    await asyncio.gather(*revoking)
    # Whoever revoked is gone before there is a new master: nobody says anything again.
    await store.close()
    await until_answering(reader)
    assert revoked
    assert refused
    for grant in revoked:
        assert await reader.find_access_token(grant.access) is None
        assert await reader.find_refresh_token(grant.refresh) is None


async def test_with_wait_and_no_replica_nothing_is_acknowledged(
    redis_process: StartRedis, open_store: OpenStore
) -> None:
    store = await open_store(redis_process().url, wait_replicas=1)
    grant, successor = new_grant(time.time()), new_grant(time.time())
    await store.save(grant.issuance)
    for step in (
        store.revoke_family(grant.family, int(time.time()) + 60),
        store.revoke_access_token(grant.access),
        store.revoke_jwt(new_ref(), int(time.time()) + 60),
        store.rotate(grant.refresh, grant.used(time.time()), successor.issuance),
    ):
        with pytest.raises(StoreUnavailable, match="fewer than 1 replicas"):
            await step
    assert await store.find_access_token(grant.access) is None


async def test_a_master_that_the_sentinels_have_left_is_left_though_it_still_believes_in_itself(
    redis_process: StartRedis, open_store: OpenStore
) -> None:
    old, new = redis_process(), redis_process()
    grant = new_grant(time.time())
    async with SentinelVoice(old.port) as lagging, SentinelVoice(old.port) as knowing:
        url = f"redis+sentinel://127.0.0.1:{lagging.port},127.0.0.1:{knowing.port}/tokens"
        store = await open_store(url, staleness_seconds=0.4, monotonic=time.monotonic)
        await store.save(grant.issuance)
        assert await store.find_access_token(grant.access) is not None
        knowing.master_port, knowing.epoch = new.port, 2
        named = time.monotonic()
        while True:
            try:
                if await store.find_access_token(grant.access) is None:
                    break
            except StoreUnavailable:
                pass
            assert time.monotonic() - named < 1
            await asyncio.sleep(0.01)
        # From here on nobody goes back, whatever the other sentinel says.
        for _ in range(50):
            assert await store.find_access_token(grant.access) is None
            await asyncio.sleep(0.01)


async def test_a_master_that_hung_while_it_was_connected_to_is_not_asked_when_it_wakes_up(
    redis_process: StartRedis, open_store: OpenStore, make_store: MakeStore
) -> None:
    old, new = redis_process(), redis_process()
    grant = new_grant(time.time())
    await (await open_store(new.url)).save(grant.issuance)
    async with SentinelVoice(old.port) as sentinel:
        store = make_store(f"redis+sentinel://127.0.0.1:{sentinel.port}/tokens", connect_seconds=5.0)
        old.pause()
        opening = asyncio.create_task(store.open())
        try:
            # Its kernel takes connections; the greeting waits for it.
            await asyncio.sleep(0.3)
            assert not opening.done()
            sentinel.master_port, sentinel.epoch = new.port, 2
            old.resume()
            answered = 0
            async with asyncio.timeout(20):
                while answered < 100:
                    try:
                        assert await store.find_access_token(grant.access) is not None, "the old master was asked"
                        answered += 1
                    except StoreUnavailable:
                        await asyncio.sleep(0.01)
        finally:
            await asyncio.gather(opening, return_exceptions=True)
            await store.close()


async def test_sentinels_that_know_nothing_say_why(redis_process: StartRedis, open_store: OpenStore) -> None:
    process = redis_process()
    with pytest.raises(StoreUnavailable, match="no sentinel knows the master"):
        await open_store(process.url.replace("redis://", "redis+sentinel://").replace("/0", "/tokens"))
