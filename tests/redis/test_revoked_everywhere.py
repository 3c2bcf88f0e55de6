"""A revoked token is dead on every replica: within milliseconds as a rule, within the stated bound whatever fails."""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
import redis

from app.storage.epochs import Epoch, RevocationScope
from app.storage.interface import Issuance, IssuedFacts, StoreUnavailable
from app.storage.observer import Unobserved
from app.storage.redis.cache import CacheLimits
from app.storage.redis.store import RedisStore
from tests.conformance.issued import Grant, access_record, look_up, new_family, new_grant, new_ref
from tests.conftest import StartRedis
from tests.redis.conftest import LayCable, OpenStore

pytestmark = pytest.mark.anyio

STALENESS_SECONDS = 1.0
TYPICAL_SECONDS = 0.050


class Lookups(Unobserved):
    """What a cache did."""

    def __init__(self) -> None:
        self.results: Counter[str] = Counter()
        self.propagations: list[float] = []
        self.losses = 0

    def lookup(self, result: str) -> None:
        self.results[result] += 1

    def propagation(self, seconds: float) -> None:
        self.propagations.append(seconds)

    def subscribed(self, subscribed: bool) -> None:
        self.losses += not subscribed


OpenReplica = Callable[..., Awaitable[tuple[RedisStore, Lookups]]]


@pytest.fixture
def open_replica(open_store: OpenStore, redis_key_prefix: str) -> OpenReplica:
    """``open_replica(url)``: a store with a cache that has its lease, and what the cache does."""

    async def open_one(url: str) -> tuple[RedisStore, Lookups]:
        lookups = Lookups()
        store = await open_store(
            url,
            prefix=redis_key_prefix,
            monotonic=time.monotonic,
            staleness_seconds=STALENESS_SECONDS,
            cache_observer=lookups,
            cache_limits=CacheLimits(),
        )
        await until_leased(store, lookups)
        return store, lookups

    return open_one


async def until_leased(store: RedisStore, lookups: Lookups) -> None:
    async with asyncio.timeout(10):
        lookups.results.clear()
        while not lookups.results["miss"]:
            await asyncio.sleep(0.01)
            await look_up(store, new_ref())
    lookups.results.clear()


async def known_to(store: RedisStore, grants: list[Grant]) -> None:
    for grant in grants:
        assert await look_up(store, grant.access) is not None


async def test_a_hit_asks_nobody_and_the_lease_ends_with_redis(
    redis_process: StartRedis, open_replica: OpenReplica
) -> None:
    process = redis_process()
    store, lookups = await open_replica(process.url)
    grant, jwt = new_grant(time.time()), new_ref()
    await store.save(grant.issuance)
    await look_up(store, grant.access)
    assert not await store.is_jwt_revoked(jwt, grant.family)
    process.pause()
    paused_at = time.monotonic()
    assert await look_up(store, grant.access) == grant.access_record
    assert not await store.is_jwt_revoked(jwt, grant.family)
    assert lookups.results == {"miss": 3, "hit": 3}
    await asyncio.sleep(paused_at + STALENESS_SECONDS - time.monotonic())
    with pytest.raises(StoreUnavailable):
        await look_up(store, grant.access)
    assert lookups.results["bypass"] == 1
    process.resume()
    await until_leased_again(store, lookups, grant)


async def until_leased_again(store: RedisStore, lookups: Lookups, grant: Grant) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                lookups.results.clear()
                assert await look_up(store, grant.access) == grant.access_record
            except StoreUnavailable:
                pass
            if lookups.results["hit"]:
                return
            await asyncio.sleep(0.01)


