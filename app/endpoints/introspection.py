"""``POST /oauth/introspect`` (RFC 7662)."""

from collections.abc import Callable

from app.endpoints.admission import Admission
from app.endpoints.answers import json_answer
from app.endpoints.client_authentication import FindClient, require_confidential
from app.endpoints.exchange import Request, Response
from app.endpoints.parameters import read_parameters
from app.endpoints.signed_tokens import SignedTokens
from app.model.clients import Client
from app.model.tokens import TokenKind
from app.observability.tracing import NOTHING_TRACED, Traces
from app.protocol.access_token import audience_values
from app.protocol.introspection import (
    INACTIVE,
    ActiveToken,
    encode_introspection,
    introspect_access_token,
    introspect_jwt,
    introspect_refresh_token,
    may_see,
)
from app.protocol.opaque_token import jti_ref, token_kind, token_ref
from app.storage.interface import TokenStore


class IntrospectionEndpoint:
    """Says whether a token is alive and what it is good for, to those who may know."""

    def __init__(
        self,
        *,
        admission: Admission,
        find_client: FindClient,
        store: TokenStore,
        signed_tokens: SignedTokens,
        issuer: str,
        now: Callable[[], float],
        traces: Traces = NOTHING_TRACED,
    ) -> None:
        self._admission = admission
        self._find_client = find_client
        self._store = store
        self._signed_tokens = signed_tokens
        self._issuer = issuer
        self._now = now
        self._traces = traces

    async def handle(self, request: Request) -> Response:
        """Answer an introspection request. Raises ProtocolError or StoreError: an outage is never "inactive"."""
        now = self._now()
        parameters = read_parameters(request, allow_json=True)
        client = await self._admission.admit(request, parameters, now)
        require_confidential(client)
        # token_type_hint is not even read: the kind is known from the token, so a hint can never change the answer.
        token = parameters.require("token")
        kind = token_kind(token)
        if kind is TokenKind.ACCESS:
            record = await self._store.find_access_token(token_ref(token))
            if record is not None and self._find_client(record.client_id) is None:
                record = None  # a client that was removed has no tokens any more
            traces = self._traces
            if traces.current is None:
                seen = introspect_access_token(record, client, self._issuer, now)
            else:
                seen = traces.timed("decide", introspect_access_token, record, client, self._issuer, now)
        else:
            seen = await self._introspect_other(token, kind, client, now)
        return json_answer(encode_introspection(seen))

    async def _introspect_other(
        self, token: str, kind: TokenKind | None, caller: Client, now: float
    ) -> ActiveToken | None:
        """What the caller sees of a refresh token, a JWT or something that is no token."""
        if kind is TokenKind.REFRESH:
            refresh = await self._store.find_refresh_token(token_ref(token))
            return introspect_refresh_token(refresh, caller, self._issuer, now)
        signed = self._signed_tokens.verify_access_token(token, now)
        if signed is None or self._find_client(signed.claims.client_id) is None:
            return None
        claims = signed.claims
        if not may_see(caller, claims.client_id, audience_values(claims.aud)):
            return None
        revoked = await self._store.is_jwt_revoked(jti_ref(claims.jti), claims.family, signed.issued)
        return introspect_jwt(claims, revoked, caller, now)


def is_active(response: Response) -> bool:
    """Whether a response of this endpoint says that the token is alive."""
    return response.body != INACTIVE
