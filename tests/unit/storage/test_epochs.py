"""Epochs add up to their latest instants, and are bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.storage.epochs import MAX_EPOCHS, Epoch, Epochs, RevocationScope
from app.storage.expiry import MARK_SPARE_SECONDS
from app.storage.interface import CorruptRecord
from app.storage.redis.cache import Lease
from app.storage.redis.epochs import SharedEpochs, epoch_field, read_epoch
from app.storage.redis.keyspace import Keyspace

NOW = 1_000
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
EPOCHS = st.builds(
    Epoch, st.sampled_from(RevocationScope), st.sampled_from(["", "a", "b"]), st.integers(0, 99), st.integers(0, 99)
)


@given(st.lists(EPOCHS, max_size=30), st.sampled_from(["a", "b", "c"]), st.integers(0, 99))
def test_the_latest_instant_of_each_scope_counts(epochs: list[Epoch], client: str, issued_at: int) -> None:
    held = Epochs()
    for epoch in epochs:
        assert held.add(epoch, NOW)
    concerned = [
        epoch
        for epoch in epochs
        if (epoch.scope, epoch.value)
        in {(RevocationScope.CLIENT, client), (RevocationScope.SUBJECT, "b"), (RevocationScope.EVERYTHING, "")}
    ]
    assert held.end(client, "b", issued_at) == any(issued_at < epoch.before for epoch in concerned)


def test_a_key_ends_with_all_that_it_signed_whatever_it_says() -> None:
    held = Epochs()
    assert held.add(Epoch(RevocationScope.KEY, "leaked", NOW, NOW + 60), NOW)
    for issued_at in (0, NOW, NOW + 1, 2**60):
        assert held.end("billing", "user", issued_at, "leaked")
        assert not held.end("billing", "user", issued_at, "another")
        assert not held.end("billing", "user", issued_at)


def test_epochs_are_refused_beyond_the_bound_until_others_have_ended() -> None:
    held = Epochs()
    for number in range(MAX_EPOCHS):
        assert held.add(Epoch(RevocationScope.CLIENT, str(number), NOW, NOW + number), NOW - 1)
    assert not held.add(Epoch(RevocationScope.CLIENT, "more", NOW, NOW + 5), NOW - 1)
    assert held.add(Epoch(RevocationScope.CLIENT, "0", NOW + 5, NOW + 5), NOW - 1)
    assert not held.add(Epoch(RevocationScope.CLIENT, "more", NOW, NOW + 5), NOW + 2), "a clock may step back"
    assert held.add(Epoch(RevocationScope.CLIENT, "more", NOW, NOW + 5), NOW + 2 + MARK_SPARE_SECONDS)
    assert len(held) == MAX_EPOCHS - 2 + 1


@given(st.sampled_from(RevocationScope), TEXT, st.integers(0, 2**40), st.integers(0, 2**40))
def test_fields_come_back_as_they_were(scope: RevocationScope, value: str, before: int, until: int) -> None:
    epoch = Epoch(scope, value, before, until)
    assert read_epoch(epoch_field(epoch).encode(), b"%d %d" % (before, until)) == epoch


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_anything_else_is_corrupt(field: bytes, instants: bytes) -> None:
    try:
        read_epoch(field, instants)
    except CorruptRecord:
        return
    assert field.partition(b":")[0].decode() in set(RevocationScope)


def shared() -> SharedEpochs:
    lease = Lease()
    lease.until = NOW + 2
    return SharedEpochs(Keyspace("test"), lease, lambda: NOW, lambda: NOW)


def ends(epochs: SharedEpochs, client: str) -> bool:
    return epochs.end(client, "somebody", 5)


def test_a_copy_takes_changes_over_in_their_order() -> None:
    epochs = shared()
    assert not epochs.is_current()
    epochs.load(None, [], epochs.heard)
    assert epochs.is_current()
    epochs.hear(b"0 17 10 2000 client:a b c")
    assert epochs.is_current()
    assert epochs.has(b"17")
    assert (ends(epochs, "a b c"), ends(epochs, "a")) == (True, False)


@pytest.mark.parametrize("message", [b"16 18 10 2000 client:b", b"", b"what", b"0 1 x 2000 client:a", b"0 1 2 3 who:a"])
def test_a_copy_that_missed_something_does_not_count(message: bytes) -> None:
    epochs = shared()
    epochs.load(b"17", [b"client:a", b"10 2000"], epochs.heard)
    assert ends(epochs, "a")
    epochs.hear(message)
    assert not epochs.is_current()
    assert not epochs.has(b"17")


def test_a_copy_that_was_read_while_something_was_heard_does_not_count_for_the_next_decision() -> None:
    epochs = shared()
    heard = epochs.heard
    epochs.hear(b"17 18 10 2000 client:b")
    epochs.load(b"17", [b"client:a", b"10 2000"], heard)
    assert ends(epochs, "a")
    assert not epochs.is_current()


def test_a_copy_does_not_count_without_a_lease() -> None:
    lease = Lease()
    epochs = SharedEpochs(Keyspace("test"), lease, lambda: NOW, lambda: NOW)
    epochs.load(b"17", [], epochs.heard)
    assert not epochs.is_current()
    assert epochs.has(b"17")
    lease.until = NOW + 1
    assert epochs.is_current()
