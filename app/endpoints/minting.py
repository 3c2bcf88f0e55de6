"""Making the tokens of a decision: the same for every grant."""

from collections.abc import Awaitable, Coroutine
from typing import Any

import msgspec
from msgspec.structs import replace

from app.grants.decision import FamilyLife, Issue
from app.keys.errors import NoSigningKey, SigningQueueFull
from app.keys.jwt import Signer
from app.model.clients import AccessTokenFormat, Client
from app.model.tokens import RECORD_VERSION, AccessTokenRecord, RefreshTokenRecord, TokenKind, TokenRef
from app.observability.tracing import NOTHING_TRACED, Traces
from app.protocol import access_token, id_token
from app.protocol.access_token import AccessTokenClaims
from app.protocol.errors import temporarily_unavailable
from app.protocol.opaque_token import family_tag, new_access_token, new_family, new_jti, new_tag, new_token, token_ref
from app.protocol.token_response import TokenResponse
from app.randomness import RandomBytes
from app.storage.interface import Issuance

_OPENID = "openid"
_id_token_encoder = msgspec.json.Encoder()


class Minted(msgspec.Struct, frozen=True):
    """The answer, and what must be committed before it may leave."""

    response: TokenResponse
    issuance: Issuance

    def __repr__(self) -> str:
        return "Minted(…)"


class Mint:
    """Makes tokens; writes nothing."""

    def __init__(
        self,
        *,
        issuer: str,
        access_token_algorithm: str,
        signer: Signer,
        family_max_seconds: int,
        random_bytes: RandomBytes,
        traces: Traces = NOTHING_TRACED,
    ) -> None:
        self._issuer = issuer
        self._algorithm = access_token_algorithm
        self._signer = signer
        self._family_max_seconds = family_max_seconds
        self._random_bytes = random_bytes
        self._traces = traces

    def mint(self, issue: Issue, client: Client, now: float) -> Minted | Coroutine[Any, Any, Minted]:
        """Make the tokens that ``issue`` decided on, at ``now`` (Unix seconds): at once where nothing is signed.

        Raises ProtocolError (503), where it is awaited too, if no key may sign or too many signatures wait already.
        """
        issued_at = int(now)  # dates in tokens are whole seconds; keys begin to sign between two of them
        family = issue.family
        expires_at = issued_at + client.access_token_seconds
        stored: tuple[TokenRef, AccessTokenRecord] | None = None
        signing: Awaitable[str] | None = None
        if family is None and not issue.with_refresh_token and client.access_token_format is AccessTokenFormat.OPAQUE:
            token, ref = new_access_token(self._random_bytes)
            tag = ref.tag
            stored = (ref, self._record(issue, client, issued_at, expires_at, None))
        else:
            tag = family_tag(family.name) if family else ""
            if family is None and issue.with_refresh_token:
                tag = new_tag(self._random_bytes)
                family = FamilyLife(new_family(tag, self._random_bytes), issued_at + self._family_max_seconds)
            if family is not None and expires_at > family.expires_at:
                expires_at = family.expires_at  # nothing outlives its family, so its revocation mark may end with it
            if client.access_token_format is AccessTokenFormat.OPAQUE:
                token = new_token(TokenKind.ACCESS, tag, self._random_bytes)
                stored = (token_ref(token), self._record(issue, client, issued_at, expires_at, family))
            else:
                signing = self._sign_access_token(issue, client, now, expires_at=expires_at, family=family, tag=tag)
                token = ""

        refresh_token: str | None = None
        refresh: tuple[TokenRef, RefreshTokenRecord] | None = None
        if family is not None and issue.with_refresh_token:
            refresh_token = new_token(TokenKind.REFRESH, tag, self._random_bytes)
            refresh = (token_ref(refresh_token), self._refresh_record(issue, client, issued_at, family))

        minted = Minted(
            TokenResponse(token, "Bearer", expires_at - issued_at, issue.scope, refresh_token),
            Issuance(stored, refresh, None if stored or refresh is None else expires_at),
        )
        if signing is None and issue.authentication is None:
            return minted
        return self._sign_the_rest(minted, signing, issue, client, now)

    async def _sign_the_rest(
        self, minted: Minted, signing: Awaitable[str] | None, issue: Issue, client: Client, now: float
    ) -> Minted:
        """Wait for the access token where it is signed, then for the ID token, which names it."""
        response = minted.response
        token = response.access_token if signing is None else await signing
        id_token = await self._sign_id_token(issue, client, now, token)
        return Minted(replace(response, access_token=token, id_token=id_token), minted.issuance)

    def _record(
        self, issue: Issue, client: Client, issued_at: int, expires_at: int, family: FamilyLife | None
    ) -> AccessTokenRecord:
        return AccessTokenRecord(
            RECORD_VERSION,
            client.id,
            issue.subject,
            issue.scope,
            issue.audience,
            issued_at,
            expires_at,
            family.name if family else None,
        )

    def _refresh_record(self, issue: Issue, client: Client, issued_at: int, family: FamilyLife) -> RefreshTokenRecord:
        return RefreshTokenRecord(
            version=RECORD_VERSION,
            client_id=client.id,
            subject=issue.subject,
            scope=issue.scope if issue.refresh_scope is None else issue.refresh_scope,
            audience=issue.audience if issue.refresh_audience is None else issue.refresh_audience,
            issued_at=issued_at,
            expires_at=min(issued_at + client.refresh_token_seconds, family.expires_at),
            family=family.name,
            family_expires_at=family.expires_at,
        )

    def _sign_access_token(
        self, issue: Issue, client: Client, now: float, *, expires_at: int, family: FamilyLife | None, tag: str
    ) -> Awaitable[str]:
        claims = AccessTokenClaims(
            self._issuer,
            issue.subject,
            access_token.audience_claim(issue.audience),
            client.id,
            # Of the family's slot, where there is one: its revocation mark lies there.
            new_family(tag, self._random_bytes) if family else new_jti(self._random_bytes),
            int(now),
            expires_at,
            issue.scope,
            family.name if family else None,
        )
        return self._sign(self._algorithm, access_token.TYP, access_token.encode_claims(claims), now)

    async def _sign_id_token(self, issue: Issue, client: Client, now: float, token: str) -> str | None:
        if issue.authentication is None or _OPENID not in issue.scope.split(" "):
            return None
        algorithm = client.id_token_signed_response_alg
        claims = id_token.id_token_claims(
            issuer=self._issuer,
            subject=issue.subject,
            client_id=client.id,
            authentication=issue.authentication,
            access_token=token,
            algorithm=algorithm,
            now=int(now),
        )
        return await self._sign(algorithm, id_token.TYP, _id_token_encoder.encode(claims), now)

    def _sign(self, algorithm: str, typ: str, payload: bytes, now: float) -> Awaitable[str]:
        try:
            signing = self._signer.sign(algorithm, typ, payload, now)
        except NoSigningKey:
            raise temporarily_unavailable("no_signing_key") from None
        except SigningQueueFull:
            raise temporarily_unavailable("signing_queue_full") from None
        if self._traces.current is None:
            return signing
        return self._traces.awaited("sign", {"auth_service.algorithm": algorithm}, signing)
