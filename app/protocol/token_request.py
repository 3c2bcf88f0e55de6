"""The token request (RFC 6749 sections 4.4.2 and 6) as a frozen value; a grant never sees the raw form."""

import msgspec

from app.protocol.form import Parameters


class TokenRequest(msgspec.Struct, frozen=True, gc=False):
    """What a client asks the token endpoint for."""

    grant_type: str
    scope: str | None = None
    resources: tuple[str, ...] = ()
    refresh_token: str | None = None

    def __repr__(self) -> str:
        return f"TokenRequest(grant_type={self.grant_type!r})"  # the rest may be secret


def parse_token_request(parameters: Parameters) -> TokenRequest:
    """Raises ProtocolError (``invalid_request``) if ``grant_type`` is missing."""
    return TokenRequest(
        grant_type=parameters.require("grant_type"),
        scope=parameters.get("scope"),
        resources=parameters.resources,
        refresh_token=parameters.get("refresh_token"),
    )
