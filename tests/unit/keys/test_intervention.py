"""What operators decide against the schedule leaves a ring that signs, in one write."""

import contextlib
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.keys.document import KeyEntry, RingDocument
from app.keys.errors import KeyUsageError
from app.keys.intervention import plan_promotion, plan_retirement, plan_revocation
from app.keys.ring import KeyState, state_of
from app.keys.rotation import NewKey, Plan, plan, scheduled, signing_entry, standing_successors
from tests.unit.keys.conftest import NOW
from tests.unit.keys.test_rotation import DAY, LEAD, POLICY, SIGNING, STANDING, STEADY, Made, do, key

HEIR = key("heir", signs_from=NOW + 100)
GIVING_WAY = msgspec.structs.replace(SIGNING, retires_at=NOW + 100, removed_at=NOW + 2 * DAY)
SCHEDULED = RingDocument(keys=(GIVING_WAY, HEIR, STANDING))
"""A ring in which a switch is scheduled."""


def revoke(document: RingDocument, *kids: str, now: float = NOW + 50) -> tuple[Plan, RingDocument]:
    done = plan_revocation(document, frozenset(kids), "leaked", now, POLICY)
    return done, do(document, done, now, Made())


def who_signs(document: RingDocument, now: float) -> str | None:
    signing = signing_entry(document, "ES256", now)
    return None if signing is None else signing.kid


class TestRevocation:
    @pytest.mark.parametrize("clock_is_off", [-30, 0, 30])
    def test_the_standing_successor_signs_at_once_on_every_clock(self, clock_is_off: float) -> None:
        done, after = revoke(STEADY, "signing")
        assert who_signs(after, NOW + 50 + clock_is_off) == "standing"
        assert done.create == (NewKey("ES256"),)

    def test_the_key_is_gone_with_its_private_part_and_the_reason_stays(self) -> None:
        gone = revoke(STEADY, "signing")[1].find("signing")
        assert gone is not None
        assert state_of(gone, NOW) is KeyState.REVOKED
        assert (gone.revoked_at, gone.revoked_reason, gone.private) == (NOW + 50, "leaked", None)

    def test_a_scheduled_heir_signs_at_once_and_the_standing_successor_stays(self) -> None:
        done, after = revoke(SCHEDULED, "signing")
        assert who_signs(after, NOW + 50) == "heir"
        assert done.create == ()
        assert [k.kid for k in standing_successors(after, "ES256")] == ["standing"]

    def test_without_its_heir_the_signing_key_goes_on_until_another_is_scheduled(self) -> None:
        _, after = revoke(SCHEDULED, "heir")
        assert [who_signs(after, NOW + later) for later in (50, 100, DAY)] == ["signing"] * 3
        due = plan(after, NOW + DAY, POLICY)
        assert [k.signs_from for k in due.changed if k.kid == "standing"] == [NOW + DAY + LEAD]

    def test_a_standing_successor_is_replaced(self) -> None:
        done, after = revoke(STEADY, "standing")
        assert who_signs(after, NOW + 50) == "signing"
        assert done.create == (NewKey("ES256"),)

    def test_a_retired_key_just_goes(self) -> None:
        retired = key("retired", signs_from=NOW - DAY, retires_at=NOW, removed_at=NOW + DAY)
        done, after = revoke(RingDocument(keys=(retired, *STEADY.keys)), "retired")
        assert done.create == ()
        assert who_signs(after, NOW + 50) == "signing"

    @pytest.mark.parametrize("document", [STEADY, SCHEDULED])
    def test_a_leaked_ring_is_replaced_as_a_whole(self, document: RingDocument) -> None:
        done, after = revoke(document, *(k.kid for k in document.keys))
        assert done.create == (NewKey("ES256", NOW + 20), NewKey("ES256"))
        assert {k.kid for k in after.keys if k.revoked_at is None} == {"ES256-1", "ES256-2"}
        assert who_signs(after, NOW + 20) == "ES256-1"

    def test_without_a_successor_a_new_key_signs_at_once(self) -> None:
        done, _ = revoke(RingDocument(keys=(SIGNING,)), "signing")
        assert done.create == (NewKey("ES256", NOW + 20), NewKey("ES256"))

    def test_doing_it_again_does_nothing(self) -> None:
        _, after = revoke(STEADY, "signing")
        done, _ = revoke(after, "signing")
        assert not done.is_due

    def test_an_unknown_kid_is_a_mistake(self) -> None:
        with pytest.raises(KeyUsageError, match="no key 'nobody'"):
            revoke(STEADY, "nobody")

    def test_other_algorithms_stay_untouched(self) -> None:
        other = KeyEntry(kid="rsa", algorithm="RS256", created_at=NOW, signs_from=NOW, public={})
        done, _ = revoke(RingDocument(keys=(*STEADY.keys, other)), "signing")
        assert {k.algorithm for k in done.changed} == {"ES256"}


