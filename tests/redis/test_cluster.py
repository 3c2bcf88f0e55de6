"""A Redis Cluster: slots that move, nodes that fail, and one that comes back empty."""

import asyncio
import time

import pytest

from app.storage.interface import Issuance, IssuedFacts, Rotation, StoreError, StoreUnavailable
from app.storage.observer import Unobserved
from app.storage.redis.slots import slot_of_tag
from app.storage.redis.store import RedisStore
from tests.conformance.issued import Grant, access_record, look_up, new_grant, new_ref
from tests.conftest import StartRedis
from tests.redis.cluster_processes import ClusterProcesses
from tests.redis.conftest import OpenStore

pytestmark = pytest.mark.anyio

STALENESS_SECONDS = 1.0


class Lookups(Unobserved):
    last = ""

    def lookup(self, result: str) -> None:
        self.last = result


@pytest.fixture
def cluster(redis_process: StartRedis) -> ClusterProcesses:
    return ClusterProcesses(redis_process)


@pytest.fixture
def cluster_with_replicas(redis_process: StartRedis) -> ClusterProcesses:
    return ClusterProcesses(redis_process, masters=3, replicas=1)


async def open_leased(open_store: OpenStore, url: str) -> tuple[RedisStore, Lookups]:
    lookups = Lookups()
    store = await open_store(url, monotonic=time.monotonic, staleness_seconds=STALENESS_SECONDS, cache_observer=lookups)
    await until_leased(store, lookups)
    return store, lookups


async def until_leased(store: RedisStore, lookups: Lookups) -> None:
    async with asyncio.timeout(15):
        lookups.last = ""
        while lookups.last != "miss":
            await asyncio.sleep(0.02)
            try:
                await look_up(store, new_ref())
            except StoreUnavailable:
                lookups.last = ""


async def save_many(store: RedisStore, count: int) -> list[Grant]:
    grants = [new_grant(time.time()) for _ in range(count)]
    await asyncio.gather(*(store.save(grant.issuance) for grant in grants))
    return grants


async def test_tokens_spread_over_all_nodes_and_are_found(cluster: ClusterProcesses, open_store: OpenStore) -> None:
    store = await open_store(cluster.url)
    grants = await save_many(store, 500)
    assert {cluster.master_of(grant.access.tag) for grant in grants[:50]} == set(cluster.servers)
    found = await asyncio.gather(*(look_up(store, grant.access) for grant in grants))
    assert found == [grant.access_record for grant in grants]
    assert await store.count_live_tokens() == 500


def of_slot(tag: str, grants: list[Grant]) -> list[Grant]:
    return [grant for grant in grants if slot_of_tag(grant.access.tag.encode()) == slot_of_tag(tag.encode())]


async def test_a_slot_that_moves_is_followed_while_it_moves_and_after(
    cluster: ClusterProcesses, open_store: OpenStore
) -> None:
    store = await open_store(cluster.url)
    tag = "a1b2"
    grants = [new_grant(time.time(), family=f"{tag}{number:022}") for number in range(40)]
    await asyncio.gather(*(store.save(grant.issuance) for grant in grants))
    source = cluster.master_of(tag)
    target = next(server for server in cluster.servers if server is not source)
    loop = asyncio.get_running_loop()
    wrong = unavailable = answered = 0

    async def read_all() -> None:
        nonlocal wrong, unavailable, answered
        for grant in grants:
            try:
                wrong += await look_up(store, grant.access) != grant.access_record
                answered += 1
            except StoreUnavailable:
                unavailable += 1

    def read_from_its_thread() -> None:
        asyncio.run_coroutine_threadsafe(read_all(), loop).result(10)

    await asyncio.to_thread(cluster.move_slot, tag, target, read_from_its_thread)
    await read_all()
    assert (wrong, unavailable, answered) == (0, 0, 80)
    successor = new_grant(time.time(), family=grants[0].family)
    outcome = await store.rotate(grants[0].refresh, grants[0].used(time.time()), successor.issuance)
    assert outcome is Rotation.ROTATED
    await store.revoke_family(grants[0].family, int(time.time()) + 60)
    assert await look_up(store, successor.access) is None


async def test_a_failed_master_costs_its_slots_for_a_moment_and_the_others_nothing(
    cluster_with_replicas: ClusterProcesses, open_store: OpenStore
) -> None:
    cluster = cluster_with_replicas
    store = await open_store(cluster.url)
    grants = await save_many(store, 300)
    await asyncio.sleep(0.3)  # replicas have them
    served = cluster.masters()
    victim = next(iter(served))
    lost_slots = {slot for some in served[victim] for slot in some}
    concerned = [grant for grant in grants if slot_of_tag(grant.access.tag.encode()) in lost_slots]
    others = [grant for grant in grants if grant not in concerned]
    victim.kill()
    give_up_at = time.monotonic() + 20
    waiting = list(concerned)
    while waiting:
        assert time.monotonic() < give_up_at
        for grant in others[:20]:
            assert await look_up(store, grant.access) == grant.access_record
        try:
            assert await look_up(store, waiting[-1].access) == waiting[-1].access_record
        except StoreUnavailable:
            await asyncio.sleep(0.02)
        else:
            waiting.pop()


