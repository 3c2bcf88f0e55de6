"""The start without Redis and the return to it: never a guess, and revocation wins."""

import asyncio
import time

import pytest

from app.model.tokens import TokenKind, TokenRef
from app.storage.fallback import FallbackStore
from app.storage.interface import Issuance, IssuedFacts, Rotation, StoreUnavailable
from app.storage.redis.store import RedisStore
from tests.conformance.issued import access_record, new_grant, new_ref
from tests.conftest import StartRedis
from tests.programs.redis_process import RedisProcess
from tests.redis.conftest import LayCable, MakeStore, OpenStore

pytestmark = pytest.mark.anyio


class Watched:
    """A fallback store, and what it said of its state."""

    def __init__(self, shared: RedisStore) -> None:
        self.said: list[str | None] = []
        self.store = FallbackStore(
            shared,
            max_tokens=100_000,
            now=time.time,
            longest_token_seconds=86_400,
            longest_once_seconds=300,
            on_degraded=self.said.append,
            look_seconds=0.02,
        )

    async def until_returned(self) -> None:
        async with asyncio.timeout(20):
            while self.store.degraded:  # noqa: ASYNC110 - nobody is told but the callback
                await asyncio.sleep(0.01)


async def away(redis_process: StartRedis, make_store: MakeStore) -> tuple[RedisProcess, Watched]:
    process = redis_process()
    process.stop()
    watched = Watched(make_store(process.url))
    await watched.store.open()
    return process, watched


async def test_with_redis_there_it_is_the_store(redis_process: StartRedis, make_store: MakeStore) -> None:
    watched = Watched(make_store(redis_process().url))
    await watched.store.open()
    assert (watched.store.kind, watched.store.degraded, watched.said) == ("redis", False, [])
    await watched.store.close()


async def test_redis_lost_while_running_is_an_outage_and_no_fallback(
    redis_process: StartRedis, make_store: MakeStore
) -> None:
    process = redis_process()
    watched = Watched(make_store(process.url))
    await watched.store.open()
    process.kill()
    with pytest.raises(StoreUnavailable):
        await watched.store.save(new_grant(time.time()).issuance)
    assert (watched.store.kind, watched.store.degraded) == ("redis", False)
    await watched.store.close()


async def test_without_redis_memory_answers_for_what_it_knows_and_for_nothing_else(
    redis_process: StartRedis, make_store: MakeStore
) -> None:
    _, watched = await away(redis_process, make_store)
    store = watched.store
    assert (store.kind, store.degraded, store.reached) == ("memory", True, True)
    assert watched.said
    assert "cannot be reached" in str(watched.said[0])
    now = time.time()
    grant, revoked = new_grant(now), new_grant(now)
    for one in (grant, revoked):
        await store.save(one.issuance)
    await store.revoke_family(revoked.family, int(now) + 600)
    assert await store.find_access_token(grant.access) == grant.access_record
    assert await store.find_access_token(revoked.access) is None
    assert await store.find_refresh_token(revoked.refresh) is None
    successor = new_grant(now, family=revoked.family)
    assert await store.rotate(revoked.refresh, revoked.used(now), successor.issuance) is Rotation.GONE
    for unknown in (store.find_access_token(new_ref()), store.find_refresh_token(new_ref())):
        with pytest.raises(StoreUnavailable, match="may live in Redis"):
            await unknown
    await store.close()


async def test_without_redis_jwts_are_answered_for_if_they_are_younger(
    redis_process: StartRedis, make_store: MakeStore
) -> None:
    process, watched = await away(redis_process, make_store)
    store, now = watched.store, int(time.time())
    younger, older = IssuedFacts("billing", "user-1", now + 1), IssuedFacts("billing", "user-1", now - 100)
    revoked = new_ref()
    await store.revoke_jwt(revoked, now + 600)
    assert not await store.is_jwt_revoked(new_ref(), None, younger)
    assert await store.is_jwt_revoked(revoked, None, younger)
    assert await store.is_jwt_revoked(revoked, None, older)
    for issued in (older, None):
        with pytest.raises(StoreUnavailable, match="revoked is known to Redis"):
            await store.is_jwt_revoked(new_ref(), None, issued)
    process.restart()
    await watched.until_returned()
    # An empty Redis is as young as this process: what was issued meanwhile stays valid, what is older does not.
    assert not await store.is_jwt_revoked(new_ref(), None, younger)
    assert await store.is_jwt_revoked(revoked, None, younger)
    assert await store.is_jwt_revoked(new_ref(), None, older)
    await store.close()


