"""The rate limit of an authenticated client."""

import math
from collections.abc import Callable

from app.model.clients import Client
from app.observability.metrics import Metrics
from app.protocol.errors import ErrorCode, ProtocolError
from app.ratelimit.limiter import RateLimiter


class ClientLimits:
    """Admits a client's request or refuses it with 429 (RFC 6585 section 4)."""

    def __init__(
        self, limiter: RateLimiter, default_per_minute: int, metrics: Metrics, monotonic: Callable[[], float]
    ) -> None:
        self._limiter = limiter
        self._default = default_per_minute
        self._metrics = metrics
        self._monotonic = monotonic

    def admit(self, client: Client) -> None:
        """Count a request. Raises ProtocolError (429 with Retry-After) if the client is over its limit."""
        per_minute = self._default if client.rate_limit_per_minute is None else client.rate_limit_per_minute
        wait = self._limiter.retry_after(client.id, per_minute, self._monotonic())
        self._metrics.rate_limited(wait > 0)
        if wait > 0:
            raise ProtocolError(
                ErrorCode.SLOW_DOWN,
                "too many requests, try again later",
                reason="rate_limited",
                retry_after_seconds=max(1, math.ceil(wait)),
            )
