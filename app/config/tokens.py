"""Settings: the lives of tokens."""

from typing import Annotated, Final

import msgspec

from app.config.values import setting

_DAY: Final = 86_400

LONGEST_TOKEN_SECONDS: Final = 3660 * _DAY
"""No setting lets a token, or a family of refresh tokens, live for longer."""


class TokenSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens"""

    token_expiry_seconds: Annotated[
        int, setting("The life of an access token, where its client does not set another.", ge=60, le=_DAY)
    ] = 3600
    refresh_token_expiry_seconds: Annotated[
        int,
        setting("The life of a refresh token, where its client does not set another.", ge=60, le=366 * _DAY),
    ] = _DAY
    refresh_family_max_seconds: Annotated[
        int,
        setting(
            "How long a refresh token and its successors may live together: no rotation extends it.",
            ge=60,
            le=LONGEST_TOKEN_SECONDS,
        ),
    ] = 30 * _DAY
    refresh_reuse_grace_seconds: Annotated[
        int,
        setting(
            "0: a refresh token used twice revokes its whole family. Above 0: a second use within so many seconds "
            "is refused without revoking, for clients that repeat a request whose answer was lost.",
            ge=0,
            le=300,
        ),
    ] = 0
