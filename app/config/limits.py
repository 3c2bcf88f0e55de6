"""Settings: limits on what one client may do."""

from typing import Annotated

import msgspec

from app.config.values import setting


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits"""

    rate_limit_requests_per_minute: Annotated[
        int,
        setting(
            "Requests that each client may make a minute to one process, where it has no limit of its own; 0 for no "
            "limit. Replicas and workers count each for themselves.",
            ge=0,
        ),
    ] = 60_000
