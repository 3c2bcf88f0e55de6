"""States follow from timestamps and the time alone."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.keys.algorithms import generate
from app.keys.document import KeyEntry, PrivatePart, RingDocument
from app.keys.errors import NoSigningKey
from app.keys.loading import build_ring
from app.keys.ring import EMPTY_RING, KeyRing, KeyState, SigningKey, state_of
from app.keys.rotation import signing_entry
from tests.unit.keys.conftest import NOW

NewEntry = Callable[..., KeyEntry]
A_KEY = generate("ES256", 0)
LIFE = {"signs_from": NOW + 100, "retires_at": NOW + 200, "removed_at": NOW + 300}


@pytest.mark.parametrize(
    ("members", "after", "state"),
    [
        ({}, 0, KeyState.PUBLISHED),
        ({}, 1e9, KeyState.PUBLISHED),
        (LIFE, -1000, KeyState.PUBLISHED),
        (LIFE, 99.999, KeyState.PUBLISHED),
        (LIFE, 100, KeyState.SIGNING),
        (LIFE, 199.999, KeyState.SIGNING),
        (LIFE, 200, KeyState.RETIRED),
        (LIFE, 299.999, KeyState.RETIRED),
        (LIFE, 300, KeyState.REMOVED),
        ({"signs_from": NOW}, 1e9, KeyState.SIGNING),
        (LIFE | {"revoked_at": NOW + 150}, 0, KeyState.REVOKED),
        (LIFE | {"revoked_at": NOW}, 1e9, KeyState.REVOKED),
    ],
)
def test_the_state_of_a_key(new_entry: NewEntry, members: dict[str, float], after: float, state: KeyState) -> None:
    entry = new_entry(**members)
    assert state_of(entry, NOW + after) is state
    ring = build_ring(RingDocument(keys=(entry,)), None)
    listed = state in (KeyState.PUBLISHED, KeyState.SIGNING, KeyState.RETIRED)
    assert (ring.verification_key(entry.kid, NOW + after) is not None) is listed
    assert bool(ring.published(NOW + after)) is listed
    if state is KeyState.SIGNING:
        assert ring.signing_key("ES256", NOW + after).kid == entry.kid
    else:
        with pytest.raises(NoSigningKey):
            ring.signing_key("ES256", NOW + after)


def test_replicas_switch_at_the_written_instant(new_entry: NewEntry) -> None:
    old = new_entry(signs_from=NOW, retires_at=NOW + 10, removed_at=NOW + 20)
    new = new_entry(signs_from=NOW + 10)
    ring = build_ring(RingDocument(keys=(old, new)), None)
    kids = [ring.signing_key("ES256", NOW + after).kid for after in (0, 9.999, 10, 1000)]
    assert kids == [old.kid, old.kid, new.kid, new.kid]
    assert [ring.next_transition(NOW + after) for after in (-1, 0, 10, 20)] == [NOW, NOW + 10, NOW + 20, None]


def test_algorithms_do_not_meet(new_entry: NewEntry) -> None:
    ring = build_ring(RingDocument(keys=(new_entry("ES256", signs_from=NOW), new_entry("EdDSA"))), None)
    assert ring.algorithms == ("ES256", "EdDSA")
    assert ring.signing_key("ES256", NOW).algorithm == "ES256"
    for algorithm in ("EdDSA", "RS256", "none"):
        with pytest.raises(NoSigningKey) as refusal:
            ring.signing_key(algorithm, NOW)
        assert refusal.value.algorithm == algorithm


def test_a_key_without_its_private_part_verifies_and_never_signs(new_entry: NewEntry) -> None:
    entry = new_entry(signs_from=NOW, private=None)
    ring = build_ring(RingDocument(keys=(entry,)), None)
    assert ring.verification_key(entry.kid, NOW) is not None
    with pytest.raises(NoSigningKey):
        ring.signing_key("ES256", NOW)


def test_the_empty_ring_does_nothing() -> None:
    assert EMPTY_RING.published(NOW) == ()
    assert EMPTY_RING.next_transition(NOW) is None
    assert EMPTY_RING.verification_key("any", NOW) is None


def test_headers_are_prepared_and_their_number_is_bounded(new_entry: NewEntry) -> None:
    key = build_ring(RingDocument(keys=(new_entry(signs_from=NOW),)), None).signing_key("ES256", NOW)
    assert key.header("at+jwt") is key.header("at+jwt")
    for number in range(100):
        assert key.header(f"typ{number}").endswith(b".")
    assert len(key._headers) == 8


def test_no_representation_shows_a_private_key(new_entry: NewEntry) -> None:
    entry = new_entry(signs_from=NOW)
    ring = build_ring(RingDocument(keys=(entry,)), None)
    assert entry.private is not None
    for shown in (repr(ring), repr(ring.signing_key("ES256", NOW)), repr(ring.published(NOW)), str(entry)):
        assert (entry.private.pkcs8 or "") not in shown


@given(
    st.lists(st.tuples(*(st.none() | st.integers(0, 20) for _ in range(2)), st.booleans(), st.booleans()), max_size=5),
    st.integers(-1, 22),
)
def test_the_ring_signs_with_the_key_that_the_plan_believes_to_sign(
    lives: list[tuple[int | None, int | None, bool, bool]], after: int
) -> None:
    keys = []
    for number, (begins, life, revoked, private) in enumerate(lives):
        ends = None if begins is None or life is None else begins + life
        keys.append(
            KeyEntry(
                kid=str(number),
                algorithm="ES256",
                created_at=0,
                signs_from=begins,
                retires_at=ends,
                revoked_at=0 if revoked else None,
                public={},
                private=PrivatePart() if private else None,
            )
        )
    prepared = {k.kid: SigningKey(k.kid, "ES256", A_KEY) for k in keys if k.private and k.revoked_at is None}
    believed = signing_entry(RingDocument(keys=tuple(keys)), "ES256", after)
    try:
        signing = KeyRing(RingDocument(keys=tuple(keys)), {}, prepared).signing_key("ES256", after)
    except NoSigningKey:
        assert believed is None
    else:
        assert believed is not None
        assert believed.signs_from == next(k.signs_from for k in keys if k.kid == signing.kid)
