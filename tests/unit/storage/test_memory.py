"""What only the memory store promises: no waiting, bounds that fail closed, and a sweep that leaves nothing."""

import asyncio
import contextlib
import hashlib
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec
import pytest

import app.storage.memory
from app.model.tokens import TokenRef
from app.storage.expiry import MARK_SPARE_SECONDS
from app.storage.interface import ClientShareUsedUp, Issuance, Rotation, StoreFull
from app.storage.memory import SWEEP_SLICE, MemoryStore, _Records
from tests.conformance.issued import Grant, access_record, new_family, new_grant, new_ref, refresh_record

Answer = TypeVar("Answer")
NOW = 1_800_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def done(step: Coroutine[Any, Any, Answer]) -> Answer:
    """The answer of a coroutine that must not suspend."""
    try:
        step.send(None)
    except StopIteration as answer:
        result: Answer = answer.value
        return result
    step.close()
    raise AssertionError("the memory store suspended")


def issue(store: MemoryStore, count: int, seconds: int = 60, now: float = NOW) -> list[TokenRef]:
    refs = [new_ref() for _ in range(count)]
    for ref in refs:
        done(store.save(Issuance(access=(ref, access_record(now, seconds)))))
    return refs


def test_no_method_suspends() -> None:
    store, grant = MemoryStore(100, Clock()), new_grant(NOW)
    successor = new_grant(NOW, family=grant.family)
    done(store.save(grant.issuance))
    done(store.find_access_token(grant.access))
    done(store.find_refresh_token(grant.refresh))
    done(store.rotate(grant.refresh, grant.used(NOW), successor.issuance))
    done(store.revoke_access_token(grant.access))
    done(store.revoke_jwt(new_ref(), int(NOW) + 1))
    done(store.revoke_family(grant.family, int(NOW) + 1))
    done(store.is_jwt_revoked(new_ref(), grant.family))
    done(store.remember_once(new_ref().digest, int(NOW) + 1))
    assert done(store.count_live_tokens()) == 0
    done(store.close())


def test_a_full_store_refuses_tokens_and_writes_none_of_them() -> None:
    store = MemoryStore(3, Clock())
    issue(store, 2)
    grant = new_grant(NOW)
    with pytest.raises(StoreFull, match="maximum of 3 tokens"):
        done(store.save(grant.issuance))
    assert done(store.find_access_token(grant.access)) is None
    assert done(store.find_refresh_token(grant.refresh)) is None
    issue(store, 1)


def test_a_full_store_refuses_rotations_and_does_not_use_the_token_up() -> None:
    store, grant = MemoryStore(2, Clock()), new_grant(NOW)
    done(store.save(grant.issuance))
    with pytest.raises(StoreFull):
        done(store.rotate(grant.refresh, grant.used(NOW), new_grant(NOW, family=grant.family).issuance))
    assert done(store.find_refresh_token(grant.refresh)) == grant.refresh_record


def issue_to(store: MemoryStore, client_id: str, count: int) -> int:
    """How many tokens a client gets of so many that it asks for."""
    got = 0
    for _ in range(count):
        with contextlib.suppress(ClientShareUsedUp):
            record = msgspec.structs.replace(access_record(NOW), client_id=client_id)
            done(store.save(Issuance(access=(new_ref(), record))))
            got += 1
    return got


def test_a_client_that_takes_all_it_can_get_leaves_room_for_others() -> None:
    store = MemoryStore(100, Clock())
    assert issue_to(store, "greedy", 200) == 90
    assert issue_to(store, "modest", 2) == 2
    assert issue_to(store, "greedy", 1) == 0
    grant = new_grant(NOW)
    done(store.save(grant.issuance))
    assert done(store.find_refresh_token(grant.refresh)) is not None


def test_what_a_client_gave_up_or_lost_is_its_share_again() -> None:
    clock = Clock()
    store = MemoryStore(100, clock)
    for _ in range(3):
        refs = issue(store, 88, now=clock.now)
        grant = new_grant(clock.now, access_seconds=60, refresh_seconds=60)
        done(store.save(grant.issuance))
        with pytest.raises(ClientShareUsedUp):
            issue(store, 1, now=clock.now)
        for ref in refs[:44]:
            done(store.revoke_access_token(ref))
        done(store.revoke_family(grant.family, int(clock.now) + 60))
        assert len(issue(store, 44, now=clock.now)) == 44
        clock.now += 70
        while store.sweep():
            pass


