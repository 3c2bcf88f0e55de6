"""Access tokens that are JWTs (RFC 9068), verified against the ring in memory."""

from collections.abc import Callable

from app.keys.errors import InvalidToken
from app.keys.jwt import verify
from app.keys.ring import KeyRing
from app.protocol import access_token
from app.protocol.access_token import AccessTokenClaims
from app.storage.interface import IssuedFacts


class SignedTokens:
    """Verifies this service's own JWTs; what is wrong with another is nobody's business here."""

    def __init__(self, ring: Callable[[], KeyRing], issuer: str, on_unknown_kid: Callable[[], None]) -> None:
        self._ring = ring
        self._issuer = issuer
        self._on_unknown_kid = on_unknown_kid

    def verify_access_token(self, token: str, now: float) -> AccessTokenClaims | None:
        """The claims of a live access token that this service signed; None for anything else.

        Whether it was revoked is for the store to say.
        """
        try:
            payload = verify(
                token,
                self._ring(),
                typ=access_token.TYP,
                issuer=self._issuer,
                now=now,
                on_unknown_kid=self._on_unknown_kid,
            )
        except InvalidToken:
            return None
        return access_token.decode_claims(payload)


def issued_facts(claims: AccessTokenClaims) -> IssuedFacts:
    """What the store needs to know of a JWT that it has no record of."""
    return IssuedFacts(claims.client_id, claims.sub, claims.iat)