async def test_a_revocation_is_known_on_another_replica_within_milliseconds(
    redis_url: str, open_replica: OpenReplica
) -> None:
    here, _ = await open_replica(redis_url)
    there, lookups = await open_replica(redis_url)
    now, delays = time.time(), []
    for number in range(300):
        grant = new_grant(now)
        await here.save(grant.issuance)
        jwt = new_ref(grant.family[:4])
        await look_up(there, grant.access)
        await there.is_jwt_revoked(jwt, grant.family)
        lookups.results.clear()
        assert await look_up(there, grant.access) is not None
        assert not await there.is_jwt_revoked(jwt, grant.family)
        assert lookups.results == {"hit": 3}
        if number % 3 == 0:
            await here.revoke_access_token(grant.access)
        elif number % 3 == 1:
            await here.revoke_family(grant.family, int(now) + 60)
        else:
            await here.revoke_jwt(jwt, int(now) + 60)
        revoked_at = time.monotonic()
        while True:
            alive = await look_up(there, grant.access) is not None
            jwt_alive = not await there.is_jwt_revoked(jwt, grant.family)
            if not (jwt_alive if number % 3 == 2 else alive) and not (number % 3 == 1 and jwt_alive):
                break
            assert time.monotonic() - revoked_at < STALENESS_SECONDS
            await asyncio.sleep(0)
        delays.append(time.monotonic() - revoked_at)
    assert sorted(delays)[int(len(delays) * 0.99)] <= TYPICAL_SECONDS
    assert max(lookups.propagations) <= STALENESS_SECONDS


async def test_an_epoch_is_known_on_another_replica_within_milliseconds(
    redis_url: str, open_replica: OpenReplica
) -> None:
    here, _ = await open_replica(redis_url)
    there, lookups = await open_replica(redis_url)
    now, delays = int(time.time()), []
    for number in range(100):
        record = msgspec.structs.replace(access_record(now), client_id=f"client-{number}")
        ref, jwt = new_ref(), new_ref()
        issued = IssuedFacts(f"client-{number}", "user-1", now)
        await here.save(Issuance(access=(ref, record)))
        await look_up(there, ref)
        await there.is_jwt_revoked(jwt, None, issued)
        lookups.results.clear()
        assert await look_up(there, ref) is not None
        assert not await there.is_jwt_revoked(jwt, None, issued)
        assert lookups.results == {"hit": 2}
        await here.revoke_before(Epoch(RevocationScope.CLIENT, f"client-{number}", now + 1, now + 600))
        revoked_at = time.monotonic()
        assert await look_up(here, ref) is None
        while await look_up(there, ref) is not None or not await there.is_jwt_revoked(jwt, None, issued):
            assert time.monotonic() - revoked_at < STALENESS_SECONDS
            await asyncio.sleep(0)
        delays.append(time.monotonic() - revoked_at)
    assert sorted(delays)[98] <= TYPICAL_SECONDS


async def test_an_epoch_is_known_within_the_bound_where_the_channel_is_cut(
    redis_process: StartRedis, open_replica: OpenReplica
) -> None:
    process = redis_process()
    here, _ = await open_replica(process.url)
    there, lookups = await open_replica(process.url)
    operator = redis.Redis.from_url(process.url)
    now = int(time.time())
    for number in range(30):
        record = msgspec.structs.replace(access_record(now), client_id=f"client-{number}")
        ref = new_ref()
        await here.save(Issuance(access=(ref, record)))
        assert await look_up(there, ref) is not None
        if number % 2:
            operator.client_kill_filter(_type="pubsub")
        await here.revoke_before(Epoch(RevocationScope.CLIENT, f"client-{number}", now + 1, now + 600))
        revoked_at = time.monotonic()
        if number % 3 == 0:
            operator.client_kill_filter(_type="pubsub")
        while await look_up(there, ref) is not None:
            assert time.monotonic() - revoked_at <= STALENESS_SECONDS
            await asyncio.sleep(0.001)
    operator.close()
    assert lookups.losses > 0


async def test_the_replica_that_revokes_knows_at_once(redis_url: str, open_replica: OpenReplica) -> None:
    store, lookups = await open_replica(redis_url)
    now = time.time()
    for _ in range(50):
        first, second, jwt = new_grant(now), new_grant(now), new_ref()
        for grant in (first, second):
            await store.save(grant.issuance)
            await look_up(store, grant.access)
            await store.is_jwt_revoked(new_ref(grant.family[:4]), grant.family)
        assert not await store.is_jwt_revoked(jwt, None)
        await store.revoke_access_token(first.access)
        await store.revoke_family(second.family, int(now) + 60)
        await store.revoke_jwt(jwt, int(now) + 60)
        assert await look_up(store, first.access) is None
        assert await look_up(store, second.access) is None
        assert await store.is_jwt_revoked(new_ref(second.family[:4]), second.family)
        assert await store.is_jwt_revoked(jwt, None)
    assert lookups.results["bypass"] == 0