@pytest.mark.parametrize("kind", ["JWTs", "families", "one-time values"])
def test_a_client_that_is_given_all_the_marks_it_can_get_leaves_room_for_others(kind: str) -> None:
    store = MemoryStore(10_000, Clock(), max_marks=100, alone=True)

    def revoke(client_id: str) -> None:
        if kind == "JWTs":
            done(store.revoke_jwt(new_ref(), int(NOW) + 60, client_id))
            return
        if kind == "one-time values":
            assert done(store.remember_once(new_ref().digest, int(NOW) + 60, client_id))
            return
        family = new_family()
        record = msgspec.structs.replace(refresh_record(NOW, family), client_id=client_id)
        done(store.save(Issuance(refresh=(new_ref(), record), jwt_expires_at=int(NOW) + 60)))
        done(store.revoke_family(family, int(NOW) + 60))

    for _ in range(90):
        revoke("greedy")
    with pytest.raises(ClientShareUsedUp):
        revoke("greedy")
    revoke("modest")
    done(store.revoke_jwt(new_ref(), int(NOW) + 60))  # an operator


def test_a_full_store_still_revokes_and_still_knows_one_time_values() -> None:
    store = MemoryStore(2, Clock(), max_marks=10)
    kept, revoked = issue(store, 2)
    jwt, family = new_ref(), new_family()
    done(store.revoke_jwt(jwt, int(NOW) + 60))
    done(store.revoke_family(family, int(NOW) + 60))
    done(store.revoke_access_token(revoked))
    assert done(store.remember_once(jwt.digest, int(NOW) + 60))
    assert done(store.is_jwt_revoked(jwt, None))
    assert done(store.is_jwt_revoked(new_ref(), family))
    assert done(store.find_access_token(kept)) is not None
    issue(store, 1)


def test_without_room_for_a_mark_nothing_is_acknowledged() -> None:
    store = MemoryStore(100, Clock(), max_marks=1)
    until = int(NOW) + 60
    grant = new_grant(NOW)
    done(store.save(grant.issuance))
    done(store.revoke_jwt(new_ref(), until))
    done(store.revoke_family(new_family(), until))
    done(store.remember_once(new_ref().digest, until))
    for refused in (
        store.revoke_jwt(new_ref(), until),
        store.revoke_family(grant.family, until),
        store.remember_once(new_ref().digest, until),
    ):
        with pytest.raises(StoreFull):
            done(refused)
    assert done(store.find_refresh_token(grant.refresh)) is not None


MONTH = int(NOW) + 30 * 86_400


@pytest.mark.parametrize(
    ("issuance", "ends_in"),
    [
        ("opaque", 60),
        ("a JWT", 90),
        ("a JWT of unknown end", 30 * 86_400),
        ("what is not held", 30 * 86_400),
    ],
)
def test_the_mark_of_a_family_lasts_as_long_as_its_access_tokens_could_live(issuance: str, ends_in: int) -> None:
    clock = Clock()
    store, grant = MemoryStore(100, clock, alone=True), new_grant(NOW, access_seconds=60)
    refresh = grant.issuance.refresh
    issued = {
        "opaque": grant.issuance,
        "a JWT": Issuance(refresh=refresh, jwt_expires_at=int(NOW) + 90),
        "a JWT of unknown end": Issuance(refresh=refresh),
    }
    if issuance in issued:
        done(store.save(issued[issuance]))
    for _ in range(2):  # once more changes nothing
        done(store.revoke_family(grant.family, MONTH))
        assert store.revoked_families() == [(grant.family, int(NOW) + ends_in)]
    clock.now = NOW + ends_in - 0.5
    assert done(store.is_jwt_revoked(new_ref(), grant.family))


