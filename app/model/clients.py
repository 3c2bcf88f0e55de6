"""A registered client (RFC 6749 section 2) as the service sees it after its configuration was checked."""

from enum import StrEnum
from typing import Any

import msgspec

PROBE_ID = "auth-service:probe"
"""The client of the service's own synthetic probe; no other may have this id."""


class ClientAuthMethod(StrEnum):
    """``token_endpoint_auth_method`` values (RFC 7591 section 2) that the service supports."""

    CLIENT_SECRET_BASIC = "client_secret_basic"
    CLIENT_SECRET_POST = "client_secret_post"
    PRIVATE_KEY_JWT = "private_key_jwt"
    NONE = "none"


class IntrospectionPolicy(StrEnum):
    """Whose tokens a client may introspect (RFC 7662 section 4)."""

    OWN = "own"
    """Tokens issued to the client itself."""
    AUDIENCE = "audience"
    """Its own, and tokens whose audience names the client's id or one of its ``audiences``."""
    ALL = "all"


class AccessTokenFormat(StrEnum):
    OPAQUE = "opaque"
    JWT = "jwt"


class ClientSecret(msgspec.Struct, frozen=True):
    """One of a client's secrets, as a digest.

    Generated secrets carry at least 256 bits and are kept as SHA-256: nothing is gained by a slow hash.
    Secrets that a person chose are kept as an argon2id string.
    """

    sha256: bytes | None = None
    """32 bytes, or None if the secret is kept as ``argon2id``."""
    argon2id: str | None = None
    """A PHC string, ``$argon2id$v=19$…``."""
    not_after: float | None = None
    """Unix seconds from which the secret is refused; None for never."""

    def __repr__(self) -> str:
        return "ClientSecret(…)"


class ClientKey(msgspec.Struct, frozen=True):
    """One of a client's public keys, ready to verify with: made once, when the clients or the set are read."""

    jwk: dict[str, Any]
    """Its JWK members (RFC 7517), as they were registered or published."""
    algorithms: tuple[str, ...]
    """What it may be used with; never empty."""
    key: Any
    """The key itself, as the cryptographic library has it."""

    @property
    def kid(self) -> str | None:
        return self.jwk.get("kid")


class Client(msgspec.Struct, frozen=True):
    """A client, ready to be decided about."""

    id: str
    auth_method: ClientAuthMethod = ClientAuthMethod.CLIENT_SECRET_BASIC
    secrets: tuple[ClientSecret, ...] = ()
    jwks: tuple[ClientKey, ...] = ()
    """Public keys for ``private_key_jwt``."""
    jwks_uri: str | None = None
    """Where they are published instead; an absolute https URL."""
    grants: frozenset[str] = frozenset({"client_credentials"})
    scopes: tuple[str, ...] = ()
    """What the client may ask for."""
    default_scopes: tuple[str, ...] | None = None
    """What an omitted scope means; None for all of ``scopes``."""
    audiences: tuple[str, ...] = ()
    """What ``resource`` (RFC 8707) may name; the first is the default. Empty: the issuer is the only audience."""
    introspect: IntrospectionPolicy = IntrospectionPolicy.OWN
    access_token_format: AccessTokenFormat = AccessTokenFormat.OPAQUE
    access_token_seconds: int = 3600
    refresh_token_enabled: bool = False
    refresh_token_seconds: int = 86400
    id_token_signed_response_alg: str = "RS256"
    redirect_uris: tuple[str, ...] = ()
    rate_limit_per_minute: int | None = None
    """Requests a minute; None for the service's default, 0 for unlimited."""

    def live_secrets(self, now: float) -> tuple[ClientSecret, ...]:
        """The secrets that may be used at ``now`` (Unix seconds)."""
        return tuple(s for s in self.secrets if s.not_after is None or now < s.not_after)
