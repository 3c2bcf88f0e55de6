"""What belongs together, and that no call looks at all of it."""

from app.storage.families import MEMBERS_OF_A_SET, Families, Members

UNTIL = 1_800_000_000


def digests(count: int, first: int = 0) -> set[bytes]:
    return {number.to_bytes(32, "big") for number in range(first, first + count)}


def test_an_ended_family_is_given_away_in_slices_and_is_known_as_ended_until_the_last() -> None:
    families = Families()
    for digest in digests(1_000):
        families.join("large", digest, "greedy", 0)
    families.end("large", UNTIL)
    assert families.get("large") is None
    given: set[bytes] = set()
    for slices in range(1, 11):
        assert "large" in families.ended
        taken = families.take_ended(100)
        assert len(taken) == 100
        assert {(members.client_id, members.until) for _, members in taken} == {("greedy", UNTIL)}
        given |= {digest for digest, _ in taken}
        assert len(given) == 100 * slices
    assert given == digests(1_000)
    assert not families.ended
    assert families.take_ended(100) == []
    assert len(families) == 0


def test_members_of_many_sets_are_each_given_away_once_and_can_leave_from_any() -> None:
    members = Members("billing")
    everyone = digests(3 * MEMBERS_OF_A_SET + 5)
    for digest in sorted(everyone):
        members.add(digest)
    gone = set(sorted(everyone)[:: MEMBERS_OF_A_SET // 4]) | set(sorted(everyone)[-5:])
    for digest in gone:
        assert members.discard(digest)
    given: list[bytes] = []
    while members:
        taken = members.take(1_000)
        assert 0 < len(taken) <= 1_000
        given += taken
    assert len(given) == len(set(given))
    assert set(given) == everyone - gone
    assert members.take(1_000) == []


def test_a_family_of_many_sets_is_gone_with_its_last_member() -> None:
    families = Families()
    everyone = sorted(digests(2 * MEMBERS_OF_A_SET + 1))
    for digest in everyone:
        families.join("family", digest, "billing", 0)
    for digest in everyone:
        assert len(families) == 1
        families.leave("family", digest)
    assert len(families) == 0


def test_a_slice_goes_over_several_families() -> None:
    families = Families()
    for family in range(10):
        for digest in digests(15, first=family * 100):
            families.join(str(family), digest, "billing", 0)
        families.end(str(family), UNTIL)
    assert [len(families.take_ended(64)) for _ in range(4)] == [64, 64, 22, 0]


def test_a_family_knows_the_end_of_its_last_access_token_for_as_long_as_it_is_held() -> None:
    families = Families()
    for digest, ends_at in zip(sorted(digests(4)), (100, 300, 200, 0), strict=True):
        families.join("family", digest, "billing", ends_at)
    members = families.get("family")
    assert members is not None
    assert members.access_ends_at == 300
    for digest in digests(4):
        families.leave("family", digest)
    assert families.get("family") is None
    families.join("family", b"new", "billing", 50)
    again = families.get("family")
    assert again is not None
    assert again.access_ends_at == 50


def test_ending_what_is_not_held_and_leaving_what_has_ended_change_nothing() -> None:
    families = Families()
    families.end("unknown", UNTIL)
    families.leave("unknown", b"digest")
    families.join("family", b"digest", "billing", 0)
    families.end("family", UNTIL)
    families.leave("family", b"digest")
    assert [digest for digest, _ in families.take_ended(10)] == [b"digest"]
