"""``POST /oauth/revoke`` (RFC 7009)."""

from collections.abc import Callable

from app.endpoints.admission import Admission
from app.endpoints.answers import empty_answer
from app.endpoints.exchange import Request, Response
from app.endpoints.parameters import read_parameters
from app.endpoints.signed_tokens import SignedTokens
from app.model.clients import Client
from app.model.tokens import TokenKind, TokenRef
from app.observability.audit import Audit
from app.protocol.errors import invalid_grant
from app.protocol.opaque_token import jti_ref, token_kind, token_ref
from app.storage.interface import StoreUnavailable, TokenStore


class RevocationEndpoint:
    """Ends tokens on their owner's word."""

    def __init__(
        self,
        *,
        admission: Admission,
        store: TokenStore,
        signed_tokens: SignedTokens,
        audit: Audit,
        now: Callable[[], float],
    ) -> None:
        self._admission = admission
        self._store = store
        self._signed_tokens = signed_tokens
        self._audit = audit
        self._now = now

    async def handle(self, request: Request) -> Response:
        """200 once the token is dead, and for tokens that never lived (RFC 7009 section 2.2).

        Raises ProtocolError or StoreError: a 200 is only given for a revocation that is in force, or that a store
        which cannot read the token now has promised to carry out before the token is readable again.
        """
        now = self._now()
        parameters = read_parameters(request)
        client = await self._admission.admit(request, parameters, now)
        # token_type_hint is not needed: the kind is known from the token.
        token = parameters.require("token")
        kind = token_kind(token)
        revoked = False
        if kind is TokenKind.ACCESS:
            revoked = await self._revoke_access_token(token_ref(token), client)
        elif kind is TokenKind.REFRESH:
            revoked = await self._revoke_family_of(token_ref(token), client)
        elif kind is None:
            revoked = await self._revoke_jwt(token, client, now)
        if revoked:
            self._audit.token_revoked(request, token)
        return empty_answer()

    async def _revoke_access_token(self, ref: TokenRef, client: Client) -> bool:
        """Whether there is anything that this ended, or will."""
        try:
            record = await self._store.find_access_token(ref)
        except StoreUnavailable:
            if not await self._store.defer_revocation(TokenKind.ACCESS, ref, client.id):
                raise
            return True
        if record is not None:
            _require_owner(record.client_id, client)
            await self._store.revoke_access_token(ref)
        return record is not None

    async def _revoke_family_of(self, ref: TokenRef, client: Client) -> bool:
        """A refresh token takes its access tokens with it (RFC 7009 section 2.1), and so does a used one."""
        try:
            record = await self._store.find_refresh_token(ref)
        except StoreUnavailable:
            if not await self._store.defer_revocation(TokenKind.REFRESH, ref, client.id):
                raise
            return True
        if record is not None:
            _require_owner(record.client_id, client)
            await self._store.revoke_family(record.family, record.family_expires_at)
        return record is not None

    async def _revoke_jwt(self, token: str, client: Client, now: float) -> bool:
        signed = self._signed_tokens.verify_access_token(token, now)
        if signed is not None:
            _require_owner(signed.claims.client_id, client)
            await self._store.revoke_jwt(jti_ref(signed.claims.jti), signed.claims.exp, client.id)
        return signed is not None


def _require_owner(owner: str, client: Client) -> None:
    """RFC 7009 section 2.1: another client's token stays untouched, "and the client is informed of the error".

    A 200 would leave its sender believing that a live token is dead. Nothing is given away: whoever holds the token
    can try it anywhere.
    """
    if owner != client.id:
        raise invalid_grant("the token was issued to another client", reason="not_the_owner")
