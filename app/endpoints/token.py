"""``POST /oauth/token`` (RFC 6749 section 3.2)."""

from collections.abc import Callable, Sequence

from app.endpoints.admission import Admission
from app.endpoints.answers import json_answer
from app.endpoints.exchange import Request, Response
from app.endpoints.minting import Mint, Minted
from app.endpoints.parameters import read_parameters
from app.grants.decision import Grant, Issue, Loaded, ReuseDetected, TokenPolicy
from app.grants.refresh_token import RefreshToken
from app.model.clients import AccessTokenFormat, Client
from app.model.tokens import TokenKind
from app.observability.audit import Audit
from app.observability.metrics import Metrics
from app.observability.tracing import NOTHING_TRACED, Traces
from app.protocol.errors import ErrorCode, ProtocolError, invalid_grant, temporarily_unavailable
from app.protocol.opaque_token import token_kind, token_ref
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

    async def handle(self, request: Request) -> Response:
        """Answer a token request. Raises ProtocolError or StoreError; then nothing was issued."""
        now = self._now()
        # 1. What is asked; the metrics tell refreshes apart, refused ones too.
        parameters = read_parameters(request)
        if parameters.get("grant_type") == RefreshToken.grant_type:
            request.operation = "refresh"
        # 2. Who asks, and whether it may ask again already; only then may anything be said about the grant.
        client = await self._admission.admit(request, parameters, now)
        # 3. Whether it may use this grant.
        token_request = parse_token_request(parameters)
        grant = self._grants.get(token_request.grant_type)
        if grant is None:
            raise ProtocolError(ErrorCode.UNSUPPORTED_GRANT_TYPE, "this grant type is not supported")
        if not grant.permitted(client):
            raise ProtocolError(ErrorCode.UNAUTHORIZED_CLIENT, "this client may not use this grant type")
        # 4. Load, decide, commit; a token leaves only after its commit succeeded.
        decision, minted = await self._issue(request, grant, token_request, client, now)
        self._metrics.token_issued(token_request.grant_type, client.access_token_format is AccessTokenFormat.JWT)
        if self._audit.enabled:
            self._audit.token_issued(
                request,
                grant_type=token_request.grant_type,
                token_format=client.access_token_format.value,
                token=minted.response.access_token,
                refresh_token=minted.response.refresh_token,
                subject=decision.subject,
                scope=decision.scope,
            )
        return json_answer(encode_token_response(minted.response))

    async def _issue(
        self, asked: Request, grant: Grant, request: TokenRequest, client: Client, now: float
    ) -> tuple[Issue, Minted]:
        presented = grant.refresh_token_of(request)
        for _ in range(_MAX_RACES):  # a lost race is decided again, on what the winner wrote
            loaded = Loaded() if presented is None else await self._load(presented)
            decision = self._traces.timed("decide", grant.decide, request, client, loaded, int(now), self._policy)
            if isinstance(decision, ReuseDetected):
                assert presented is not None  # noqa: S101 - narrows the type: nothing else can be reused
                self._audit.refresh_token_reused(asked, presented, family_revoked=decision.revoke)
                raise await self._refuse_reuse(decision)
            minted = await self._mint.mint(decision, client, now)
            if await self._commit(decision, minted):
                return decision, minted
        raise temporarily_unavailable("lost_every_race")

    async def _load(self, presented: str) -> Loaded:
        if token_kind(presented) is not TokenKind.REFRESH:
            return Loaded()
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
