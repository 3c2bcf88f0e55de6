"""Settings: limits on what one client may do."""

from enum import StrEnum
from typing import Annotated

import msgspec

from app.config.values import setting


class RateLimitBackend(StrEnum):
    """Where the limits of clients are counted."""

    MEMORY = "memory"
    REDIS = "redis"


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits"""

    rate_limit_requests_per_minute: Annotated[
        int,
        setting(
            "Requests that each client may make a minute, where it has no limit of its own; 0 for no limit.",
            ge=0,
        ),
    ] = 60_000
    rate_limit_introspections_per_minute: Annotated[
        int,
        setting(
            "Introspections a minute of each client that may see others' tokens (`introspect: audience` or `all`): a "
            "class of its own, which no other requests count in; 0 for no limit.",
            ge=0,
        ),
    ] = 0
    rate_limit_failures_per_minute: Annotated[
        int,
        setting(
            "Failed client authentications, and requests that cannot be read and prove no client, a minute of one "
            "address (IPv6: of one /64), beyond which they are answered with 429. From the sixth failure in a row at "
            "one client, one address waits 2, 4, 8, … up to 300 seconds too; then only generated secrets pass, and "
            "who was right from there before. Wrong operators' tokens are limited alike. 0 turns all of it off.",
            ge=0,
        ),
    ] = 300
    rate_limit_backend: Annotated[
        RateLimitBackend,
        setting(
            "`memory`: replicas and workers count each for themselves, so together they admit as many times the limit; "
            "`redis`: they share each client's limit (failures are always counted by each).",
        ),
    ] = RateLimitBackend.MEMORY
