"""What the OpenAPI document says of the hot routes: the request bodies, answers and authentication of each.

The handlers take raw requests (the endpoints parse, once, by the RFCs' rules), so what Litestar cannot read from a
signature is stated here.
"""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
    SecurityScheme,
)

from app.endpoints.answers import ErrorBody
from app.endpoints.documents import Health, Readiness
from app.protocol.introspection import ActiveToken
from app.protocol.metadata import (
    INTROSPECTION_PATH,
    JWKS_PATH,
    REVOCATION_PATH,
    TOKEN_PATH,
    AuthorizationServerMetadata,
    OpenIdProviderMetadata,
)
from app.protocol.token_response import TokenResponse

_TEXT = Schema(type=OpenAPIType.STRING)


class InactiveToken(msgspec.Struct, frozen=True):
    """The answer for every token that is not alive, or not the caller's to see."""

    active: Literal[False]


class JwksBody(msgspec.Struct, frozen=True):
    """RFC 7517 section 5."""

    keys: list[dict[str, Any]]


class LiveBody(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str


class Description(msgspec.Struct, frozen=True):
    """What the document says of one route."""

    summary: str
    description: str
    answers: dict[int, tuple[type[Any] | None, str]]
    body: dict[str, dict[str, Schema]] | None = None
    """Parameters by media type."""
    required: tuple[str, ...] = ()
    authenticated: bool = False
    tag: str = "OAuth"


_REFUSALS: dict[int, tuple[type[Any] | None, str]] = {
    400: (ErrorBody, "The request is refused (RFC 6749 section 5.2)."),
    401: (ErrorBody, "Client authentication failed."),
    413: (ErrorBody, "The body is larger than 64 KiB."),
    415: (ErrorBody, "The content type is not supported."),
    429: (ErrorBody, "The client is over its rate limit; Retry-After says when to try again."),
    503: (ErrorBody, "The service cannot answer at the moment; try again."),
}
_CLIENT = dict.fromkeys(("client_id", "client_secret", "client_assertion", "client_assertion_type"), _TEXT)
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_TOKEN_FORM = {**_CLIENT, "token": _TEXT, "token_type_hint": _TEXT}

DESCRIPTIONS: dict[str, Description] = {
    TOKEN_PATH: Description(
        "Issue tokens",
        "The token endpoint (RFC 6749 section 3.2): client_credentials and refresh_token.",
        {200: (TokenResponse, "The tokens."), **_REFUSALS},
        {
            _FORM: {
                **_CLIENT,
                "grant_type": _TEXT,
                "scope": _TEXT,
                "resource": Schema(type=OpenAPIType.STRING, format="uri"),  # type: ignore[arg-type]
                "refresh_token": _TEXT,
            }
        },
        ("grant_type",),
        authenticated=True,
    ),
    INTROSPECTION_PATH: Description(
        "Introspect a token",
        'RFC 7662. What is not alive, or not the caller\'s to see, is exactly `{"active":false}`.',
        {200: (ActiveToken | InactiveToken, "What the caller may know of the token."), **_REFUSALS},  # type: ignore[dict-item]
        {_FORM: _TOKEN_FORM, _JSON: _TOKEN_FORM},
        ("token",),
        authenticated=True,
    ),
    REVOCATION_PATH: Description(
        "Revoke a token",
        "RFC 7009. 200 means that the token is dead, or never lived. A refresh token takes its access tokens with it.",
        {200: (None, "The token is dead."), **_REFUSALS},
        {_FORM: _TOKEN_FORM},
        ("token",),
        authenticated=True,
    ),
    JWKS_PATH: Description(
        "Public keys",
        "The keys that tokens are verified with (RFC 7517).",
        {200: (JwksBody, "The key set."), 503: (ErrorBody, "There is no key yet; Retry-After says when to try again.")},
        tag="Discovery",
    ),
    "/health": Description("What runs", "Status, version and store.", {200: (Health, "It answers.")}, tag="Health"),
    "/health/live": Description("Liveness", "The process answers.", {200: (LiveBody, "It does.")}, tag="Health"),
    "/health/ready": Description(
        "Readiness",
        "Whether the process should get traffic.",
        {200: (Readiness, "It should."), 503: (Readiness, "It should not.")},
        tag="Health",
    ),
}
_METADATA = Description(
    "Authorization server metadata", "RFC 8414.", {200: (AuthorizationServerMetadata, "The metadata.")}, tag="Discovery"
)
_OPENID_METADATA = Description(
    "OpenID provider metadata",
    "OpenID Connect Discovery 1.0.",
    {200: (OpenIdProviderMetadata, "The metadata.")},
    tag="Discovery",
)
_DOCUMENT = Description("This document", "The OpenAPI document.", {200: (dict[str, Any], "It.")}, tag="Discovery")


def description_of(path: str) -> Description:
    """What the document says of a hot route's path."""
    if "oauth-authorization-server" in path:
        return _METADATA
    if "openid-configuration" in path:
        return _OPENID_METADATA
    return DESCRIPTIONS.get(path, _DOCUMENT)


def response_specs(description: Description) -> dict[int, ResponseSpec]:
    """The answers of a route, as Litestar takes them."""
    return {
        status: ResponseSpec(data_container=kind, description=text, generate_examples=False)
        for status, (kind, text) in description.answers.items()
    }


def operation_class(description: Description) -> type[Operation]:
    """An OpenAPI operation that has the route's request body and, where clients authenticate, says how."""

    @dataclass
    class HotOperation(Operation):
        def __post_init__(self) -> None:
            self.request_body = _request_body(description)
            if description.authenticated:
                self.security = [{"clientSecretBasic": []}, {}]

    return HotOperation


def components() -> Components:
    """The ways to authenticate. The other methods are parameters of the body, hence the empty alternative."""
    return Components(
        security_schemes={
            "clientSecretBasic": SecurityScheme(type="http", scheme="basic", description="RFC 6749 2.3.1")
        }
    )


def _request_body(description: Description) -> RequestBody | None:
    if description.body is None:
        return None
    return RequestBody(
        required=True,
        content={
            media: OpenAPIMediaType(
                schema=Schema(type=OpenAPIType.OBJECT, properties=dict(parameters), required=list(description.required))
            )
            for media, parameters in description.body.items()
        },
    )