@pytest.mark.parametrize("revoked_after", [10, 100], ids=["while it lives", "after its end"])
def test_what_was_revoked_or_used_stays_so_when_the_clock_steps_back(revoked_after: float) -> None:
    """As far as marks outlive what they mark; tokens and values live for 60 seconds."""
    clock, jwt, value = Clock(), new_ref(), new_ref().digest
    store, grant = MemoryStore(100, clock, alone=True), new_grant(NOW)
    done(store.save(Issuance(refresh=grant.issuance.refresh, jwt_expires_at=int(NOW) + 60)))
    clock.now = NOW + revoked_after
    done(store.revoke_jwt(jwt, int(NOW) + 60))
    done(store.revoke_family(grant.family, MONTH))
    assert done(store.remember_once(value, int(NOW) + 60))
    clock.now = NOW + 60 + MARK_SPARE_SECONDS - 1
    assert not store.sweep()
    clock.now = NOW + 59
    assert done(store.is_jwt_revoked(jwt, None))
    assert done(store.is_jwt_revoked(new_ref(), grant.family))
    assert not done(store.remember_once(value, int(NOW) + 60))


def test_in_place_of_a_shared_store_a_family_is_marked_for_all_of_its_life() -> None:
    store, grant = MemoryStore(100, Clock()), new_grant(NOW, access_seconds=60)
    done(store.save(grant.issuance))
    done(store.revoke_family(grant.family, MONTH))
    assert store.revoked_families() == [(grant.family, MONTH)]


def test_families_are_revoked_without_end_where_their_access_tokens_end() -> None:
    clock = Clock()
    rounds_of_a_mark = 2 + MARK_SPARE_SECONDS // 64
    store = MemoryStore(100, clock, max_marks=2 * rounds_of_a_mark, alone=True)
    for _ in range(10):
        grants = [new_grant(clock.now, access_seconds=60) for _ in range(2)]
        for grant in grants:
            done(store.save(grant.issuance))
            done(store.revoke_family(grant.family, MONTH))
        clock.now += 64
    clock.now += MARK_SPARE_SECONDS
    while store.sweep():
        pass
    assert store.held() == {"access": 0, "refresh": 0, "families": 0, "marks": 0}


def test_a_family_whose_access_tokens_have_ended_needs_no_room_for_a_mark() -> None:
    clock = Clock()
    store, grant = MemoryStore(100, clock, max_marks=0, alone=True), new_grant(NOW, access_seconds=60)
    done(store.save(grant.issuance))
    with pytest.raises(StoreFull):
        done(store.revoke_family(grant.family, MONTH))
    clock.now += 60 + MARK_SPARE_SECONDS
    done(store.revoke_family(grant.family, MONTH))
    assert done(store.find_refresh_token(grant.refresh)) is None


