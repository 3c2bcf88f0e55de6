"""How often who may ask: the classes of limits, each with a table of its own, so that none can starve another.

| class | counts | by |
|---|---|---|
| client | requests of an authenticated client | client |
| client | requests of a public client, in tables of their own: anybody may use its name | client and address |
| introspection | introspection by clients that are let see others' tokens; off by default | client |
| failure | failed client authentication | address and client, and address alone |
| | of what comes in the delay that they bring, what is looked at and was not proved there before | address and client |
| | what cannot be read, from nobody that proves who it is (:mod:`app.endpoints.admission`) | address alone |
| secret_check | chosen secrets that wait to be verified (:mod:`app.endpoints.waiting_room`) | address, stored hash |

A refusal is 429 with ``Retry-After`` (RFC 6585 section 4) and the fields ``RateLimit-Policy`` and ``RateLimit``
(draft-ietf-httpapi-ratelimit-headers-11, of May 2026). They stand on refusals alone: on every answer they would tell
apart answers of introspection that must be alike.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from app.endpoints.exchange import Request
from app.endpoints.waiting_room import PLACES
from app.model.clients import Client, ClientAuthMethod, IntrospectionPolicy
from app.observability.audit import Audit
from app.observability.metrics import Metrics
from app.protocol.errors import ErrorCode, ProtocolError, Quota
from app.protocol.networks import network_of
from app.ratelimit.failures import Failures
from app.ratelimit.limiter import RateLimiter

INTROSPECT = "introspect"
CLIENT, INTROSPECTION, FAILURE, SECRET_CHECK = "client", "introspection", "failure", "secret_check"
PUBLIC = "public"
"""Names the tables of public clients; to clients and metrics it is the class CLIENT."""
_OWN, _NONE = IntrospectionPolicy.OWN, ClientAuthMethod.NONE
TIMED_ONE_IN = 8
"""Of the decisions about clients so many are one whose duration is measured: to look at the clock twice, and to count
what it said, takes as long as the decision does."""
_MINUTE = 60
_REASONS = {FAILURE: "too_many_failures", SECRET_CHECK: "argon2id_queue"}
SWEEP_SECONDS = 0.25
"""Between two shards: all of them in 16 seconds."""


class Decides(Protocol):
    """A limiter: this process's own, or one that all replicas share."""

    def decide(self, key: str, per_minute: int, now: float) -> "float | asyncio.Future[float]":
        """The seconds until a request of ``key`` may pass, or a future of it."""

    def sweep(self, now: float) -> None:
        """Forget a part of what no longer counts."""


class OwnLimiter:
    """A limiter of this process alone."""

    def __init__(self, _limit: str) -> None:
        limiter = RateLimiter()
        self.decide = limiter.retry_after
        self.sweep = limiter.sweep


