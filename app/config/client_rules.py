"""What the settings of one client must be towards each other."""

from collections.abc import Collection, Iterator

from app.model.clients import Client, ClientAuthMethod

_SECRET_METHODS = (ClientAuthMethod.CLIENT_SECRET_BASIC, ClientAuthMethod.CLIENT_SECRET_POST)


def check_client(client: Client, given: Collection[str]) -> Iterator[tuple[str, str]]:
    """What contradicts itself: the field to be blamed, and why. ``given`` names the fields that the file has."""
    method = client.auth_method
    if method in _SECRET_METHODS:
        if not client.secrets:
            yield "secrets", f"auth_method {method} needs at least one secret"
        yield from _keys_without_effect(method, given)
    elif "secrets" in given:
        yield "secrets", f"secrets have no effect with auth_method {method}"
    if method is ClientAuthMethod.PRIVATE_KEY_JWT:
        if "jwks" in given and "jwks_uri" in given:
            # RFC 7591 section 2: they "MUST NOT both be present".
            yield "jwks_uri", "jwks and jwks_uri exclude each other"
        elif not client.jwks and client.jwks_uri is None:
            yield "jwks", "auth_method private_key_jwt needs jwks with at least one key, or jwks_uri"
    if method is ClientAuthMethod.NONE:
        yield from _public(client, given)
    if not client.grants:
        yield "grants", "grants must not be empty"
    if client.refresh_token_enabled and "refresh_token" not in client.grants:
        yield "refresh_token", "refresh_token.enabled needs refresh_token among the grants"
    surplus = [scope for scope in client.default_scopes or () if scope not in client.scopes]
    if surplus:
        yield "default_scopes", "default_scopes must all be among the scopes"


def _public(client: Client, given: Collection[str]) -> Iterator[tuple[str, str]]:
    """A public client proves nothing (RFC 6749 section 2.1), so it gets nothing that rests on proof."""
    if "client_credentials" in client.grants:
        # RFC 6749 section 4.4: "MUST only be used by confidential clients".
        yield "grants", "auth_method none cannot have the grant client_credentials"
    if "introspect" in given:
        # RFC 7662 section 2.1: the endpoint requires some form of authorization.
        yield "introspect", "auth_method none cannot introspect"
    yield from _keys_without_effect(client.auth_method, given)


def _keys_without_effect(method: ClientAuthMethod, given: Collection[str]) -> Iterator[tuple[str, str]]:
    for field in ("jwks", "jwks_uri"):
        if field in given:
            yield field, f"{field} has no effect with auth_method {method}"
