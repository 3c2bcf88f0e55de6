"""The metadata documents: what is advertised, and where they lie."""

from typing import Any

import msgspec
import pytest

from app.protocol import metadata
from app.protocol.client_assertion import ALGORITHMS

ISSUER = "https://issuer.example"
GRANTS = ("client_credentials", "refresh_token")


SCOPES = ("read", "write")


def server(issuer: str = ISSUER, scopes: tuple[str, ...] = SCOPES) -> dict[str, Any]:
    facts = metadata.ServerFacts(issuer, GRANTS, scopes, ("ES256", "RS256"))
    decoded: dict[str, Any] = msgspec.json.decode(metadata.server_metadata(facts))
    return decoded


def openid(issuer: str = ISSUER, scopes: tuple[str, ...] = SCOPES) -> dict[str, Any]:
    facts = metadata.ServerFacts(issuer, GRANTS, scopes, ("ES256", "RS256"))
    decoded: dict[str, Any] = msgspec.json.decode(metadata.openid_metadata(facts))
    return decoded


CONFIDENTIAL = ["client_secret_basic", "client_secret_post", "private_key_jwt"]


def test_the_authorization_server_metadata() -> None:
    assert server() == {
        "issuer": ISSUER,
        "token_endpoint": ISSUER + "/oauth/token",
        "introspection_endpoint": ISSUER + "/oauth/introspect",
        "revocation_endpoint": ISSUER + "/oauth/revoke",
        "jwks_uri": ISSUER + "/jwks.json",
        "grant_types_supported": list(GRANTS),
        "scopes_supported": ["read", "write"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": [*CONFIDENTIAL, "none"],
        "token_endpoint_auth_signing_alg_values_supported": sorted(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": CONFIDENTIAL,  # public clients may not introspect
        "introspection_endpoint_auth_signing_alg_values_supported": sorted(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": [*CONFIDENTIAL, "none"],
        "revocation_endpoint_auth_signing_alg_values_supported": sorted(ALGORITHMS),
    }


def test_the_openid_document_says_the_same_and_more() -> None:
    assert openid() == server() | {
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
    }


def test_no_algorithm_without_a_signature_is_advertised() -> None:
    """RFC 8414 section 2: "The value "none" MUST NOT be used" for the authentication algorithms."""
    for name, values in openid().items():
        if "alg_values" in name:
            assert "none" not in values
            assert not any(value.startswith("HS") for value in values)


@pytest.mark.parametrize(
    ("issuer", "oauth", "openid_path"),
    [
        (ISSUER, "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"),
        (ISSUER + "/", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"),
        # RFC 8414 section 3.1 puts the issuer's path behind, OpenID Connect Discovery section 4.1 in front.
        (
            ISSUER + "/tenant",
            "/.well-known/oauth-authorization-server/tenant",
            "/tenant/.well-known/openid-configuration",
        ),
        (
            ISSUER + "/a/b/",
            "/.well-known/oauth-authorization-server/a/b",
            "/a/b/.well-known/openid-configuration",
        ),
        ("http://127.0.0.1:8080", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"),
    ],
)
def test_where_the_documents_lie(issuer: str, oauth: str, openid_path: str) -> None:
    assert metadata.well_known_paths(issuer) == (oauth, openid_path)


def test_an_issuer_with_a_path_has_its_endpoints_below_it() -> None:
    document = server(ISSUER + "/tenant")
    assert document["issuer"] == ISSUER + "/tenant"
    assert document["token_endpoint"] == ISSUER + "/tenant/oauth/token"
    assert document["jwks_uri"] == ISSUER + "/tenant/jwks.json"


def test_an_empty_list_of_scopes_is_left_out() -> None:
    """RFC 8414 section 3.2: "Claims with zero elements MUST be omitted from the response"."""
    for document in (server(scopes=()), openid(scopes=())):
        assert "scopes_supported" not in document
