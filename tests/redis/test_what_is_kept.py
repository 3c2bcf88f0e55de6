"""Everything in Redis has an end, bears the prefix, and says nothing of a token."""

import hashlib
import secrets
import time

import msgspec
import pytest
import redis

from app.model.tokens import TokenRef
from app.storage.epochs import MAX_EPOCHS, Epoch, RevocationScope
from app.storage.expiry import MARK_SPARE_SECONDS
from app.storage.interface import CorruptRecord, Issuance, IssuedFacts, StoreFull, UnsupportedRecordVersion
from tests.conformance.issued import access_record, new_family, new_grant, new_ref, refresh_record
from tests.redis.conftest import OpenStore

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000


@pytest.fixture
def inspector(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


def keys_of(inspector: redis.Redis, prefix: str) -> list[bytes]:
    return list(inspector.scan_iter(match=prefix + "*", count=1000))


async def test_every_key_has_a_life_no_longer_than_it_needs(
    open_store: OpenStore, redis_url: str, redis_key_prefix: str, inspector: redis.Redis
) -> None:
    store = await open_store(redis_url, prefix=redis_key_prefix, now=lambda: NOW)
    grant = new_grant(NOW)
    for _ in range(20):
        grant = new_grant(NOW, access_seconds=60, refresh_seconds=600)
        await store.save(grant.issuance)
        await store.rotate(grant.refresh, grant.used(NOW), new_grant(NOW, grant.family, 60, 600).issuance)
    await store.save(Issuance(access=(new_ref(), access_record(NOW, 60))))
    await store.revoke_family(grant.family, NOW + 600)
    await store.revoke_jwt(new_ref(), NOW + 600)
    await store.revoke_before(Epoch(RevocationScope.CLIENT, "another", NOW, NOW + 600))
    await store.remember_once(new_ref().digest, NOW + 600)
    await store.count_live_tokens()
    lives = {key: inspector.ttl(key) for key in keys_of(inspector, redis_key_prefix)}
    kinds = {key.partition(b"}")[2][:1] for key in lives}
    assert kinds == {b"a", b"r", b"m", b"x", b"j", b"o", b"l", b"b", b"e"}
    assert all(life > 0 for life in lives.values())
    for key, life in lives.items():
        kind = key.partition(b"}")[2][:1]
        longest = {b"a": 60, b"r": 600, b"m": 600, b"l": 60 + 3600, b"b": 90 * 86_400}.get(
            kind, 600 + MARK_SPARE_SECONDS
        )
        assert longest - 5 <= life <= longest


async def test_names_begin_with_the_prefix_and_a_slot_tag(
    open_store: OpenStore, redis_url: str, redis_key_prefix: str, inspector: redis.Redis
) -> None:
    before = set(inspector.scan_iter(count=1000))
    store = await open_store(redis_url, prefix=redis_key_prefix)
    grant = new_grant(NOW)
    await store.save(grant.issuance)
    await store.revoke_family(new_family(), NOW + 60)
    for key in set(inspector.scan_iter(count=1000)) - before:
        assert key.startswith(redis_key_prefix.encode() + b"{")


async def test_channels_begin_with_the_prefix_and_nothing_of_another_installation_is_heard(
    open_store: OpenStore, redis_url: str, redis_key_prefix: str, inspector: redis.Redis
) -> None:
    one = await open_store(redis_url, prefix=redis_key_prefix + "a", monotonic=time.monotonic)
    other = await open_store(redis_url, prefix=redis_key_prefix + "b", monotonic=time.monotonic)
    told: list[tuple[Epoch, ...]] = []
    other.watch_epochs(told.append)
    with inspector.pubsub(ignore_subscribe_messages=True) as everything:  # type: ignore[no-untyped-call]
        everything.psubscribe(f"{redis_key_prefix}*")
        assert everything.get_message(timeout=1) is None  # the confirmation
        await one.revoke_access_token(new_ref())
        await one.revoke_family(new_family(), NOW + 60)
        await one.revoke_jwt(new_ref(), NOW + 60)
        await one.revoke_before(Epoch(RevocationScope.EVERYTHING, "", NOW, NOW + 60))
        heard = []
        for _ in range(200):
            message = everything.get_message(timeout=0.05)
            if message is not None and b"}beat:" not in message["channel"]:
                heard.append(message["channel"])
            if len(heard) == 4:
                break
    opening = f"{redis_key_prefix}a{{meta}}".encode()
    assert [channel.removeprefix(opening) for channel in heard] == [b"ended", b"ended", b"ended", b"epochs:changed"]
    assert not await other.is_jwt_revoked(new_ref(), None, IssuedFacts("billing", "user-1", NOW - 1))
    assert told == [()]


async def test_redis_holds_no_token_text(
    open_store: OpenStore, redis_url: str, redis_key_prefix: str, inspector: redis.Redis
) -> None:
    store = await open_store(redis_url, prefix=redis_key_prefix)
    family = new_family()
    texts = [secrets.token_urlsafe(32) for _ in range(2)]
    access, refresh = (TokenRef(family[:4], hashlib.sha256(text.encode()).digest()) for text in texts)
    await store.save(
        Issuance(access=(access, access_record(NOW, family=family)), refresh=(refresh, refresh_record(NOW, family)))
    )
    kept = b""
    for key in keys_of(inspector, redis_key_prefix):
        kept += key + (inspector.dump(key) or b"")
    for text in texts:
        assert text.encode() not in kept
        assert text[:16].encode() not in kept


async def test_a_shorter_mark_does_not_shorten_a_longer_one(
    open_store: OpenStore, redis_url: str, redis_key_prefix: str, inspector: redis.Redis
) -> None:
    store = await open_store(redis_url, prefix=redis_key_prefix, now=lambda: NOW)
    jwt, family = new_ref(), new_family()
    for until in (NOW + 6000, NOW + 60):
        await store.revoke_jwt(jwt, until)
        await store.revoke_family(family, until)
    marks = [key for key in keys_of(inspector, redis_key_prefix) if key.partition(b"}")[2][:1] in {b"j", b"x"}]
    assert len(marks) == 2
    assert all(inspector.ttl(mark) > 6000 for mark in marks)


async def test_members_that_ended_are_forgotten(
    open_store: OpenStore, redis_url: str, redis_key_prefix: str, inspector: redis.Redis
) -> None:
    clock = [float(NOW)]
    store = await open_store(redis_url, prefix=redis_key_prefix, now=lambda: clock[0])
    family = new_family()
    for _ in range(20):
        await store.save(Issuance(access=(new_ref(family[:4]), access_record(clock[0], 60, family))))
        clock[0] += 60
    (members,) = (key for key in keys_of(inspector, redis_key_prefix) if key.partition(b"}")[2][:1] == b"m")
    assert inspector.zcard(members) <= 4


async def test_epochs_are_bounded_and_ended_ones_make_room(
    open_store: OpenStore, redis_url: str, redis_key_prefix: str, inspector: redis.Redis
) -> None:
    clock = [float(NOW)]
    store = await open_store(redis_url, prefix=redis_key_prefix, now=lambda: clock[0])
    for number in range(MAX_EPOCHS):
        await store.revoke_before(Epoch(RevocationScope.CLIENT, str(number), NOW, NOW + 60 + number))
    one_more = Epoch(RevocationScope.CLIENT, "one more", NOW, NOW + 60)
    with pytest.raises(StoreFull):
        await store.revoke_before(one_more)
    clock[0] += 100
    await store.revoke_before(one_more)
    (held,) = (key for key in keys_of(inspector, redis_key_prefix) if key.endswith(b"epochs"))
    assert inspector.hlen(held) == MAX_EPOCHS - 41 + 1


async def test_a_record_that_cannot_be_read_is_neither_active_nor_inactive(
    open_store: OpenStore, redis_url: str, redis_key_prefix: str, inspector: redis.Redis
) -> None:
    store = await open_store(redis_url, prefix=redis_key_prefix)
    garbage, future = new_ref("0000"), new_ref("0000")
    opening = redis_key_prefix.encode() + b"{0000}a"
    inspector.set(opening + garbage.digest, b"garbage", ex=60)
    inspector.set(opening + future.digest, msgspec.msgpack.encode([99, "anything"]), ex=60)
    with pytest.raises(CorruptRecord):
        await store.find_access_token(garbage)
    with pytest.raises(UnsupportedRecordVersion):
        await store.find_access_token(future)
