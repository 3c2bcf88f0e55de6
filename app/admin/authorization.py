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

from app.endpoints.signed_tokens import SignedTokens
from app.model.clients import Client
from app.model.tokens import TokenKind
from app.protocol.access_token import audience_values
from app.protocol.opaque_token import jti_ref, token_kind, token_ref
from app.storage.interface import TokenStore

ADMIN_SCOPE = "auth-service:admin"
ADMIN_USER = "admin"


class Access(Enum):
    """The answer to "may this caller in?"."""

    GRANTED = "granted"
    UNAUTHENTICATED = "unauthenticated"
    INVALID_TOKEN = "invalid_token"
    FORBIDDEN = "forbidden"
    """The token is good, and does not have the scope."""
    CLOSED = "closed"
    """No token could ever be good: nothing is configured."""


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
        operator_token = self._read_operator_token()
        if operator_token is None and not self._any_client_may():
            return Access.CLOSED
        scheme, _, value = (authorization or "").partition(" ")
        value = value.strip()
        if not value:
            return Access.UNAUTHENTICATED
        if scheme.lower() == "basic":
            return self._granted(self._is_operator(_basic_password(value), operator_token))
        if scheme.lower() != "bearer":
            return Access.UNAUTHENTICATED
        if self._is_operator(value, operator_token):
            return Access.GRANTED
        scope = await self._scope_of(value)
        if scope is None:
            return Access.INVALID_TOKEN
        return Access.GRANTED if ADMIN_SCOPE in scope.split(" ") else Access.FORBIDDEN

    def _granted(self, granted: bool) -> Access:
        return Access.GRANTED if granted else Access.UNAUTHENTICATED

    def _is_operator(self, presented: str | None, operator_token: str | None) -> bool:
        if presented is None or operator_token is None:
            return False
        # Digests have one length, so the comparison tells nothing about the token's.
        return hmac.compare_digest(_digest(presented), _digest(operator_token))

    async def _scope_of(self, token: str) -> str | None:
        """The scope of a live access token meant for this service; None for anything else."""
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

    def _still_allowed(self, client_id: str, scope: str) -> str | None:
        """What of a token's scope its client may still have: who lost the scope, or was removed, is out at once."""
        client = self._find_client(client_id)
        return None if client is None else " ".join(s for s in scope.split(" ") if s in client.scopes)


def _basic_password(encoded: str) -> str | None:
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return None
    return password if colon and user == ADMIN_USER else None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
