"""PyJWT's PyJWKClient: how a resource server in Python verifies the tokens offline."""

import jwt
import pytest

from tests.programs.service_calls import ServiceCalls, good_json
from tests.programs.service_clients import API, JWT, OTHER_API


def verify(service: ServiceCalls, token: str, algorithm: str, audience: str = API) -> dict[str, object]:
    """What a resource server does (RFC 9068 section 4)."""
    metadata = good_json(service.http.get("/.well-known/oauth-authorization-server"))
    key = jwt.PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(token)
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    required = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]
    claims: dict[str, object] = jwt.decode(
        token,
        key,
        algorithms=[algorithm],
        audience=audience,
        issuer=metadata["issuer"],
        options={"require": required},
    )
    return claims


def test_an_issued_token_verifies(service: ServiceCalls) -> None:
    claims = verify(service, service.access_token(JWT, scope="read"), "ES256")
    assert (claims["client_id"], claims["scope"]) == ("jwt", "read")


def test_a_token_for_another_audience_does_not(service: ServiceCalls) -> None:
    token = service.access_token(JWT, resource=OTHER_API)
    assert verify(service, token, "ES256", OTHER_API)["aud"] == OTHER_API
    with pytest.raises(jwt.InvalidAudienceError):
        verify(service, token, "ES256", API)
