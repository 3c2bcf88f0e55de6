"""Token requests that many clients send alike, read once: ``grant_type=client_credentials``, perhaps with a scope.

Rules:
- Kept are only requests for client credentials, whose bodies name no client: nothing in them is anyone's secret.
- Bounded in number and in size, so that whoever sends another body each time fills nothing.
"""

from app.endpoints.exchange import Request
from app.grants.client_credentials import ClientCredentials
from app.protocol.form import FORM_CONTENT_TYPE, Parameters
from app.protocol.token_request import TokenRequest, parse_token_request

MAX_KEPT = 256
MAX_BODY_BYTES = 256
_OPEN_PARAMETERS = frozenset({"grant_type", "scope", "resource"})


class PlainRequests:
    """Bodies, and the token requests that they are."""

    def __init__(self) -> None:
        self._kept: dict[bytes, TokenRequest] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, request: Request) -> TokenRequest | None:
        """The token request of this body, if one like it was read before."""
        if request.content_type != FORM_CONTENT_TYPE or request.has_query:
            return None
        return self._kept.get(request.body)

    def keep(self, request: Request, parameters: Parameters) -> None:
        """Keep what was read, if it may be kept. Raises ProtocolError if it is no token request."""
        if (
            request.content_type == FORM_CONTENT_TYPE
            and len(request.body) <= MAX_BODY_BYTES
            and parameters.get("grant_type") == ClientCredentials.grant_type
            and parameters.names <= _OPEN_PARAMETERS
        ):
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()  # of bodies in use none is missed for long
            self._kept[request.body] = parse_token_request(parameters)
