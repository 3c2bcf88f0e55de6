"""``POST /oauth/token`` (RFC 6749 section 3.2)."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from app.endpoints.admission import Admission
from app.endpoints.answers import json_answer
from app.endpoints.exchange import Request, Response
from app.endpoints.minting import Mint, Minted
from app.endpoints.parameters import read_parameters
from app.endpoints.plain_requests import PlainRequests
from app.grants.decision import NOTHING_LOADED, Grant, Issue, Loaded, ReuseDetected, TokenPolicy
from app.grants.refresh_token import RefreshToken
from app.model.clients import Client
from app.model.tokens import TokenKind
from app.observability.audit import Audit
from app.observability.metrics import Metrics
from app.observability.tracing import NOTHING_TRACED, Traces
from app.protocol.errors import ErrorCode, ProtocolError, invalid_grant, temporarily_unavailable
from app.protocol.form import NO_PARAMETERS, Parameters
from app.protocol.opaque_token import token_digest, token_kind, token_ref
from app.protocol.token_request import TokenRequest, parse_token_request
from app.protocol.token_response import encode_token_response
from app.storage.interface import Rotation, TokenStore

_MAX_RACES = 3
"""One would do: a second loss means that the store contradicts itself, which must not become an endless loop."""


class TokenEndpoint:
    """Issues tokens."""

    def __init__(
        self,
        *,
        grants: Sequence[Grant],
        admission: Admission,
        store: TokenStore,
        mint: Mint,
        policy: TokenPolicy,
        metrics: Metrics,
        audit: Audit,
        now: Callable[[], float],
        traces: Traces = NOTHING_TRACED,
    ) -> None:
        self._grants = {grant.grant_type: grant for grant in grants}
        self._admission = admission
        self._store = store
        self._mint = mint
        self._policy = policy
        self._metrics = metrics
        self._audit = audit
        self._now = now
        self._traces = traces
        self._plain = PlainRequests()

    def handle(self, request: Request) -> Response | Coroutine[Any, Any, Response]:
        """Answer a token request: at once, or by what has to be awaited.

        Raises ProtocolError or StoreError, where it is awaited too; then nothing was issued.
        """
        now = self._now()
        # 1. What is asked; the metrics tell refreshes apart, refused ones too.
        asked, parameters = self._plain.find(request), NO_PARAMETERS
        if asked is None:
            parameters = read_parameters(request)
            self._plain.keep(request, parameters)
            if parameters.get("grant_type") == RefreshToken.grant_type:
                request.operation = "refresh"
        # 2. Who asks, and whether it may ask again already; only then may anything be said about the grant.
        client = self._admission.admit_at_once(request, parameters, now)
        if isinstance(client, Client):
            return self._answer(request, asked or parse_token_request(parameters), client, now)
        return self._admit_and_answer(request, asked or parameters, client, now)

    async def _admit_and_answer(
        self, request: Request, asked: TokenRequest | Parameters, admission: Coroutine[Any, Any, Client], now: float
    ) -> Response:
        client = await admission
        if isinstance(asked, Parameters):
            asked = parse_token_request(asked)
        answer = self._answer(request, asked, client, now)
        return answer if isinstance(answer, Response) else await answer

    def _answer(
        self, asked: Request, request: TokenRequest, client: Client, now: float
    ) -> Response | Coroutine[Any, Any, Response]:
        """Answer a client that was let in."""
        # 3. Whether it may use this grant.
        grant = self._grants.get(request.grant_type)
        if grant is None:
            raise ProtocolError(ErrorCode.UNSUPPORTED_GRANT_TYPE, "this grant type is not supported")
        if not grant.permitted(client):
            raise ProtocolError(ErrorCode.UNAUTHORIZED_CLIENT, "this client may not use this grant type")
        # 4. Load, decide, commit; a token leaves only after its commit succeeded.
        if grant.refresh_token_of(request) is not None:
            return self._load_and_answer(asked, grant, request, client, now)
        traces = self._traces
        if traces.current is None:
            decision = grant.decide(request, client, NOTHING_LOADED, int(now), self._policy)
        else:
            decision = traces.timed("decide", grant.decide, request, client, NOTHING_LOADED, int(now), self._policy)
        if isinstance(decision, ReuseDetected):
            raise TypeError("a grant without a refresh token has found the reuse of one")
        minted = self._mint.mint(decision, client, now)
        if isinstance(minted, Minted) and self._store.save_at_once(minted.issuance):
            return self._issued(asked, request, client, decision, minted)
        return self._save_and_answer(asked, request, client, decision, minted)

    async def _save_and_answer(
        self,
        asked: Request,
        request: TokenRequest,
        client: Client,
        decision: Issue,
        minted: Minted | Coroutine[Any, Any, Minted],
    ) -> Response:
        if not isinstance(minted, Minted):
            minted = await minted
        await self._store.save(minted.issuance)
        return self._issued(asked, request, client, decision, minted)

    async def _load_and_answer(
        self, asked: Request, grant: Grant, request: TokenRequest, client: Client, now: float
    ) -> Response:
        presented = grant.refresh_token_of(request)
        assert presented is not None  # noqa: S101 - narrows the type: it is why this is called
        for _ in range(_MAX_RACES):  # a lost race is decided again, on what the winner wrote
            loaded = await self._load(presented)
            decision = self._traces.timed("decide", grant.decide, request, client, loaded, int(now), self._policy)
            if isinstance(decision, ReuseDetected):
                self._audit.refresh_token_reused(asked, presented, family_revoked=decision.revoke)
                raise await self._refuse_reuse(decision)
            minted = self._mint.mint(decision, client, now)
            if not isinstance(minted, Minted):
                minted = await minted
            if await self._commit(decision, minted):
                return self._issued(asked, request, client, decision, minted)
        raise temporarily_unavailable("lost_every_race")

    def _issued(
        self, asked: Request, request: TokenRequest, client: Client, decision: Issue, minted: Minted
    ) -> Response:
        """The answer to who gets what was committed, and its accounts."""
        response, access = minted.response, minted.issuance.access
        self._metrics.token_issued(request.grant_type, access is None)
        if self._audit.enabled:
            self._audit.token_issued(
                asked,
                grant_type=request.grant_type,
                token_format="jwt" if access is None else "opaque",
                token_digest=token_digest(response.access_token) if access is None else access[0].digest,
                refresh_token_digest=None if minted.issuance.refresh is None else minted.issuance.refresh[0].digest,
                subject=decision.subject,
                scope=decision.scope,
            )
        return json_answer(encode_token_response(response))

    async def _load(self, presented: str) -> Loaded:
        if token_kind(presented) is not TokenKind.REFRESH:
            return NOTHING_LOADED
        ref = token_ref(presented)
        return Loaded(refresh_ref=ref, refresh_record=await self._store.find_refresh_token(ref))

    async def _commit(self, decision: Issue, minted: Minted) -> bool:
        """Write what was decided; False if a concurrent use of the same refresh token was first."""
        if decision.used is None:
            await self._store.save(minted.issuance)
            return True
        ref, used = decision.used
        return await self._store.rotate(ref, used, minted.issuance) is Rotation.ROTATED

    async def _refuse_reuse(self, reuse: ReuseDetected) -> ProtocolError:
        if reuse.revoke:
            self._metrics.refresh_token_reused()
            await self._store.revoke_family(reuse.family, reuse.family_expires_at)
        return invalid_grant(
            "the refresh token is invalid, expired or revoked",
            reason="refresh_token_reused" if reuse.revoke else "refresh_token_reused_in_grace",
        )
