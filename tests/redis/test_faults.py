"""What a broken Redis does to the store: 503 soon, the truth otherwise, and all well again by itself."""

import asyncio
import socket
import time
from contextlib import suppress

import msgspec
import pytest

from app.storage.epochs import Epoch, RevocationScope
from app.storage.interface import Issuance, IssuedFacts, Rotation, StoreError, StoreFull, StoreUnavailable
from app.storage.redis.node import Limits
from app.storage.redis.store import RedisStore
from app.storage.redis_options import Credentials
from tests.conformance.issued import Grant, access_record, new_family, new_grant, new_ref
from tests.conftest import StartRedis
from tests.redis.conftest import DEADLINE_SECONDS, LayCable, MakeStore, OpenStore

pytestmark = pytest.mark.anyio


async def until_connected(store: RedisStore) -> None:
    """Until it answers: a connection to a process that was killed a moment ago still looks like one."""
    async with asyncio.timeout(10):
        while True:
            with suppress(StoreUnavailable):
                await store.find_access_token(new_ref())
                return
            await asyncio.sleep(0.01)


async def issue(store: RedisStore, client_id: str = "billing") -> Issuance:
    record = msgspec.structs.replace(access_record(time.time()), client_id=client_id)
    issuance = Issuance(access=(new_ref(), record))
    await store.save(issuance)
    return issuance


async def test_a_killed_redis_is_an_outage_at_once_and_over_when_it_is_back(
    redis_process: StartRedis, open_store: OpenStore
) -> None:
    process = redis_process()
    store = await open_store(process.url)
    grant = new_grant(time.time())
    await store.save(grant.issuance)
    process.kill()
    with pytest.raises(StoreUnavailable):
        await store.find_access_token(grant.access)
    started = time.monotonic()
    for _ in range(100):
        with pytest.raises(StoreUnavailable):
            await store.save(new_grant(time.time()).issuance)
    assert time.monotonic() - started < 0.1
    assert not store.is_connected
    assert store.reached
    process.restart()
    await until_connected(store)
    # The new process has neither the token nor the scripts.
    assert await store.find_refresh_token(grant.refresh) is None
    first = new_grant(time.time())
    await store.save(first.issuance)
    successor = new_grant(time.time(), family=first.family)
    assert await store.rotate(first.refresh, first.used(time.time()), successor.issuance) is Rotation.ROTATED


async def test_a_redis_that_lost_its_data_revives_no_jwt(redis_process: StartRedis, open_store: OpenStore) -> None:
    process = redis_process()
    store = await open_store(process.url)
    jwt, family = new_ref(), new_family()
    before = IssuedFacts("billing", "user-1", int(time.time()) + 5)
    assert not await store.is_jwt_revoked(jwt, family, before)
    await store.revoke_jwt(jwt, int(time.time()) + 600)
    assert await store.is_jwt_revoked(jwt, None, before)
    old = IssuedFacts("billing", "user-1", int(time.time()) - 100)
    assert await store.is_jwt_revoked(new_ref(), None, old)
    await asyncio.sleep(1.1)
    meanwhile = IssuedFacts("billing", "user-1", int(time.time()) - 1)
    assert not await store.is_jwt_revoked(new_ref(), None, meanwhile)
    process.kill()
    process.restart()
    await until_connected(store)
    assert await store.is_jwt_revoked(new_ref(), None, meanwhile)
    assert not await store.is_jwt_revoked(new_ref(), None, IssuedFacts("billing", "user-1", int(time.time()) + 1))


async def test_a_hanging_redis_is_an_outage_within_the_deadline_and_over_when_it_answers(
    redis_process: StartRedis, open_store: OpenStore
) -> None:
    process = redis_process()
    store = await open_store(process.url)
    issuance = await issue(store)
    assert issuance.access is not None
    process.pause()
    started = time.monotonic()
    outcomes = await asyncio.gather(
        *(store.find_access_token(issuance.access[0]) for _ in range(200)), return_exceptions=True
    )
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert time.monotonic() - started < DEADLINE_SECONDS * 2
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await store.find_access_token(issuance.access[0])
    assert time.monotonic() - started < 0.05
    process.resume()
    await until_connected(store)
    assert await store.find_access_token(issuance.access[0]) == issuance.access[1]


