"""What is due when: the schedule of one ring, told as tables."""

import msgspec
import pytest

from app.keys.document import KeyEntry, PrivatePart, RingDocument
from app.keys.policy import RotationPolicy
from app.keys.rotation import NewKey, Plan, carried_out, next_due, next_switch, plan
from tests.unit.keys.conftest import NOW

HOUR, DAY = 3600.0, 86400.0
POLICY = RotationPolicy(algorithms=("ES256",))
LEAD, WINDOW = POLICY.lead_seconds, POLICY.window_seconds


class Made:
    """Entries with names instead of keys, in the order of their making."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, new: NewKey, now: float) -> KeyEntry:
        self.number += 1
        return KeyEntry(
            kid=f"{new.algorithm}-{self.number}",
            algorithm=new.algorithm,
            created_at=now,
            signs_from=new.signs_from,
            public={},
            private=PrivatePart(),
        )


def do(document: RingDocument, due: Plan, now: float, make: Made) -> RingDocument:
    return carried_out(document, due, tuple(make(new, now) for new in due.create))


def key(kid: str, created: float = NOW - 10 * DAY, **times: float | None) -> KeyEntry:
    return KeyEntry(kid=kid, algorithm="ES256", created_at=created, public={}, private=PrivatePart(), **times)  # type: ignore[arg-type]


SIGNING = key("signing", signs_from=NOW)
STANDING = key("standing")
STEADY = RingDocument(keys=(SIGNING, STANDING))
DUE = NOW + DAY - LEAD - WINDOW
"""When the steady ring's rotation becomes due."""


def test_a_new_ring_signs_at_once_even_where_clocks_are_slow_and_has_a_successor() -> None:
    due = plan(RingDocument(), NOW, RotationPolicy())
    assert due.create == (
        NewKey("ES256", NOW - 30),
        NewKey("ES256"),
        NewKey("RS256", NOW - 30),
        NewKey("RS256"),
    )


def test_an_algorithm_that_joins_a_known_ring_waits_until_verifiers_know_its_key() -> None:
    due = plan(STEADY, NOW, RotationPolicy(algorithms=("ES256", "EdDSA")))
    assert due.create == (NewKey("EdDSA", NOW + LEAD), NewKey("EdDSA"))
    assert due.changed == ()


@pytest.mark.parametrize("now", [NOW, NOW + HOUR, DUE - 0.001])
def test_before_its_window_nothing_is_due(now: float) -> None:
    assert not plan(STEADY, now, POLICY).is_due


@pytest.mark.parametrize(
    ("now", "switch"),
    [
        (DUE, NOW + DAY),
        (DUE + HOUR, NOW + DAY),
        (NOW + DAY - LEAD, NOW + DAY),
        (NOW + DAY - LEAD + 1, NOW + DAY + 1),
        (NOW + 9 * DAY, NOW + 9 * DAY + LEAD),
    ],
)
def test_a_rotation_switches_on_the_period_or_a_lead_from_now_if_it_is_late(now: float, switch: float) -> None:
    due = plan(STEADY, now, POLICY)
    retired, following = due.changed
    assert (retired.kid, retired.retires_at) == ("signing", switch)
    assert retired.removed_at == switch + POLICY.retain_seconds + 60
    assert (following.kid, following.signs_from) == ("standing", switch)
    assert due.create == (NewKey("ES256"),)


def test_what_is_scheduled_is_not_due_again() -> None:
    after = do(STEADY, plan(STEADY, DUE, POLICY), DUE, Made())
    for now in (DUE, DUE + 1, NOW + DAY - 1, NOW + DAY, NOW + 2 * DAY - LEAD - WINDOW - 1):
        assert not plan(after, now, POLICY).is_due
        assert not plan(after, min(now, NOW + DAY - 1), POLICY, force=True).is_due
    assert plan(after, NOW + 2 * DAY - LEAD - WINDOW, POLICY).is_due


def test_force_rotates_now_but_never_sooner_than_the_lead() -> None:
    due = plan(STEADY, NOW + 5, POLICY, force=True)
    assert [k.signs_from for k in due.changed if k.kid == "standing"] == [NOW + 5 + LEAD]


