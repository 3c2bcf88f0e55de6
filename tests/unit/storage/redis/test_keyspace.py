"""Names of different things, and of different installations, never meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from app.model.tokens import TokenRef
from app.storage.redis.keyspace import Keyspace

PREFIXES = st.from_regex(r"[A-Za-z0-9_./:-]{1,10}", fullmatch=True)
DIGESTS = st.binary(min_size=32, max_size=32)


@given(PREFIXES, DIGESTS)
def test_each_kind_of_name_is_its_own(prefix: str, digest: bytes) -> None:
    names, ref = Keyspace(prefix), TokenRef("a1b2", digest)
    family = "a1b2" + digest[:11].hex()
    all_names = [
        names.access(ref),
        names.refresh(ref),
        names.revoked_jwt(ref),
        names.once(digest),
        names.family_members(family),
        names.revoked_family(family),
        names.live_counts(),
        names.born_at(),
    ]
    assert len(set(all_names)) == len(all_names)


@given(PREFIXES, PREFIXES, DIGESTS, DIGESTS)
def test_installations_share_no_name(prefix: str, other: str, digest: bytes, other_digest: bytes) -> None:
    ours, theirs = Keyspace(prefix).access(TokenRef("a1b2", digest)), Keyspace(other)
    assert ours.startswith(theirs.tagged("a1b2")) == (prefix == other)


@given(DIGESTS)
def test_a_family_and_its_tokens_share_a_cluster_slot(digest: bytes) -> None:
    names, ref, family = Keyspace("auth:"), TokenRef("0f3c", digest), "0f3cabcdefghijklmnopqrstuv"
    slots = {
        key_slot(name)
        for name in (
            names.access(ref),
            names.refresh(ref),
            names.revoked_jwt(ref),
            names.family_members(family),
            names.revoked_family(family),
        )
    }
    assert len(slots) == 1


@pytest.mark.parametrize("prefix", ["", "a{b", "a}b", "a*b", "a b", "a\n", "a" * 129, "é"])
def test_prefixes_that_could_meet_others_are_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="key prefix"):
        Keyspace(prefix)