async def test_reads_that_race_revocations_leave_nothing_stale_behind(
    redis_url: str, open_replica: OpenReplica
) -> None:
    here, _ = await open_replica(redis_url)
    there, lookups = await open_replica(redis_url)
    now = time.time()
    grants = [new_grant(now) for _ in range(2_000)]
    await asyncio.gather(*(here.save(grant.issuance) for grant in grants))
    revoked_at: dict[int, float] = {}
    stale = 0

    async def read_along() -> None:
        nonlocal stale
        while len(revoked_at) < len(grants):
            # The neighbours of what is being revoked now: read before, while and after.
            number = min(max(0, len(revoked_at) + random.randrange(-20, 20)), len(grants) - 1)
            asked_at = time.monotonic()
            record = await look_up(there, grants[number].access)
            since = revoked_at.get(number)
            stale += record is not None and since is not None and asked_at - since > STALENESS_SECONDS
            await asyncio.sleep(0)

    async def revoke_all() -> None:
        for number, grant in enumerate(grants):
            await (
                here.revoke_access_token(grant.access)
                if number % 2
                else here.revoke_family(grant.family, int(now) + 60)
            )
            revoked_at[number] = time.monotonic()

    await asyncio.gather(revoke_all(), *(read_along() for _ in range(20)))
    assert lookups.results["hit"] > 0
    assert stale == 0
    # Long before the lease ends: what slipped into the cache would still be there.
    await asyncio.sleep(TYPICAL_SECONDS)
    for grant in grants:
        assert await look_up(there, grant.access) is None
    assert lookups.results["bypass"] == 0


async def stale_while(
    here: RedisStore, there: RedisStore, grants: list[Grant], fault: Callable[[], Awaitable[None]]
) -> tuple[int, int, float]:
    """Revoke under a fault, ask elsewhere all the time: answers, outages, and the longest that a dead token lived."""
    revoked: dict[int, float] = {}
    answers = outages = 0
    longest = 0.0
    done = asyncio.Event()

    async def ask() -> None:
        nonlocal answers, outages, longest
        while not done.is_set():
            number = random.randrange(len(grants))
            asked_at = time.monotonic()
            try:
                alive = await look_up(there, grants[number].access) is not None
            except StoreUnavailable:
                outages += 1
            else:
                answers += 1
                if alive and number in revoked:
                    longest = max(longest, asked_at - revoked[number])
            await asyncio.sleep(0.001)

    async def revoke() -> None:
        for number in range(0, len(grants), 2):
            await here.revoke_access_token(grants[number].access)
            revoked[number] = time.monotonic()
            await asyncio.sleep(0.01)

    asking = [asyncio.create_task(ask()) for _ in range(5)]
    try:
        await asyncio.gather(revoke(), fault())
        await asyncio.sleep(STALENESS_SECONDS)
    finally:
        done.set()
        await asyncio.gather(*asking)
    for number in revoked:
        assert await look_up(there, grants[number].access) is None
    return answers, outages, longest


async def test_a_channel_that_is_cut_again_and_again_revives_nothing(
    redis_process: StartRedis, open_replica: OpenReplica
) -> None:
    process = redis_process()
    here, _ = await open_replica(process.url)
    there, lookups = await open_replica(process.url)
    grants = [new_grant(time.time()) for _ in range(200)]
    await asyncio.gather(*(here.save(grant.issuance) for grant in grants))
    await known_to(there, grants)
    operator = redis.Redis.from_url(process.url)

    async def cut_the_channel() -> None:
        for _ in range(30):
            operator.client_kill_filter(_type="pubsub")
            await asyncio.sleep(0.05)

    answers, outages, longest = await stale_while(here, there, grants, cut_the_channel)
    operator.close()
    assert answers > 0
    assert outages == 0
    assert longest <= STALENESS_SECONDS
    assert lookups.losses >= 5
    await until_leased(there, lookups)


