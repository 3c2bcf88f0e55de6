"""Authorization server metadata (RFC 8414, OpenID Connect Discovery 1.0). It advertises only what works."""

from urllib.parse import urlsplit

import msgspec

from app.protocol import client_assertion

TOKEN_PATH = "/oauth/token"
INTROSPECTION_PATH = "/oauth/introspect"
REVOCATION_PATH = "/oauth/revoke"
JWKS_PATH = "/jwks.json"
OAUTH_WELL_KNOWN = "/.well-known/oauth-authorization-server"
OPENID_WELL_KNOWN = "/.well-known/openid-configuration"

_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
_ASSERTION_ALGORITHMS = tuple(sorted(client_assertion.ALGORITHMS))


class AuthorizationServerMetadata(msgspec.Struct, frozen=True):
    """The members of RFC 8414 section 2 that this service can keep its word on."""

    issuer: str
    token_endpoint: str
    introspection_endpoint: str
    revocation_endpoint: str
    jwks_uri: str
    grant_types_supported: tuple[str, ...]
    # RFC 8414 section 3.2: "Claims with zero elements MUST be omitted from the response."
    scopes_supported: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    token_endpoint_auth_methods_supported: tuple[str, ...] = (*_AUTH_METHODS, "none")
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...] = _ASSERTION_ALGORITHMS
    introspection_endpoint_auth_methods_supported: tuple[str, ...] = _AUTH_METHODS
    introspection_endpoint_auth_signing_alg_values_supported: tuple[str, ...] = _ASSERTION_ALGORITHMS
    revocation_endpoint_auth_methods_supported: tuple[str, ...] = (*_AUTH_METHODS, "none")
    revocation_endpoint_auth_signing_alg_values_supported: tuple[str, ...] = _ASSERTION_ALGORITHMS
    # Not omitted although it is empty: section 2 requires the member, and clients look for it. It stays so until
    # there is an authorization endpoint.
    response_types_supported: tuple[str, ...] = ()


class OpenIdProviderMetadata(AuthorizationServerMetadata, frozen=True):
    """What OpenID Connect Discovery section 3 adds to RFC 8414, as far as there is something to say.

    Deviations, until people can log in: there is no ``authorization_endpoint``, which section 3 requires, because none
    exists; and RS256 is missing where ``KEYS_ALGORITHMS`` leaves it out.
    """

    subject_types_supported: tuple[str, ...] = ("public",)
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)


class ServerFacts(msgspec.Struct, frozen=True):
    """What differs from one installation to the next."""

    issuer: str
    grant_types: tuple[str, ...]
    scopes: tuple[str, ...]
    id_token_algorithms: tuple[str, ...]


def server_metadata(facts: ServerFacts) -> bytes:
    """The document of RFC 8414 as JSON."""
    return msgspec.json.encode(AuthorizationServerMetadata(**_members(facts)))  # type: ignore[arg-type]


def openid_metadata(facts: ServerFacts) -> bytes:
    """The document of OpenID Connect Discovery as JSON: that of RFC 8414 and a little more."""
    return msgspec.json.encode(
        OpenIdProviderMetadata(
            **_members(facts),  # type: ignore[arg-type]
            id_token_signing_alg_values_supported=facts.id_token_algorithms,
        )
    )


def well_known_paths(issuer: str) -> tuple[str, str]:
    """Where the two documents lie under the issuer's host.

    An issuer with a path puts it *behind* the well-known part (RFC 8414 section 3.1), while OpenID Connect Discovery
    section 4.1 appends the well-known part to the issuer.
    """
    path = urlsplit(issuer).path.rstrip("/")
    return OAUTH_WELL_KNOWN + path, path + OPENID_WELL_KNOWN


def _members(facts: ServerFacts) -> dict[str, str | tuple[str, ...] | msgspec.UnsetType]:
    return {
        "issuer": facts.issuer,
        "token_endpoint": facts.issuer + TOKEN_PATH,
        "introspection_endpoint": facts.issuer + INTROSPECTION_PATH,
        "revocation_endpoint": facts.issuer + REVOCATION_PATH,
        "jwks_uri": facts.issuer + JWKS_PATH,
        "grant_types_supported": facts.grant_types,
        "scopes_supported": facts.scopes or msgspec.UNSET,
    }
