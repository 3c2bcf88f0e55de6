"""The successful token response (RFC 6749 section 5.1)."""

from typing import Literal

import msgspec

_encoder = msgspec.json.Encoder()


class TokenResponse(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The members of RFC 6749 section 5.1 and, with a person, OpenID Connect Core section 3.1.3.3."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    """Seconds."""
    scope: str = ""
    refresh_token: str | None = None
    id_token: str | None = None

    def __repr__(self) -> str:
        return "TokenResponse(…)"


def encode_token_response(response: TokenResponse) -> bytes:
    """The body as JSON."""
    return _encoder.encode(response)