def test_a_missing_successor_is_made_at_any_time() -> None:
    assert plan(RingDocument(keys=(SIGNING,)), NOW, POLICY) == Plan(
        create=(NewKey("ES256"),), notes=("ES256: a new successor",)
    )


def test_a_due_ring_without_a_successor_gets_two_keys() -> None:
    due = plan(RingDocument(keys=(SIGNING,)), NOW + DAY, POLICY)
    assert due.create == (NewKey("ES256", NOW + DAY + LEAD), NewKey("ES256"))
    assert due.changed[0].retires_at == NOW + DAY + LEAD


def test_two_successors_are_enough() -> None:
    ring = RingDocument(keys=(SIGNING, key("second", NOW - 1), STANDING))
    due = plan(ring, NOW + DAY, POLICY)
    assert [k.kid for k in due.changed] == ["signing", "standing"]  # the oldest successor
    assert due.create == ()


@pytest.mark.parametrize(
    ("created", "begins"), [(NOW - LEAD - 100, NOW - 30), (NOW - LEAD, NOW), (NOW - 1, NOW - 1 + LEAD)]
)
def test_without_a_signing_key_the_successor_begins_as_soon_as_it_is_known(created: float, begins: float) -> None:
    due = plan(RingDocument(keys=(key("only", created),)), NOW, POLICY)
    assert [(k.kid, k.signs_from) for k in due.changed] == [("only", begins)]
    assert due.create == (NewKey("ES256"),)


def test_revoked_removed_and_public_only_keys_are_no_successors() -> None:
    useless = (
        msgspec.structs.replace(key("revoked"), revoked_at=NOW),
        msgspec.structs.replace(key("removed"), removed_at=NOW),
        msgspec.structs.replace(key("public"), private=None),
    )
    assert plan(RingDocument(keys=(SIGNING, *useless)), NOW, POLICY).create == (NewKey("ES256"),)


def test_old_keys_lose_their_private_part_and_then_their_entry_but_are_no_reason_to_write() -> None:
    retired = key("retired", signs_from=NOW - 2 * DAY, retires_at=NOW - 1000, removed_at=NOW + DAY)
    just_retired = key("just", signs_from=NOW - 2 * DAY, retires_at=NOW - 10, removed_at=NOW + DAY)
    gone = key("gone", signs_from=NOW - 20 * DAY, retires_at=NOW - 19 * DAY, removed_at=NOW - 18 * DAY)
    revoked = key("revoked", signs_from=NOW - 20 * DAY, revoked_at=NOW - 19 * DAY)
    ring = RingDocument(keys=(retired, just_retired, gone, revoked, SIGNING, STANDING))
    assert not plan(ring, NOW, POLICY).is_due
    after = do(ring, plan(ring, NOW, POLICY, force=True), NOW, Made())
    kept = {k.kid: k.private is not None for k in after.keys}
    assert kept == {"retired": False, "just": True, "signing": True, "standing": True, "ES256-1": True}


def test_algorithms_rotate_each_on_its_own_but_in_one_write() -> None:
    policy = RotationPolicy(algorithms=("ES256", "EdDSA"))
    make = Made()
    ring = do(RingDocument(), plan(RingDocument(), NOW, policy), NOW, make)
    due = plan(ring, NOW + DAY, policy)
    assert due.rotated == ("ES256", "EdDSA")
    after = do(ring, due, NOW + DAY, make)
    assert after.revision == ring.revision + 1 == 2
    assert not plan(after, NOW + DAY, policy).is_due


def test_the_next_due_instant_is_when_the_plan_first_has_something_to_do() -> None:
    make, ring, now = Made(), RingDocument(), NOW
    for _ in range(20):
        due = plan(ring, now, POLICY)
        assert due.is_due
        ring = do(ring, due, now, make)
        following = next_due(ring, now, POLICY)
        assert following > now
        assert not plan(ring, following - 0.001, POLICY).is_due
        now = following


def test_the_next_switch_is_what_is_scheduled_or_the_end_of_the_period() -> None:
    assert next_switch(STEADY, "ES256", NOW, POLICY) == NOW + DAY
    late = NOW + 2 * DAY
    after = do(STEADY, plan(STEADY, late, POLICY), late, Made())
    assert next_switch(after, "ES256", late, POLICY) == late + LEAD
    assert next_switch(STEADY, "EdDSA", NOW, POLICY) is None
