"""Who may use the operators' listener.

- Bearer: the operators' token (``ADMIN_TOKEN_FILE``), or an access token of this service with the scope
  ``auth-service:admin``.
- Basic: the user ``admin`` and the operators' token, for browsers.
- With neither a token file nor a client that may have the scope, nobody: there is no unauthenticated default.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from enum import Enum

import msgspec

from app.endpoints.signed_tokens import SignedTokens
from app.model.clients import Client
from app.model.tokens import TokenKind
from app.protocol.access_token import audience_values
from app.protocol.opaque_token import jti_ref, token_kind, token_ref
from app.storage.interface import TokenStore

ADMIN_SCOPE = "auth-service:admin"
ADMIN_USER = "admin"
OPERATOR = "operator"


class Access(Enum):
    """The answer to "may this caller in?"."""

    GRANTED = "granted"
    UNAUTHENTICATED = "unauthenticated"
    INVALID_TOKEN = "invalid_token"
    FORBIDDEN = "forbidden"
    """The token is good, and does not have the scope."""
    CLOSED = "closed"
    """No token could ever be good: nothing is configured."""
    TOO_MANY = "too_many_failures"
    """Too many wrong tokens came from the same address (:mod:`app.admin.attempts`)."""
    MISDIRECTED = "misdirected"
    """The request names a host that this listener is not (:mod:`app.admin.hosts`)."""


class Admitted(msgspec.Struct, frozen=True):
    """The answer, and whose it is."""

    access: Access
    who: str | None = None
    """``operator``, or the client whose access token it was; None where nobody is let in."""
    retry_after_seconds: float = 0.0
    """When it may be asked again, where that is why."""


class AdminAuthorization:
    """Decides by the Authorization header."""

    def __init__(
        self,
        *,
        read_operator_token: Callable[[], str | None],
        any_client_may: Callable[[], bool],
        find_client: Callable[[str], Client | None],
        store: TokenStore,
        signed_tokens: SignedTokens,
        issuer: str,
        now: Callable[[], float],
    ) -> None:
        """``read_operator_token`` is asked at each request, so that a changed file counts at once."""
        self._read_operator_token = read_operator_token
        self._any_client_may = any_client_may
        self._find_client = find_client
        self._store = store
        self._signed_tokens = signed_tokens
        self._issuer = issuer
        self._now = now

    async def check(self, authorization: str | None) -> Access:
        """Whether a request with this Authorization header may in. Raises StoreError."""
        return (await self.admit(authorization)).access

    async def admit(self, authorization: str | None) -> Admitted:
        """Whether a request with this Authorization header may in, and who sent it. Raises StoreError."""
        operator_token = self._read_operator_token()
        if operator_token is None and not self._any_client_may():
            return Admitted(Access.CLOSED)
        scheme, _, value = (authorization or "").partition(" ")
        value = value.strip()
        if not value:
            return Admitted(Access.UNAUTHENTICATED)
        if scheme.lower() == "basic":
            is_operator = self._is_operator(_basic_password(value), operator_token)
            return Admitted(Access.GRANTED, OPERATOR) if is_operator else Admitted(Access.UNAUTHENTICATED)
        if scheme.lower() != "bearer":
            return Admitted(Access.UNAUTHENTICATED)
        if self._is_operator(value, operator_token):
            return Admitted(Access.GRANTED, OPERATOR)
        found = await self._client_and_scope_of(value)
        if found is None:
            return Admitted(Access.INVALID_TOKEN)
        client_id, scope = found
        return Admitted(Access.GRANTED, client_id) if ADMIN_SCOPE in scope.split(" ") else Admitted(Access.FORBIDDEN)

    def _is_operator(self, presented: str | None, operator_token: str | None) -> bool:
        if presented is None or operator_token is None:
            return False
        # Digests have one length, so the comparison tells nothing about the token's.
        return hmac.compare_digest(_digest(presented), _digest(operator_token))

    async def _client_and_scope_of(self, token: str) -> tuple[str, str] | None:
        """Of a live access token meant for this service; None for anything else."""
        now = self._now()
        if token_kind(token) is TokenKind.ACCESS:
            record = await self._store.find_access_token(token_ref(token))
            if record is None or record.expires_at <= now or self._issuer not in record.audience:
                return None
            return self._still_allowed(record.client_id, record.scope)
        signed = self._signed_tokens.verify_access_token(token, now)
        if signed is None or self._issuer not in audience_values(signed.claims.aud):
            return None  # RFC 9068 section 4: a token for another resource server is not for us
        claims = signed.claims
        if await self._store.is_jwt_revoked(jti_ref(claims.jti), claims.family, signed.issued):
            return None
        return self._still_allowed(claims.client_id, claims.scope)

    def _still_allowed(self, client_id: str, scope: str) -> tuple[str, str] | None:
        """What of a token's scope its client may still have: who lost the scope, or was removed, is out at once."""
        client = self._find_client(client_id)
        if client is None:
            return None
        return client_id, " ".join(s for s in scope.split(" ") if s in client.scopes)


def _basic_password(encoded: str) -> str | None:
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return None
    return password if colon and user == ADMIN_USER else None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
