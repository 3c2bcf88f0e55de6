"""Access tokens that are JWTs (RFC 9068), verified against the ring in memory."""

from collections.abc import Callable

import msgspec

from app.keys.errors import InvalidToken
from app.keys.jwt import verify
from app.keys.ring import KeyRing
from app.protocol import access_token
from app.protocol.access_token import AccessTokenClaims
from app.storage.interface import IssuedFacts


class SignedAccessToken(msgspec.Struct, frozen=True, gc=False):
    """A live access token that this service signed; whether it was revoked is for the store to say."""

    claims: AccessTokenClaims
    key_id: str
    """The ``kid`` of the key that signed it."""

    @property
    def issued(self) -> IssuedFacts:
        """What the store needs to know of a JWT that it has no record of."""
        claims = self.claims
        return IssuedFacts(claims.client_id, claims.sub, claims.iat, self.key_id)


class SignedTokens:
    """Verifies this service's own JWTs; what is wrong with another is nobody's business here."""

    def __init__(self, ring: Callable[[], KeyRing], issuer: str, on_unknown_kid: Callable[[], None]) -> None:
        self._ring = ring
        self._issuer = issuer
        self._on_unknown_kid = on_unknown_kid

    def verify_access_token(self, token: str, now: float) -> SignedAccessToken | None:
        """A live access token that this service signed; None for anything else.

        Whether it was revoked is for the store to say.
        """
        try:
            verified = verify(
                token,
                self._ring(),
                typ=access_token.TYP,
                issuer=self._issuer,
                now=now,
                on_unknown_kid=self._on_unknown_kid,
            )
        except InvalidToken:
            return None
        claims = access_token.decode_claims(verified.claims)
        return None if claims is None else SignedAccessToken(claims, verified.key_id)