class TestPromotion:
    def test_at_once_holds_on_every_clock_and_leaves_a_successor(self) -> None:
        done = plan_promotion(STEADY, "standing", NOW + 50, POLICY, at_once=True)
        after = do(STEADY, done, NOW + 50, Made())
        assert [who_signs(after, NOW + 50 + off) for off in (-30, 0, 30)] == ["standing"] * 3
        assert done.create == (NewKey("ES256"),)

    def test_otherwise_it_waits_for_replicas_and_verifiers(self) -> None:
        young = RingDocument(keys=(SIGNING, key("young", NOW)))
        for document, kid, begins in ((STEADY, "standing", NOW + 180), (young, "young", NOW + LEAD)):
            after = do(document, plan_promotion(document, kid, NOW, POLICY, at_once=False), NOW, Made())
            assert who_signs(after, begins - 0.01) == "signing"
            assert who_signs(after, begins) == kid

    def test_a_scheduled_heir_makes_room_and_stands_by(self) -> None:
        done = plan_promotion(SCHEDULED, "standing", NOW + 50, POLICY, at_once=True)
        after = do(SCHEDULED, done, NOW + 50, Made())
        assert who_signs(after, NOW + DAY) == "standing"
        assert [k.kid for k in standing_successors(after, "ES256")] == ["heir"]

    def test_who_signs_already_stays(self) -> None:
        assert not plan_promotion(STEADY, "signing", NOW, POLICY, at_once=True).is_due

    @pytest.mark.parametrize(
        "entry",
        [
            key("old", signs_from=NOW - 9, retires_at=NOW - 5, removed_at=NOW + 5),
            key("old", signs_from=NOW - 9, retires_at=NOW - 5, removed_at=NOW - 1),
            key("old", revoked_at=NOW),
            msgspec.structs.replace(key("old"), private=None),
        ],
    )
    def test_only_a_published_key_with_its_private_part_can_be_promoted(self, entry: KeyEntry) -> None:
        with pytest.raises(KeyUsageError, match="can be promoted"):
            plan_promotion(RingDocument(keys=(*STEADY.keys, entry)), "old", NOW, POLICY, at_once=True)


class TestPhasingOut:
    def test_an_algorithm_signs_on_for_a_lead_and_verifies_as_always(self) -> None:
        done = plan_retirement(STEADY, ("ES256",), NOW + 50, POLICY)
        after = do(STEADY, done, NOW + 50, Made())
        stops = NOW + 50 + LEAD
        assert [who_signs(after, at) for at in (stops - 1, stops)] == ["signing", None]
        assert {k.removed_at for k in after.keys} == {stops + POLICY.keep_seconds}
        assert not plan_retirement(after, ("ES256",), NOW + 60, POLICY).is_due

    def test_wanted_again_in_time_it_simply_goes_on(self) -> None:
        after = do(STEADY, plan_retirement(STEADY, ("ES256",), NOW, POLICY), NOW, Made())
        back = do(after, plan(after, NOW + 60, POLICY), NOW + 60, Made())
        assert who_signs(back, NOW + DAY) == "signing"
        assert len(standing_successors(back, "ES256")) == 1


STEPS = ["plan", "force", "revoke", "all", "promote", "promote now"]


def decide(step: str, document: RingDocument, kid: str, now: float) -> Plan:
    if step in ("plan", "force"):
        return plan(document, now, POLICY, force=step == "force")
    if step in ("revoke", "all"):
        kids = {k.kid for k in document.keys} if step == "all" else {kid}
        return plan_revocation(document, frozenset(kids), "leaked", now, POLICY)
    return plan_promotion(document, kid, now, POLICY, at_once=step == "promote now")


@given(st.integers(0, 2**32), st.lists(st.sampled_from(STEPS), max_size=25))
def test_whatever_is_done_in_whatever_order_one_key_signs_and_one_stands_by(seed: int, steps: list[str]) -> None:
    random, make, now = Random(seed), Made(), NOW
    document = do(RingDocument(), plan(RingDocument(), now, POLICY), now, make)
    for step in steps:
        now += random.choice([1, 60, 600, DAY / 3, 3 * DAY])
        kid = random.choice([k.kid for k in document.keys])
        with contextlib.suppress(KeyUsageError):
            document = do(document, decide(step, document, kid, now), now, make)
        check_ring(document, now)
    # Left alone, every schedule is fulfilled without a gap, and at the end a plan finds an orderly ring.
    for later in range(0, int(DAY), 600):
        assert signing_entry(document, "ES256", now + later) is not None
    document = do(document, plan(document, now, POLICY), now, make)
    assert not plan(document, now, POLICY).is_due


def check_ring(document: RingDocument, now: float) -> None:
    for off in (-30, 0, 30):
        assert signing_entry(document, "ES256", now + off) is not None
    assert len(scheduled(document.of("ES256"), now)) <= 1
    assert standing_successors(document, "ES256")
    assert all(k.private is None for k in document.keys if k.revoked_at is not None)
    for entry in document.keys:
        times = [t for t in (entry.signs_from, entry.retires_at, entry.removed_at) if t is not None]
        assert times == sorted(times)
