"""The successful token response (RFC 6749 section 5.1)."""

import msgspec

_encoder = msgspec.json.Encoder()


class TokenResponse(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The members of RFC 6749 section 5.1 and, with a person, OpenID Connect Core section 3.1.3.3."""

    access_token: str
    expires_in: int
    """Seconds."""
    token_type: str = msgspec.field(default_factory=lambda: "Bearer")  # a factory, so that it is never omitted
    scope: str = ""
    refresh_token: str | None = None
    id_token: str | None = None

    def __repr__(self) -> str:
        return "TokenResponse(…)"


def encode_token_response(response: TokenResponse) -> bytes:
    """The body as JSON."""
    return _encoder.encode(response)