async def test_a_slow_redis_is_answered_late_and_not_wrong(
    redis_process: StartRedis, open_store: OpenStore, lay_cable: LayCable
) -> None:
    cable = await lay_cable(redis_process().port)
    store = await open_store(cable.url)
    issuances = [await issue(store, f"client-{number}") for number in range(20)]
    cable.delay_seconds = 0.15
    started = time.monotonic()
    found = await asyncio.gather(*(store.find_access_token(issuance.access[0]) for issuance in issuances))  # type: ignore[index]
    assert found == [issuance.access[1] for issuance in issuances if issuance.access]
    # All wait for it together: one after the other they would take 3 s.
    assert 0.14 < time.monotonic() - started < 0.6


async def test_replies_that_come_after_the_deadline_answer_nobody_else(
    redis_process: StartRedis, open_store: OpenStore, lay_cable: LayCable
) -> None:
    cable = await lay_cable(redis_process().port)
    store = await open_store(cable.url, limits=Limits(connections=1))
    issuances = [await issue(store, f"client-{number}") for number in range(50)]
    cable.delay_seconds = DEADLINE_SECONDS * 0.7
    wrong = late = right = 0

    async def ask(issuance: Issuance, after: float) -> None:
        nonlocal wrong, late, right
        await asyncio.sleep(after)
        assert issuance.access is not None
        try:
            record = await store.find_access_token(issuance.access[0])
        except StoreUnavailable:
            late += 1
        else:
            wrong += record != issuance.access[1]
            right += record == issuance.access[1]

    await asyncio.gather(*(ask(issuance, number * 0.02) for number, issuance in enumerate(issuances)))
    assert wrong == 0
    assert late > 0
    assert right > 0


async def test_a_connection_cut_in_mid_pipeline_answers_nobody_with_anothers_reply(
    redis_process: StartRedis, open_store: OpenStore, lay_cable: LayCable
) -> None:
    cable = await lay_cable(redis_process().port)
    store = await open_store(cable.url)
    issuances = [await issue(store, f"client-{number}") for number in range(1_000)]
    unknown = new_grant(time.time())
    asked = wrong = refused = 0

    async def ask(number: int, issuance: Issuance) -> None:
        nonlocal asked, wrong, refused
        assert issuance.access is not None
        ref, record = issuance.access
        for _ in range(number % 4):  # several batches are under way at a time
            await asyncio.sleep(0)
        asked += 1
        try:
            if number % 5 == 1:
                wrong += not await store.remember_once(new_ref().digest, int(time.time()) + 60)
            elif number % 7 == 1:
                await store.save(issuance)
            elif number % 11 == 1:
                wrong += await store.rotate(ref, unknown.used(0), Issuance()) is not Rotation.GONE
            else:
                wrong += await store.find_access_token(ref) != record
        except StoreUnavailable:
            refused += 1

    for length in (1, 7, 100, 1_001, 5_000, 20_001, 33_333, 50_000):
        await until_connected(store)
        cable.cut_after_bytes = length
        for _ in range(3):
            await asyncio.gather(*(ask(number, issuance) for number, issuance in enumerate(issuances)))
    assert cable.cuts == 8
    assert wrong == 0
    assert 0 < refused < asked


async def test_a_full_queue_is_an_outage_at_once(redis_process: StartRedis, open_store: OpenStore) -> None:
    process = redis_process()
    store = await open_store(process.url, limits=Limits(max_queue=50))
    process.pause()
    outcomes = await asyncio.gather(*(store.find_access_token(new_ref()) for _ in range(60)), return_exceptions=True)
    full = [outcome for outcome in outcomes if "more than 50 operations" in str(outcome)]
    # Each asks for the version of the epochs as well, for want of a lease.
    assert len(full) == 60 - 50 // 2
    process.resume()
    await until_connected(store)
    assert await store.find_access_token(new_ref()) is None


