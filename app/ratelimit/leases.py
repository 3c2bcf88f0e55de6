"""One limit over all replicas: each borrows slices of a client's budget from a store that they share.

A replica that holds a slice decides from memory; it asks for the next one when half is left, so that at a steady rate
no request waits for the store. Without a slice the request waits for one: one round trip.

Rules:
- What is admitted was granted: all replicas together never admit more than the budget, whatever their number.
- What a replica holds and does not use is lost when its lease ends: so a client spread over R replicas may get up to R
  slices fewer than its limit in a lease's time (:data:`LEASE_SECONDS`), and never a request more. A slice is
  :data:`SLICE_SECONDS` of the limit; small limits are borrowed one by one, and are exact.
- Each class of limits has budgets of its own, though one client may count in several.
- Where the store cannot be asked, this process's own limiter decides, with the whole limit: admitted at worst is the
  limit times the number of replicas. It is tried again after :data:`AWAY_SECONDS`.
"""

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Protocol

import msgspec

from app.ratelimit.limiter import RateLimiter
from app.storage.interface import StoreError

SLICE_SECONDS = 0.1
"""Of the limit are borrowed at once: at sixty thousand a minute 100 requests, so ten round trips a second."""
LEASE_SECONDS = 1.0
AWAY_SECONDS = 1.0
UNASKED_SECONDS = 60.0
"""After so long without a request that had to be decided alone, nobody is alone any more."""
_MAX_LEASES = 50_000
_SWEPT = 1000
"""Leases looked at by a sweep."""
_LOOKED_AT = 16
"""By a new client where the table is full. One lease has to go: that more have ended is for the sweep to find."""


class SharedBudget(Protocol):
    """Where all replicas keep what is left of each budget; atomic over all of them."""

    def borrow(self, key: str, requests: int, per_minute: int) -> "asyncio.Future[tuple[int, float]]":
        """Take up to ``requests`` from the budget of ``key``: how many were granted, and seconds until one more is.

        Raises, or fails with, StoreError.
        """


class _Lease(msgspec.Struct, gc=False):
    left: int = 0
    ends: float = 0.0
    refused_until: float = 0.0
    asking: "asyncio.Future[tuple[int, float]] | None" = None


class LeasedLimiter:
    """Decides like :class:`~app.ratelimit.limiter.RateLimiter`, for all replicas together."""

    def __init__(
        self,
        name: str,
        budget: SharedBudget,
        monotonic: Callable[[], float],
        on_fallback: Callable[[bool], None],
        max_leases: int = _MAX_LEASES,
    ) -> None:
        """``name``: the class of limits. ``on_fallback`` is told when this process begins and ends to decide alone."""
        self._prefix = f"{name}\n"
        self._budget = budget
        self._monotonic = monotonic
        self._on_fallback = on_fallback
        self._max_leases = max_leases
        self._leases: dict[str, _Lease] = {}
        self._own = RateLimiter()
        self._away_until = float("-inf")
        self._alone = False
        self.round_trips = 0

    def decide(self, key: str, per_minute: int, now: float) -> "float | asyncio.Future[float]":
        """The seconds until a request of ``key`` may pass, 0 if at once; a future of it where the store is asked."""
        if per_minute == 0:
            return 0.0
        lease = self._leases.get(key)
        if lease is None:
            lease = self._new_lease(key, now)
        if lease.left > 0 and now < lease.ends:
            lease.left -= 1
            if lease.asking is None and lease.left < slice_of(per_minute) // 2 and now >= self._away_until:
                self._ask(key, lease, per_minute)
            return 0.0
        if now < lease.refused_until:
            return lease.refused_until - now
        if now < self._away_until:
            return self._own.retry_after(key, per_minute, now)
        decided: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._wait_for(key, lease, per_minute, decided)
        return decided

    def sweep(self, now: float) -> None:
        """Forget leases that have ended, a few at each call."""
        self._own.sweep(now)
        if self._alone and now >= self._away_until + UNASKED_SECONDS:
            self._tell(alone=False)  # whether the store is back is not known, and matters to nobody until one asks
        self._forget(_SWEPT, now)

    def _forget(self, count: int, now: float) -> None:
        for key in list(islice(self._leases, count)):
            lease = self._leases.pop(key)
            if lease.asking is not None or max(lease.ends, lease.refused_until) > now:
                self._leases[key] = lease  # behind the others

    def _wait_for(self, key: str, lease: _Lease, per_minute: int, decided: "asyncio.Future[float]") -> None:
        asking = lease.asking or self._ask(key, lease, per_minute)

        def on_answer(_asked: object) -> None:
            if decided.done():  # who waited went away
                return
            again = self._taken(key, lease, per_minute)
            if again is None:  # others took the whole slice: theirs were first
                self._wait_for(key, lease, per_minute, decided)
            else:
                decided.set_result(again)

        asking.add_done_callback(on_answer)

    def _taken(self, key: str, lease: _Lease, per_minute: int) -> float | None:
        now = self._monotonic()
        if lease.left > 0 and now < lease.ends:
            lease.left -= 1
            return 0.0
        if now < lease.refused_until:
            return lease.refused_until - now
        if now < self._away_until:
            return self._own.retry_after(key, per_minute, now)
        return None

    def _ask(self, key: str, lease: _Lease, per_minute: int) -> "asyncio.Future[tuple[int, float]]":
        self.round_trips += 1
        try:
            asking = self._budget.borrow(self._prefix + key, slice_of(per_minute), per_minute)
        except StoreError as error:
            asking = asyncio.get_running_loop().create_future()
            asking.set_exception(error)
        lease.asking = asking
        asking.add_done_callback(lambda answer: self._answered(lease, answer))
        return asking

    def _answered(self, lease: _Lease, answer: "asyncio.Future[tuple[int, float]]") -> None:
        lease.asking = None
        now = self._monotonic()
        failure = None if answer.cancelled() else answer.exception()
        if answer.cancelled() or failure is not None:
            self._away_until = now + AWAY_SECONDS
            self._tell(alone=True)
            return
        self._tell(alone=False)
        granted, wait = answer.result()
        if granted:
            lease.left = granted + (lease.left if now < lease.ends else 0)
            lease.ends = now + LEASE_SECONDS
        elif lease.left <= 0:
            lease.refused_until = now + max(wait, 0.001)

    def _tell(self, *, alone: bool) -> None:
        if alone != self._alone:
            self._alone = alone
            self._on_fallback(alone)

    def _new_lease(self, key: str, now: float) -> _Lease:
        if len(self._leases) >= self._max_leases:
            self._forget(_LOOKED_AT, now)  # to look at all of them took 37 ms for each new key while none had ended
            if len(self._leases) >= self._max_leases:
                del self._leases[next(iter(self._leases))]  # the store still knows what it owes
        lease = self._leases[key] = _Lease()
        return lease


def slice_of(per_minute: int) -> int:
    """How many requests are borrowed at once."""
    return max(1, int(per_minute * SLICE_SECONDS / 60))