async def test_everything_goes_to_redis_when_it_is_back(
    redis_process: StartRedis, make_store: MakeStore, open_store: OpenStore
) -> None:
    process, watched = await away(redis_process, make_store)
    store, now = watched.store, time.time()
    alive, revoked, rotated, ended = (new_grant(now) for _ in range(4))
    successor, lone, lone_revoked = new_grant(now, family=rotated.family), new_ref(), new_ref()
    value = new_ref().digest
    for grant in (alive, revoked, rotated, ended):
        await store.save(grant.issuance)
    for ref in (lone, lone_revoked):
        await store.save(Issuance(access=(ref, access_record(now))))
    await store.rotate(rotated.refresh, rotated.used(now), successor.issuance)
    await store.revoke_access_token(revoked.access)
    await store.revoke_access_token(lone_revoked)
    await store.revoke_family(ended.family, int(now) + 600)
    assert await store.remember_once(value, int(now) + 600)
    process.restart()
    await watched.until_returned()
    assert watched.said[1:] == [None]
    assert store.kind == "redis"
    for replica in (store, await open_store(process.url)):
        assert await replica.find_access_token(alive.access) == alive.access_record
        assert await replica.find_refresh_token(alive.refresh) == alive.refresh_record
        assert await replica.find_access_token(lone) is not None
        assert await replica.find_refresh_token(rotated.refresh) == rotated.used(now)
        assert await replica.find_refresh_token(successor.refresh) == successor.refresh_record
        assert await replica.find_access_token(successor.access) == successor.access_record
        for gone in (revoked.access, ended.access, lone_revoked):
            assert await replica.find_access_token(gone) is None
        assert await replica.find_refresh_token(ended.refresh) is None
        assert await replica.is_jwt_revoked(new_ref(ended.family[:4]), ended.family)
        assert not await replica.remember_once(value, int(now) + 600)
        assert await replica.count_live_tokens() == 4
    await store.revoke_family(rotated.family, int(now) + 600)
    assert await store.find_access_token(successor.access) is None
    await store.close()


