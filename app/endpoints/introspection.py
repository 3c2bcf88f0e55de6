"""``POST /oauth/introspect`` (RFC 7662)."""

from collections.abc import Callable, Coroutine
from typing import Any

from app.endpoints.admission import Admission
from app.endpoints.answers import JSON_NO_STORE
from app.endpoints.client_authentication import FindClient, require_confidential
from app.endpoints.exchange import Request, Response
from app.endpoints.parameters import plain_parameter, read_parameters
from app.endpoints.signed_tokens import SignedTokens
from app.model.clients import Client
from app.model.tokens import AccessTokenRecord, TokenKind, TokenRef
from app.observability.tracing import NOTHING_TRACED, Traces
from app.protocol.access_token import audience_values
from app.protocol.form import NO_PARAMETERS, missing_parameter
from app.protocol.introspection import (
    INACTIVE,
    ActiveToken,
    encode_introspection,
    introspect_access_token,
    introspect_jwt,
    introspect_refresh_token,
    may_see,
)
from app.protocol.opaque_token import jti_ref, looks_like_access_token, token_kind, token_ref
from app.storage.interface import UNKNOWN, TokenStore


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

    def handle(self, request: Request) -> Response | Coroutine[Any, Any, Response]:
        """Answer an introspection request: at once, or by what has to be awaited.

        Raises ProtocolError or StoreError: an outage is never "inactive".
        """
        now = self._now()
        token, parameters = plain_parameter(request, b"token="), NO_PARAMETERS
        if token is None:
            parameters = read_parameters(request, allow_json=True)
            token = parameters.get("token")
        client = self._admission.admit_at_once(request, parameters, now)
        if isinstance(client, Client):
            return self._answer(token, client, now)
        return self._admit_and_answer(token, client, now)

    async def _admit_and_answer(
        self, token: str | None, admission: Coroutine[Any, Any, Client], now: float
    ) -> Response:
        answer = self._answer(token, await admission, now)
        return answer if isinstance(answer, Response) else await answer

    def _answer(self, token: str | None, caller: Client, now: float) -> Response | Coroutine[Any, Any, Response]:
        """Answer a client that was let in."""
        require_confidential(caller)
        # token_type_hint is not even read: the kind is known from the token, so a hint can never change the answer.
        if token is None:
            raise missing_parameter("token")
        if looks_like_access_token(token):
            ref = token_ref(token)
            found = self._store.recall_access_token(ref)
            if found is not UNKNOWN:
                return self._answer_access_token(found, caller, now)
            if token_kind(token) is TokenKind.ACCESS:
                return self._find_and_answer(ref, caller, now)
            return _answer(None)
        return self._answer_other(token, token_kind(token), caller, now)

    async def _find_and_answer(self, ref: TokenRef, caller: Client, now: float) -> Response:
        return self._answer_access_token(await self._store.find_access_token(ref), caller, now)

    def _answer_access_token(self, record: AccessTokenRecord | None, caller: Client, now: float) -> Response:
        if record is not None and record.client_id != caller.id and self._find_client(record.client_id) is None:
            record = None  # a client that was removed has no tokens any more
        traces = self._traces
        if traces.current is None:
            return _answer(introspect_access_token(record, caller, self._issuer, now))
        return _answer(traces.timed("decide", introspect_access_token, record, caller, self._issuer, now))

    async def _answer_other(self, token: str, kind: TokenKind | None, caller: Client, now: float) -> Response:
        return _answer(await self._introspect_other(token, kind, caller, now))

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


def _answer(seen: ActiveToken | None) -> Response:
    if seen is None:
        return Response(200, INACTIVE, JSON_NO_STORE, outcome="inactive")
    return Response(200, encode_introspection(seen), JSON_NO_STORE, outcome="active")
