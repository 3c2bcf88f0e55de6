"""What a grant is given and what it decides.

Rules:
- A grant is pure: (request, client, loaded, now) in, a decision out, or a ProtocolError raised.
- It decides *what* is issued. How tokens are made, written and answered is the endpoint's part, the same for all
  grants, so that no grant can forget a step.
"""

from typing import Protocol

import msgspec

from app.model.clients import Client
from app.model.tokens import RefreshTokenRecord, TokenRef
from app.protocol.id_token import Authentication
from app.protocol.token_request import TokenRequest


class TokenPolicy(msgspec.Struct, frozen=True):
    """The service-wide rules that grants apply."""

    issuer: str
    refresh_reuse_grace_seconds: int
    """0: any second use of a refresh token revokes its family. Above: not within this many seconds of the first."""


class Loaded(msgspec.Struct, frozen=True):
    """What the endpoint loaded for the decision, as far as it exists."""

    refresh_ref: TokenRef | None = None
    refresh_record: RefreshTokenRecord | None = None


NOTHING_LOADED = Loaded()


class FamilyLife(msgspec.Struct, frozen=True):
    """A family that exists already."""

    name: str
    expires_at: int
    """Unix seconds."""


class Issue(msgspec.Struct, frozen=True):
    """Issue tokens."""

    subject: str
    scope: str
    audience: tuple[str, ...]
    with_refresh_token: bool = False
    refresh_scope: str | None = None
    """The scope that the refresh token carries on where it is not the access token's own."""
    refresh_audience: tuple[str, ...] | None = None
    family: FamilyLife | None = None
    """The family that the tokens join; None to found one if there is a refresh token."""
    used: tuple[TokenRef, RefreshTokenRecord] | None = None
    """The refresh token that this issuance uses up, with ``used_at`` set."""
    authentication: Authentication | None = None
    """How the subject was authenticated, where it is a person: with the scope ``openid`` it makes an ID token."""


class ReuseDetected(msgspec.Struct, frozen=True):
    """A refresh token came a second time (RFC 9700 section 4.14.2): refuse, and perhaps end the family."""

    family: str
    family_expires_at: int
    revoke: bool


Decision = Issue | ReuseDetected


class Grant(Protocol):
    """A way to get tokens."""

    @property
    def grant_type(self) -> str:
        """The ``grant_type`` value."""

    def permitted(self, client: Client) -> bool:
        """Whether the client is registered for this grant."""

    def refresh_token_of(self, request: TokenRequest) -> str | None:
        """The refresh token whose record the decision needs; None if it needs none."""

    def decide(self, request: TokenRequest, client: Client, loaded: Loaded, now: int, policy: TokenPolicy) -> Decision:
        """Decide. Raises ProtocolError for a refusal that changes nothing."""