async def test_a_revocation_is_known_everywhere_whatever_node_it_is_on(
    cluster: ClusterProcesses, open_store: OpenStore
) -> None:
    here, _ = await open_leased(open_store, cluster.url)
    there, lookups = await open_leased(open_store, cluster.url)
    grants = await save_many(here, 60)
    for grant in grants:
        assert await look_up(there, grant.access) is not None
        assert await look_up(there, grant.access) is not None
        assert lookups.last == "hit"
        await here.revoke_family(grant.family, int(time.time()) + 60)
        revoked_at = time.monotonic()
        while await look_up(there, grant.access) is not None:
            assert time.monotonic() - revoked_at < 0.05
            await asyncio.sleep(0)


async def test_a_node_that_hangs_ends_the_lease_of_all(cluster: ClusterProcesses, open_store: OpenStore) -> None:
    store, lookups = await open_leased(open_store, cluster.url)
    grants = await save_many(store, 60)
    for grant in grants:
        await look_up(store, grant.access)
    victim = cluster.master_of(grants[0].access.tag)
    safe = next(grant for grant in grants if cluster.master_of(grant.access.tag) is not victim)
    victim.pause()
    hung_at = time.monotonic()
    while lookups.last != "bypass":
        assert time.monotonic() - hung_at <= STALENESS_SECONDS + 0.3
        try:
            assert await look_up(store, safe.access) is not None
        except StoreError:
            assert time.monotonic() - hung_at > STALENESS_SECONDS / 2
        await asyncio.sleep(0.01)
    victim.resume()
    cluster.wait_until_whole()
    await until_leased(store, lookups)


async def test_a_node_that_lost_its_data_revives_no_jwt(cluster: ClusterProcesses, open_store: OpenStore) -> None:
    store = await open_store(cluster.url)
    jwts = [new_ref() for _ in range(60)]
    await asyncio.sleep(1.1)
    issued = IssuedFacts("billing", "user-1", int(time.time()) - 1)
    for jwt in jwts:
        assert not await store.is_jwt_revoked(jwt, None, issued)
        await store.revoke_jwt(jwt, int(time.time()) + 600)
    emptied = cluster.master_of(jwts[0].tag)
    of_it = [jwt for jwt in jwts if cluster.master_of(jwt.tag) is emptied]
    others = [new_ref() for _ in range(60)]
    elsewhere = [jwt for jwt in others if cluster.master_of(jwt.tag) is not emptied]
    emptied.kill()
    emptied.restart()  # its slots are in nodes.conf, its data is nowhere
    cluster.wait_until_whole()
    async with asyncio.timeout(10):
        for jwt in of_it:
            while True:
                try:
                    assert await store.is_jwt_revoked(jwt, None, issued)
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.02)
    for jwt in elsewhere:
        assert not await store.is_jwt_revoked(jwt, None, issued)


async def test_with_wait_a_cluster_acknowledges_what_a_replica_has(
    cluster_with_replicas: ClusterProcesses, open_store: OpenStore
) -> None:
    store = await open_store(cluster_with_replicas.url, wait_replicas=1)
    grants = await save_many(store, 30)
    await asyncio.gather(*(store.revoke_family(grant.family, int(time.time()) + 60) for grant in grants))
    for grant in grants:
        assert await store.find_refresh_token(grant.refresh) is None
    demanding = await open_store(cluster_with_replicas.url, wait_replicas=2)
    with pytest.raises(StoreUnavailable, match="fewer than 2"):
        await demanding.revoke_jwt(new_ref(), int(time.time()) + 60)


async def test_a_server_that_is_no_cluster_says_so(redis_process: StartRedis, open_store: OpenStore) -> None:
    url = redis_process().url.replace("redis://", "redis+cluster://")
    with pytest.raises(StoreUnavailable, match="no node of the Redis cluster tells its slots"):
        await open_store(url)


async def test_one_node_of_the_url_is_enough(cluster: ClusterProcesses, open_store: OpenStore) -> None:
    store = await open_store(f"redis+cluster://127.0.0.1:1,127.0.0.1:{cluster.servers[1].port}")
    ref = new_ref()
    await store.save(Issuance(access=(ref, access_record(time.time()))))
    assert await look_up(store, ref) is not None