def rotated(store: MemoryStore, rotations: int) -> list[Grant]:
    """All grants of one family, of which the last can be rotated."""
    grants = [new_grant(NOW, access_seconds=60)]
    done(store.save(grants[0].issuance))
    for _ in range(rotations):
        grants.append(new_grant(NOW, grants[0].family, access_seconds=60))
        assert done(store.rotate(grants[-2].refresh, grants[-2].used(NOW), grants[-1].issuance)) is Rotation.ROTATED
    return grants


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("when", ["while its tokens live", "after its access tokens ended"])
def test_one_call_touches_a_slice_of_a_family_however_large_it_is(
    alone: bool, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    store = MemoryStore(10_000, clock, alone=alone)
    members = 2 * len(rotated(store, 1_499))
    (family,) = {record.family for slice_ in store.refresh_records() for _, record in slice_}
    touched = 0

    def counted(decode: Any) -> Any:
        def decoded(data: bytes) -> Any:
            nonlocal touched
            touched += 1
            return decode(data)

        return decoded

    for name in ("decode_access_record", "decode_refresh_record"):
        monkeypatch.setattr(f"app.storage.memory.{name}", counted(getattr(app.storage.memory, name)))
    if when == "after its access tokens ended":
        clock.now += 60 + MARK_SPARE_SECONDS
    done(store.revoke_family(family, MONTH))
    assert touched == SWEEP_SLICE
    while store.held()["families"]:
        touched = 0
        store.sweep()
        assert 0 < touched <= 2 * SWEEP_SLICE  # of the family, and of what has ended
        members -= SWEEP_SLICE
    assert members <= SWEEP_SLICE
    assert store.held()["access"] == store.held()["refresh"] == done(store.count_live_tokens()) == 0


@pytest.mark.parametrize("when", ["while its tokens live", "after its access tokens ended"])
def test_all_of_a_large_family_is_dead_at_once(when: str) -> None:
    clock = Clock()
    store = MemoryStore(10_000, clock, alone=True)
    grants = rotated(store, 500)
    bystander = rotated(store, 1)[-1]
    if when == "after its access tokens ended":
        clock.now += 60 + MARK_SPARE_SECONDS
    done(store.revoke_family(grants[0].family, MONTH))
    assert store.held()["refresh"] > SWEEP_SLICE
    marks = store.held()["marks"]
    done(store.revoke_family(grants[0].family, MONTH))  # once more marks nothing more
    assert store.held()["marks"] == marks
    late = new_grant(clock.now, grants[0].family)
    assert done(store.rotate(grants[-1].refresh, grants[-1].used(NOW), late.issuance)) is Rotation.GONE
    done(store.save(late.issuance))
    for grant in (*grants, late):
        assert done(store.find_access_token(grant.access)) is store.recall_access_token(grant.access) is None
        assert done(store.find_refresh_token(grant.refresh)) is None
    assert done(store.find_refresh_token(bystander.refresh)) == bystander.refresh_record
    assert {record.family for slice_ in store.refresh_records() for _, record in slice_} == {bystander.family}
    assert grants[0].family not in {record.family for slice_ in store.access_records() for _, record in slice_}


def test_room_comes_back_when_tokens_end() -> None:
    clock = Clock()
    store = MemoryStore(9, clock)
    issue(store, 9, seconds=60)
    clock.now = NOW + 70
    issue(store, 9, seconds=120)
    with pytest.raises(StoreFull):
        issue(store, 1, seconds=120)


def test_the_sweep_leaves_nothing_of_what_has_ended() -> None:
    clock = Clock()
    store = MemoryStore(10_000, clock)
    issue(store, 1_000, seconds=60)
    for _ in range(100):
        grant = new_grant(NOW, access_seconds=60, refresh_seconds=100)
        done(store.save(grant.issuance))
        done(store.rotate(grant.refresh, grant.used(NOW), new_grant(NOW, grant.family, 60, 100).issuance))
        done(store.revoke_jwt(new_ref(), int(NOW) + 60))
        done(store.revoke_family(new_family(), int(NOW) + 60))
        done(store.remember_once(new_ref().digest, int(NOW) + 60))
    assert store.held() == {"access": 1_200, "refresh": 200, "families": 100, "marks": 300}
    clock.now = NOW + 110 + MARK_SPARE_SECONDS
    sweeps = 1
    while store.sweep(limit=100):
        sweeps += 1
    assert sweeps >= 12
    assert store.held() == {"access": 0, "refresh": 0, "families": 0, "marks": 0}
    assert done(store.count_live_tokens()) == 0


def test_an_open_store_sweeps_by_itself() -> None:
    async def ends_empty() -> None:
        clock = Clock()
        store = MemoryStore(10_000, clock, sweep_idle_seconds=0.001)
        issue(store, 1_000)
        await store.open()
        await store.open()
        clock.now = NOW + 70
        async with asyncio.timeout(5):
            while store.held()["access"]:  # noqa: ASYNC110 - the store has no event for this
                await asyncio.sleep(0.001)
        await store.close()
        await store.close()

    asyncio.run(ends_empty())


def test_refresh_tokens_are_not_counted_as_live_access_tokens() -> None:
    store, family = MemoryStore(10, Clock()), new_family()
    done(store.save(Issuance(refresh=(new_ref(), refresh_record(NOW, family)))))
    assert done(store.count_live_tokens()) == 0


def test_digests_spread_over_the_shards() -> None:
    store = MemoryStore(10_000, Clock())
    for number in range(2_000):
        ref = TokenRef(tag="0000", digest=hashlib.sha256(str(number).encode()).digest())
        done(store.save(Issuance(access=(ref, access_record(NOW)))))
    assert max(map(len, store._access.shards)) < 40


def test_a_shard_that_became_empty_keeps_no_table() -> None:
    records = _Records()
    for number in range(1_000):
        records.put(b"a%d" % number, b"record", 100)
    for number in range(1_000):
        records.pop(b"a%d" % number)
    assert sys.getsizeof(records.shards[ord("a")]) == sys.getsizeof({})
