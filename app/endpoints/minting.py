"""Making the tokens of a decision: the same for every grant."""

import msgspec

from app.grants.decision import FamilyLife, Issue
from app.keys.errors import NoSigningKey, SigningQueueFull
from app.keys.jwt import Signer
from app.model.clients import AccessTokenFormat, Client
from app.model.tokens import RECORD_VERSION, AccessTokenRecord, RefreshTokenRecord, TokenKind, TokenRef
from app.observability.tracing import NOTHING_TRACED, Traces
from app.protocol import access_token, id_token
from app.protocol.access_token import AccessTokenClaims
from app.protocol.errors import temporarily_unavailable
from app.protocol.opaque_token import family_tag, new_family, new_tag, new_token, token_ref
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

    async def mint(self, issue: Issue, client: Client, now: float) -> Minted:
        """Make the tokens that ``issue`` decided on, at ``now`` (Unix seconds).

        Raises ProtocolError (503) if no key may sign, or too many signatures wait already.
        """
        issued_at = int(now)  # dates in tokens are whole seconds; keys begin to sign between two of them
        family = issue.family
        tag = family_tag(family.name) if family else new_tag(self._random_bytes)
        if family is None and issue.with_refresh_token:
            family = FamilyLife(new_family(tag, self._random_bytes), issued_at + self._family_max_seconds)
        expires_at = issued_at + client.access_token_seconds
        if family is not None and expires_at > family.expires_at:
            expires_at = family.expires_at  # nothing outlives its family, so its revocation mark may end with it

        stored: tuple[TokenRef, AccessTokenRecord] | None = None
        if client.access_token_format is AccessTokenFormat.OPAQUE:
            token = new_token(TokenKind.ACCESS, tag, self._random_bytes)
            stored = (token_ref(token), self._record(issue, client, issued_at, expires_at, family))
        else:
            token = await self._sign_access_token(issue, client, now, expires_at=expires_at, family=family, tag=tag)

        refresh_token: str | None = None
        refresh: tuple[TokenRef, RefreshTokenRecord] | None = None
        if family is not None and issue.with_refresh_token:
            refresh_token = new_token(TokenKind.REFRESH, tag, self._random_bytes)
            refresh = (token_ref(refresh_token), self._refresh_record(issue, client, issued_at, family))

        response = TokenResponse(
            access_token=token,
            token_type="Bearer",
            expires_in=expires_at - issued_at,
            scope=issue.scope,
            refresh_token=refresh_token,
            id_token=await self._sign_id_token(issue, client, now, token),
        )
        return Minted(response, Issuance(access=stored, refresh=refresh))

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

    async def _sign_access_token(
        self, issue: Issue, client: Client, now: float, *, expires_at: int, family: FamilyLife | None, tag: str
    ) -> str:
        claims = AccessTokenClaims(
            iss=self._issuer,
            sub=issue.subject,
            aud=access_token.audience_claim(issue.audience),
            client_id=client.id,
            jti=new_family(tag, self._random_bytes),  # the same form: a tag and 128 random bits
            iat=int(now),
            exp=expires_at,
            scope=issue.scope,
            family=family.name if family else None,
        )
        return await self._sign(self._algorithm, access_token.TYP, access_token.encode_claims(claims), now)

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

    async def _sign(self, algorithm: str, typ: str, payload: bytes, now: float) -> str:
        try:
            signing = self._signer.sign(algorithm, typ, payload, now)
            if self._traces.current is None:
                return await signing
            return await self._traces.awaited("sign", {"auth_service.algorithm": algorithm}, signing)
        except NoSigningKey:
            raise temporarily_unavailable("no_signing_key") from None
        except SigningQueueFull:
            raise temporarily_unavailable("signing_queue_full") from None
