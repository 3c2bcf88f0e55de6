"""Access tokens that are JWTs (RFC 9068), verified against the ring in memory."""

from collections import OrderedDict
from collections.abc import Callable

import msgspec

from app.keys.errors import InvalidToken
from app.keys.jwt import verify
from app.keys.ring import EMPTY_RING, KeyRing
from app.protocol import access_token
from app.protocol.access_token import AccessTokenClaims
from app.protocol.opaque_token import token_digest
from app.storage.interface import IssuedFacts

MAX_REMEMBERED = 10_000
"""Tokens whose signatures are not checked again, as many as records of opaque tokens are kept of Redis: some 12 MB."""

_DOTS = 2
"""Of a JWT in compact serialization (RFC 7515 section 7.1)."""


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
    """Verifies this service's own JWTs; what is wrong with another is nobody's business here.

    A signature is checked once and remembered, for it costs more than all else of an introspection together.
    Remembered are tokens that were good, by their digests, so that guesses fill nothing; for as long as the ring is
    the very one that verified them, so that a revoked key takes its tokens with it at once. Whatever depends on the
    time is asked every time.
    """

    def __init__(self, ring: Callable[[], KeyRing], issuer: str, on_unknown_kid: Callable[[], None]) -> None:
        self._ring = ring
        self._issuer = issuer
        self._on_unknown_kid = on_unknown_kid
        self._good: OrderedDict[bytes, SignedAccessToken] = OrderedDict()
        self._good_of: KeyRing = EMPTY_RING

    def verify_access_token(self, token: str, now: float) -> SignedAccessToken | None:
        """A live access token that this service signed; None for anything else.

        Whether it was revoked is for the store to say.
        """
        if not token.isascii() or token.count(".") != _DOTS:
            return None
        ring = self._ring()
        if ring is not self._good_of:
            self._good.clear()
            self._good_of = ring
        digest = token_digest(token)
        good = self._good.get(digest)
        if good is None:
            return self._verify_anew(token, digest, ring, now)
        if now >= good.claims.exp or ring.verification_key(good.key_id, now) is None:
            del self._good[digest]
            return None
        self._good.move_to_end(digest)
        return good

    def _verify_anew(self, token: str, digest: bytes, ring: KeyRing, now: float) -> SignedAccessToken | None:
        try:
            verified = verify(
                token,
                ring,
                typ=access_token.TYP,
                issuer=self._issuer,
                now=now,
                on_unknown_kid=self._on_unknown_kid,
            )
        except InvalidToken:
            return None
        claims = access_token.decode_claims(verified.claims)
        if claims is None:
            return None
        signed = SignedAccessToken(claims, verified.key_id)
        if "nbf" not in verified.claims:  # ours have none; one that has is not good at every time before its end
            self._good[digest] = signed
            if len(self._good) > MAX_REMEMBERED:
                self._good.popitem(last=False)
        return signed