async def test_revocations_of_tokens_that_only_redis_knows_are_carried_out_first(
    redis_process: StartRedis, make_store: MakeStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = str(tmp_path_factory.mktemp("aof"))
    process = redis_process("--appendonly", "yes", "--dir", folder, "--appendfsync", "always")
    now = time.time()
    mine, other, family = new_grant(now), new_grant(now), new_grant(now)
    first = make_store(process.url)
    await first.open()
    for grant in (mine, other, family):
        await first.save(grant.issuance)
    await first.close()
    process.stop()
    watched = Watched(make_store(process.url))
    store = watched.store
    await store.open()
    for kind, ref, client_id in (
        (TokenKind.ACCESS, mine.access, "billing"),
        (TokenKind.ACCESS, other.access, "somebody-else"),
        (TokenKind.REFRESH, other.refresh, "somebody-else"),
        (TokenKind.REFRESH, family.refresh, "billing"),
    ):
        assert await store.defer_revocation(kind, ref, client_id)
        with pytest.raises(StoreUnavailable):
            await store.find_access_token(ref)
    process.restart()
    await watched.until_returned()
    assert await store.find_access_token(mine.access) is None
    assert await store.find_access_token(family.access) is None
    assert await store.find_refresh_token(family.refresh) is None
    assert await store.find_access_token(other.access) == other.access_record
    assert await store.find_refresh_token(other.refresh) == other.refresh_record
    await store.close()


@pytest.mark.parametrize("order", [("billing", "thief"), ("thief", "billing")])
async def test_whoever_else_revokes_a_token_takes_nothing_from_its_owners_revocation(
    redis_process: StartRedis, make_store: MakeStore, tmp_path_factory: pytest.TempPathFactory, order: tuple[str, str]
) -> None:
    folder = str(tmp_path_factory.mktemp("aof"))
    process = redis_process("--appendonly", "yes", "--dir", folder, "--appendfsync", "always")
    lone, grant, now = new_ref(), new_grant(time.time()), time.time()
    first = make_store(process.url)
    await first.open()
    await first.save(grant.issuance)
    await first.save(Issuance(access=(lone, access_record(now))))
    await first.close()
    process.stop()
    watched = Watched(make_store(process.url))
    store = watched.store
    await store.open()
    for client_id in order:
        assert await store.defer_revocation(TokenKind.ACCESS, lone, client_id)
        assert await store.defer_revocation(TokenKind.REFRESH, grant.refresh, client_id)
    process.restart()
    await watched.until_returned()
    assert await store.find_access_token(lone) is None
    assert await store.find_access_token(grant.access) is None
    assert await store.find_refresh_token(grant.refresh) is None
    await store.close()


async def test_a_one_time_value_that_may_have_been_used_before_waits_for_redis(
    redis_process: StartRedis, make_store: MakeStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = str(tmp_path_factory.mktemp("aof"))
    process = redis_process("--appendonly", "yes", "--dir", folder, "--appendfsync", "always")
    used, unused, until = new_ref().digest, new_ref().digest, int(time.time()) + 200
    first = make_store(process.url)
    await first.open()
    assert await first.remember_once(used, until)
    await first.close()
    process.stop()
    watched = Watched(make_store(process.url))
    store = watched.store
    await store.open()
    for digest in (used, unused):
        with pytest.raises(StoreUnavailable, match="used before"):
            await store.remember_once(digest, until)
    process.restart()
    await watched.until_returned()
    assert [await store.remember_once(digest, until) for digest in (used, unused, unused)] == [False, True, False]
    await store.close()


async def test_a_return_under_load_loses_nothing_and_revives_nothing(
    redis_process: StartRedis, make_store: MakeStore
) -> None:
    process, watched = await away(redis_process, make_store)
    store, now = watched.store, time.time()
    grants = [new_grant(now) for _ in range(3_000)]
    for grant in grants:
        await store.save(grant.issuance)
    revoked: set[int] = set()
    successors: dict[int, tuple[TokenRef, TokenRef]] = {}
    wrong = 0

    async def use(numbers: range) -> None:
        """Each of these tokens is read, and some are revoked or rotated, while the return is under way."""
        nonlocal wrong
        for number in numbers:
            grant = grants[number]
            wrong += await store.find_access_token(grant.access) != grant.access_record
            if number % 3 == 0:
                await store.revoke_family(grant.family, int(now) + 600)
                revoked.add(number)
            elif number % 3 == 1:
                successor = new_grant(now, family=grant.family)
                outcome = await store.rotate(grant.refresh, grant.used(now), successor.issuance)
                assert outcome is Rotation.ROTATED
                successors[number] = (successor.access, successor.refresh)
            else:
                await store.revoke_access_token(grant.access)
            await asyncio.sleep(0.002)

    process.restart()
    while not watched.store._shared.is_connected:  # noqa: ASYNC110 - the return begins soon after
        await asyncio.sleep(0.001)
    await asyncio.gather(*(use(range(start, 3_000, 30)) for start in range(30)))
    await watched.until_returned()
    assert wrong == 0
    for number, grant in enumerate(grants):
        access, refresh = await store.find_access_token(grant.access), await store.find_refresh_token(grant.refresh)
        if number in revoked:
            assert (access, refresh) == (None, None)
        elif number in successors:
            assert access == grant.access_record
            assert refresh is not None
            assert refresh.used_at is not None
            new_access, new_refresh = successors[number]
            assert await store.find_access_token(new_access) is not None
            assert await store.find_refresh_token(new_refresh) is not None
        else:
            assert access is None
            assert refresh == grant.refresh_record
    await store.close()


async def test_redis_lost_during_the_return_delays_it_and_loses_nothing_but_what_it_had(
    redis_process: StartRedis, make_store: MakeStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = str(tmp_path_factory.mktemp("aof"))
    process = redis_process("--appendonly", "yes", "--dir", folder, "--appendfsync", "always")
    process.stop()
    watched = Watched(make_store(process.url))
    store, now = watched.store, time.time()
    await store.open()
    grants = [new_grant(now) for _ in range(5_000)]
    for grant in grants:
        await store.save(grant.issuance)
    process.restart()
    while watched.store._shared is watched.store._current or not _some_moved(watched):  # noqa: ASYNC110
        await asyncio.sleep(0)
    process.kill()
    await asyncio.sleep(0.1)
    assert store.degraded
    known = unknown = 0
    for grant in grants:
        try:
            assert await store.find_refresh_token(grant.refresh) == grant.refresh_record
            known += 1
        except StoreUnavailable:
            unknown += 1
    assert known > 0
    assert unknown > 0
    process.restart()
    await watched.until_returned()
    for grant in grants:
        assert await store.find_refresh_token(grant.refresh) == grant.refresh_record
        assert await store.find_access_token(grant.access) == grant.access_record
    await store.close()


def _some_moved(watched: Watched) -> bool:
    memory = watched.store._memory
    return memory is not None and memory.memory.held()["refresh"] < 4_900


async def test_closing_waits_for_the_return(
    redis_process: StartRedis, make_store: MakeStore, open_store: OpenStore
) -> None:
    process, watched = await away(redis_process, make_store)
    now = time.time()
    grants = [new_grant(now) for _ in range(2_000)]
    for grant in grants:
        await watched.store.save(grant.issuance)
    process.restart()
    while not watched.store._shared.is_connected:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.001)
    await watched.store.close()
    assert watched.said[1:] == [None]
    other = await open_store(process.url)
    for grant in grants:
        assert await other.find_access_token(grant.access) is not None


async def test_closing_waits_for_as_long_as_the_return_gets_on(
    redis_process: StartRedis, make_store: MakeStore, open_store: OpenStore
) -> None:
    process, watched = await away(redis_process, make_store)
    store, now = watched.store, time.time()
    store._return_seconds = 0.05  # far less than all of it takes
    grants = [new_grant(now) for _ in range(10_000)]
    for grant in grants:
        await store.save(grant.issuance)
    process.restart()
    while not store._shared.is_connected:  # noqa: ASYNC110 - the return begins soon after
        await asyncio.sleep(0.001)
    await store.close()
    replica = await open_store(process.url)
    found = await asyncio.gather(*(replica.find_access_token(grant.access) for grant in grants[::10]))
    assert None not in found


async def test_closing_does_not_wait_for_a_redis_that_is_away(redis_process: StartRedis, make_store: MakeStore) -> None:
    _, watched = await away(redis_process, make_store)
    await watched.store.save(new_grant(time.time()).issuance)
    started = time.monotonic()
    await watched.store.close()
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("with_family", [False, True])
async def test_a_record_whose_arrival_was_not_confirmed_is_not_revived_once_another_revoked_it(
    with_family: bool,
    redis_process: StartRedis,
    make_store: MakeStore,
    open_store: OpenStore,
    lay_cable: LayCable,
) -> None:
    process = redis_process()
    process.stop()
    cable = await lay_cable(process.port)
    watched = Watched(make_store(cable.url))
    store = watched.store
    await store.open()
    grant, other = new_grant(time.time()), new_grant(time.time())
    ref, record = grant.access, grant.access_record
    if not with_family:
        ref, record = new_ref(), access_record(time.time())
    await store.save(grant.issuance if with_family else Issuance(access=(ref, record)))
    await store.save(other.issuance)
    cable.unplugged = True
    process.restart()
    replica = await open_store(process.url)
    for grant_before in (new_grant(time.time()), None):  # the scripts are there: what is sent counts at once
        primed = access_record(time.time()) if grant_before is None else grant_before.access_record
        await replica.restore_access_token(new_ref(), primed)
    cable.lose_answer_to = ref.digest
    cable.unplugged = False
    async with asyncio.timeout(20):
        while cable.lose_answer_to or not cable.cuts:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.01)
    assert await replica.find_access_token(ref) == record  # it had arrived
    await replica.revoke_access_token(ref)
    assert store.degraded
    # Another may have revoked it meanwhile: this process may not speak for it any more.
    with pytest.raises(StoreUnavailable):
        await store.find_access_token(ref)
    cable.unplugged = False
    await watched.until_returned()
    for one in (store, replica):
        assert await one.find_access_token(ref) is None
        assert await one.find_access_token(other.access) == other.access_record
    await store.close()
