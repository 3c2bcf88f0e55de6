"""Wishes to revoke are kept for each client, and one client's wishes take no room from another's."""

import pytest

from app.model.tokens import TokenKind
from app.storage.deferred import DeferredRevocations, Wish
from app.storage.interface import StoreFull
from tests.conformance.backend import SteppingClock
from tests.conformance.issued import new_ref

DAY = 86_400


def test_a_wish_does_not_replace_that_of_another_client() -> None:
    deferred = DeferredRevocations(100, SteppingClock(), DAY)
    ref = new_ref()
    wishes = [Wish(kind, ref, client_id) for kind in (TokenKind.ACCESS, TokenKind.REFRESH) for client_id in "abc"]
    for wish in wishes:
        deferred.add(wish)
    assert set(deferred.items()) == set(wishes)
    deferred.remove(wishes[0])
    assert set(deferred.items()) == set(wishes[1:])


def test_a_wish_repeated_takes_room_once() -> None:
    deferred = DeferredRevocations(10, SteppingClock(), DAY)
    for kind in (TokenKind.ACCESS, TokenKind.REFRESH):
        wish = Wish(kind, new_ref(), kind)
        for _ in range(3):
            deferred.add(wish)
        deferred.remove(wish)
        deferred.add(Wish(kind, new_ref(), kind))
    assert len(deferred) == 2


@pytest.mark.parametrize(("max_wishes", "share"), [(5, 1), (100, 10), (1_000_000, 10_000)])
def test_a_client_that_used_up_its_share_leaves_room_for_others(max_wishes: int, share: int) -> None:
    deferred = DeferredRevocations(max_wishes, SteppingClock(), DAY)
    wishes = [Wish(TokenKind.ACCESS if n % 2 else TokenKind.REFRESH, new_ref(), "greedy") for n in range(share)]
    for wish in wishes:
        deferred.add(wish)
    with pytest.raises(StoreFull):
        deferred.add(Wish(TokenKind.ACCESS, new_ref(), "greedy"))
    deferred.add(wishes[0])  # known: it needs no room
    deferred.add(Wish(TokenKind.ACCESS, new_ref(), "other"))
    assert len(deferred) == share + 1


def test_all_clients_together_are_bounded() -> None:
    deferred = DeferredRevocations(20, SteppingClock(), DAY)
    for number in range(20):
        deferred.add(Wish(TokenKind.ACCESS, new_ref(), f"client-{number}"))
    with pytest.raises(StoreFull):
        deferred.add(Wish(TokenKind.ACCESS, new_ref(), "late"))


def test_a_wish_ends_when_its_access_token_cannot_live_any_more_and_that_of_a_refresh_token_never() -> None:
    clock = SteppingClock()
    deferred = DeferredRevocations(20, clock, DAY)
    access, refresh = Wish(TokenKind.ACCESS, new_ref(), "one"), Wish(TokenKind.REFRESH, new_ref(), "one")
    deferred.add(access)
    deferred.add(refresh)
    clock.advance(DAY - 1)
    with pytest.raises(StoreFull):
        deferred.add(Wish(TokenKind.ACCESS, new_ref(), "one"))
    clock.advance(1)
    late = Wish(TokenKind.ACCESS, new_ref(), "one")
    deferred.add(late)
    assert set(deferred.items()) == {late, refresh}


def test_a_repeated_wish_lives_from_its_repetition() -> None:
    clock = SteppingClock()
    deferred = DeferredRevocations(100, clock, DAY)
    first, second = Wish(TokenKind.ACCESS, new_ref(), "one"), Wish(TokenKind.ACCESS, new_ref(), "one")
    deferred.add(first)
    deferred.add(second)
    clock.advance(60)
    deferred.add(first)
    clock.advance(DAY - 60)
    deferred.add(Wish(TokenKind.REFRESH, new_ref(), "two"))
    assert first in deferred.items()
    assert second not in deferred.items()