async def test_a_cable_that_is_unplugged_ends_the_lease(
    redis_process: StartRedis, open_replica: OpenReplica, lay_cable: LayCable
) -> None:
    process = redis_process()
    cable = await lay_cable(process.port)
    here, _ = await open_replica(process.url)
    there, lookups = await open_replica(cable.url)
    grants = [new_grant(time.time()) for _ in range(200)]
    await asyncio.gather(*(here.save(grant.issuance) for grant in grants))
    await known_to(there, grants)

    async def unplug() -> None:
        cable.unplugged = True
        await asyncio.sleep(1.5 * STALENESS_SECONDS)
        cable.unplugged = False
        cable.cut()
        await asyncio.sleep(3 * STALENESS_SECONDS)

    answers, outages, longest = await stale_while(here, there, grants, unplug)
    assert answers > 0
    assert outages > 0
    assert longest <= STALENESS_SECONDS
    await until_leased(there, lookups)


async def test_a_master_that_became_a_replica_ends_the_lease(
    redis_process: StartRedis, open_replica: OpenReplica
) -> None:
    process = redis_process()
    store, lookups = await open_replica(process.url)
    grant = new_grant(time.time())
    await store.save(grant.issuance)
    await known_to(store, [grant])
    operator = redis.Redis.from_url(process.url)
    operator.replicaof("127.0.0.1", "1")
    started = time.monotonic()
    async with asyncio.timeout(5):
        while True:
            try:
                await look_up(store, grant.access)
            except StoreUnavailable:
                break
            await asyncio.sleep(0.01)
    assert time.monotonic() - started <= STALENESS_SECONDS + 0.2
    operator.replicaof("NO", "ONE")
    operator.close()
    await until_leased_again(store, lookups, grant)


async def test_a_replica_that_was_stopped_does_not_believe_its_cache(
    redis_process: StartRedis, open_replica: OpenReplica, redis_key_prefix: str
) -> None:
    process = redis_process()
    here, _ = await open_replica(process.url)
    refs = [new_ref() for _ in range(2)]
    for ref in refs:
        await here.save(Issuance(access=(ref, access_record(time.time(), family=None))))
    replica = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("replica.py")),
        process.url,
        redis_key_prefix,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert replica.stdin is not None
    assert replica.stdout is not None
    questions, answers = replica.stdin, replica.stdout

    def ask(number: int) -> None:
        questions.write(f"{refs[number].tag} {refs[number].digest.hex()}\n".encode())

    async def answer() -> str:
        return (await asyncio.wait_for(answers.readline(), 10)).decode().strip()

    try:
        assert await answer() == "ready"
        for number in (0, 1, 0):
            ask(number)
        assert [await answer() for _ in range(3)] == ["active miss", "active miss", "active hit"]
        replica.send_signal(signal.SIGSTOP)
        await here.revoke_access_token(refs[0])
        # The replica promises two seconds; both questions wait for it when it goes on.
        await asyncio.sleep(2.1)
        ask(0)
        ask(1)
        replica.send_signal(signal.SIGCONT)
        assert await answer() in {"inactive bypass", "inactive miss"}
        assert (await answer()).startswith("active")
    finally:
        replica.kill()
        await replica.wait()


async def test_a_family_is_dropped_whole(redis_url: str, open_replica: OpenReplica) -> None:
    here, _ = await open_replica(redis_url)
    there, lookups = await open_replica(redis_url)
    now, family = time.time(), new_family()
    grants = [new_grant(now, family=family) for _ in range(300)]
    await asyncio.gather(*(here.save(grant.issuance) for grant in grants))
    await known_to(there, grants)
    await here.revoke_family(family, int(now) + 60)
    await asyncio.sleep(TYPICAL_SECONDS)
    for grant in grants:
        assert await look_up(there, grant.access) is None
    assert lookups.results["bypass"] == 0