@pytest.mark.parametrize("batching", [True, False])
async def test_a_full_redis_issues_nothing_and_still_revokes(
    batching: bool, redis_process: StartRedis, open_store: OpenStore
) -> None:
    process = redis_process("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
    store = await open_store(process.url, limits=Limits(batching=batching))
    kept: list[Grant] = []

    async def issue_many() -> None:
        for _ in range(20_000):
            grant = new_grant(time.time())
            await store.save(grant.issuance)
            kept.append(grant)

    with pytest.raises(StoreFull):
        await issue_many()
    grant, successor = kept[0], new_grant(time.time(), family=kept[0].family)
    with pytest.raises(StoreFull):
        await store.rotate(grant.refresh, grant.used(time.time()), successor.issuance)
    assert await store.find_refresh_token(grant.refresh) == grant.refresh_record
    assert await store.find_access_token(successor.access) is None
    jwt = new_ref()
    await store.revoke_jwt(jwt, int(time.time()) + 60)
    await store.revoke_family(grant.family, int(time.time()) + 60)
    await store.revoke_access_token(kept[1].access)
    await store.revoke_before(Epoch(RevocationScope.SUBJECT, "somebody", int(time.time()), int(time.time()) + 60))
    assert await store.is_jwt_revoked(jwt, None)
    assert await store.is_jwt_revoked(new_ref(), grant.family)
    assert await store.find_refresh_token(grant.refresh) is None
    assert await store.find_access_token(kept[1].access) is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--requirepass", "right"), "credentials"),
        (("--replicaof", "127.0.0.1", "1"), "replica|master"),
    ],
)
async def test_a_redis_that_must_not_be_used_is_refused_with_the_reason(
    arguments: tuple[str, ...], reason: str, redis_process: StartRedis, make_store: MakeStore
) -> None:
    store = make_store(redis_process(*arguments).url)
    with pytest.raises(StoreError, match=reason):
        await store.open()
    with pytest.raises(StoreUnavailable, match=reason):
        await store.find_access_token(new_ref())
    assert not store.reached
    await store.close()


async def test_changed_credentials_are_taken_up_without_a_restart(
    redis_process: StartRedis, open_store: OpenStore
) -> None:
    process = redis_process("--requirepass", "first")
    current = ["first"]
    store = await open_store(process.url, credentials=lambda: Credentials(None, current[0]))
    process.kill()
    process._arguments = ("--requirepass", "second")
    process.restart()
    with pytest.raises(StoreUnavailable):
        await store.find_access_token(new_ref())
    current[0] = "second"
    await until_connected(store)
    assert await store.find_access_token(new_ref()) is None


async def test_a_store_that_could_not_be_reached_at_first_goes_on_trying(
    redis_process: StartRedis, make_store: MakeStore
) -> None:
    process = redis_process()
    process.stop()
    store = make_store(process.url)
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await store.open()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await store.open()
    process.restart()
    await until_connected(store)
    assert store.reached
    await store.save(new_grant(time.time()).issuance)
    await store.close()


async def test_closing_answers_what_was_asked(redis_process: StartRedis, make_store: MakeStore) -> None:
    store = make_store(redis_process().url)
    await store.open()
    grants = [new_grant(time.time()) for _ in range(100)]
    saving = [asyncio.ensure_future(store.save(grant.issuance)) for grant in grants]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*saving) == [None] * 100
    with pytest.raises(StoreUnavailable):
        await store.find_access_token(new_ref())


async def test_a_pause_of_this_process_is_not_taken_for_redis_silence(
    redis_process: StartRedis, open_store: OpenStore
) -> None:
    """A busy node may not run the process for a second: the deadline is over before it has read what Redis said."""
    store = await open_store(redis_process().url)
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()

    def pause() -> None:
        near.recv(1)
        time.sleep(1.5 * DEADLINE_SECONDS)

    with near, far:
        for _ in range(2):
            questions = [asyncio.ensure_future(store.find_access_token(new_ref())) for _ in range(20)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            # They left in this tick; the pause comes while it reads what is readable, before the answers are.
            loop.add_reader(near, pause)
            far.send(b"x")
            assert await asyncio.gather(*questions) == [None] * 20
            loop.remove_reader(near)
    assert store.is_connected