class Limits:
    """Admits requests, or refuses them with 429."""

    def __init__(
        self,
        *,
        make_limiter: Callable[[str], Decides],
        client_per_minute: int,
        introspection_per_minute: int = 0,
        failures: Failures,
        metrics: Metrics,
        audit: Audit,
        monotonic: Callable[[], float],
        stopwatch: Callable[[], float],
    ) -> None:
        """``make_limiter`` is called with the name of what the limiter is for: a class, or PUBLIC."""
        self._clients, self._public = make_limiter(CLIENT), make_limiter(PUBLIC)
        self._introspections = make_limiter(INTROSPECTION)
        self._decide_clients, self._decide_introspections = self._clients.decide, self._introspections.decide
        self._client_per_minute = client_per_minute
        self._introspection_per_minute = introspection_per_minute
        self._failures = failures
        self._metrics = metrics
        self._audit = audit
        self._monotonic = monotonic
        self._stopwatch = stopwatch
        self._allowed = {limit: metrics.rate_limit_allowed(limit) for limit in (CLIENT, INTROSPECTION)}
        self._turn = 0

    def admit(self, request: Request, client: Client) -> "Coroutine[Any, Any, None] | None":
        """Count a request of an authenticated client.

        Returns None where that is decided, or what to await. Raises ProtocolError (429) if the client is over its
        limit.
        """
        timed = self._turn == 0
        self._turn = (self._turn + 1) % TIMED_ONE_IN
        started = self._stopwatch() if timed else 0.0
        if request.operation == INTROSPECT and client.introspect is not _OWN:
            limit, decide, per_minute = INTROSPECTION, self._decide_introspections, self._introspection_per_minute
        else:
            limit, decide, per_minute = CLIENT, self._decide_clients, self._client_per_minute
            if client.rate_limit_per_minute is not None:
                per_minute = client.rate_limit_per_minute
        key = client.id
        if client.auth_method is _NONE and request.peer is not None:
            key = f"{key}\n{network_of(request.peer)}"
            decide = self._public.decide
        wait = decide(key, per_minute, self._monotonic())
        if timed:
            self._metrics.rate_limit_seconds.observe(self._stopwatch() - started)
        if not isinstance(wait, float):
            return self._wait(request, limit, key, wait, per_minute)
        if wait > 0:
            self._metrics.rate_limited(limit, True)
            raise self._refusal(request, Quota(limit, per_minute, _MINUTE), key, wait)
        self._allowed[limit].value += 1
        return None

    async def _wait(
        self, request: Request, limit: str, key: str, wait: "asyncio.Future[float]", per_minute: int
    ) -> None:
        seconds = await wait
        self._metrics.rate_limited(limit, seconds > 0)
        if seconds > 0:
            raise self._refusal(request, Quota(limit, per_minute, _MINUTE), key, seconds)

    # ------------------------------------------------------------------ failures

    def delay_of(self, request: Request, *, guessable: bool = True) -> float:
        """The seconds for which nothing is told to this address about the client that it names; 0 for none.

        ``guessable``: what it presents might be a guess, so the bound of the address over all clients counts too.
        """
        failures = self._failures
        must_wait = failures.must_wait if guessable else failures.must_wait_at
        return must_wait(request.peer, request.named, self._monotonic())

    def may_try_in_delay(self, request: Request, client_id: str) -> bool:
        """Whether it may be looked at, in a delay, if this address has proved before what it presents."""
        return self._failures.may_try_in_delay(request.peer, client_id, self._monotonic())

    def tried_in_delay(self, request: Request) -> None:
        """This address, in a delay, has presented what it has not proved before."""
        self._failures.tried_in_delay(request.peer, request.named, self._monotonic())

    def failures_in_a_row(self, request: Request) -> int:
        """Of this address at the client that it names."""
        return self._failures.in_a_row(request.peer, request.named, self._monotonic())

    def in_delay(self, request: Request, wait: float) -> ProtocolError:
        """What to answer to an attempt that comes during a delay: what :meth:`failed` answers to a wrong one."""
        self._metrics.rate_limited(FAILURE, True)
        # Told of by address alone: rows of their own for clients that exist would tell by the time which do.
        return self._refusal(request, self._failure_quota(), str(network_of(request.peer)), wait)

    def no_place(self, request: Request, client: Client) -> ProtocolError:
        """What to answer where too many secrets wait to be checked at great cost."""
        self._metrics.rate_limited(SECRET_CHECK, True)
        quota = Quota(SECRET_CHECK, PLACES.of_address, None)
        return self._refusal(request, quota, f"{network_of(request.peer)}\n{client.id}", 1.0)

    def failed(self, request: Request, refusal: ProtocolError) -> ProtocolError:
        """Count what failed before anybody was let in; what to answer: the refusal, or 429 from who fails too often."""
        wait = self._failures.failed(request.peer, request.named, self._monotonic())
        if wait > 0:
            return self.in_delay(request, wait)
        self._metrics.rate_limited(FAILURE, False)
        return refusal

    def _failure_quota(self) -> Quota:
        return Quota(FAILURE, self._failures.per_minute, _MINUTE)

    def after_slow_check(self, request: Request, client: Client, matches: bool) -> None:
        """A secret was checked at great cost; right ones forgive what failed before from the same address."""
        self._metrics.rate_limited(SECRET_CHECK, False)
        if matches:
            self._failures.succeeded(request.peer, client.id)

    # ------------------------------------------------------------------ upkeep

    async def sweep_regularly(self) -> None:
        """Forget what no longer counts, a slice at a time, for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = self._monotonic()
            self._clients.sweep(now)
            self._public.sweep(now)
            self._introspections.sweep(now)
            self._failures.sweep(now)

    def _refusal(self, request: Request, quota: Quota, key: str, wait: float) -> ProtocolError:
        self._audit.limit_hit(request, quota.policy, key)
        return ProtocolError(
            ErrorCode.SLOW_DOWN,
            "too many requests, try again later",
            reason=_REASONS.get(quota.policy, "rate_limited"),
            retry_after_seconds=max(1, math.ceil(wait)),
            quota=quota,
        )
