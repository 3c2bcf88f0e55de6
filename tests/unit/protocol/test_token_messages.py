"""The token request as a frozen value, and the token response as JSON."""

from typing import Any

import msgspec
import pytest

from app.protocol.errors import ErrorCode, ProtocolError
from app.protocol.form import parse_form
from app.protocol.token_request import TokenRequest, parse_token_request
from app.protocol.token_response import TokenResponse, encode_token_response


@pytest.mark.parametrize(
    ("body", "request_"),
    [
        (b"grant_type=client_credentials", TokenRequest("client_credentials")),
        (b"grant_type=x&scope=a+b", TokenRequest("x", scope="a b")),
        (b"grant_type=x&scope=", TokenRequest("x")),
        (b"grant_type=refresh_token&refresh_token=r", TokenRequest("refresh_token", refresh_token="r")),
        (b"grant_type=x&resource=a&resource=b", TokenRequest("x", resources=("a", "b"))),
        (b"grant_type=x&audience=a&unknown=b", TokenRequest("x")),  # RFC 6749 section 3.2: the unknown is ignored
    ],
)
def test_a_token_request_is_read(body: bytes, request_: TokenRequest) -> None:
    assert parse_token_request(parse_form(body)) == request_


@pytest.mark.parametrize("body", [b"", b"grant_type=", b"scope=read", b"GRANT_TYPE=client_credentials"])
def test_a_token_request_names_its_grant(body: bytes) -> None:
    with pytest.raises(ProtocolError) as raised:
        parse_token_request(parse_form(body))
    assert (raised.value.error, raised.value.reason) == (ErrorCode.INVALID_REQUEST, "missing_parameter")


@pytest.mark.parametrize(
    ("members", "written"),
    [
        ({}, {}),
        ({"scope": "read"}, {"scope": "read"}),
        ({"scope": ""}, {}),
        ({"refresh_token": "r"}, {"refresh_token": "r"}),
        ({"id_token": "i", "scope": "openid"}, {"id_token": "i", "scope": "openid"}),
    ],
)
def test_the_response_has_the_members_of_the_rfc(members: dict[str, Any], written: dict[str, Any]) -> None:
    body = encode_token_response(TokenResponse("a", "Bearer", 3600, **members))
    assert msgspec.json.decode(body) == {"access_token": "a", "token_type": "Bearer", "expires_in": 3600} | written


def test_representations_hide_tokens() -> None:
    response = TokenResponse("hunter2", "Bearer", 3600, refresh_token="hunter2", id_token="hunter2")
    request_ = TokenRequest("refresh_token", scope="hunter2", resources=("hunter2",), refresh_token="hunter2")
    assert "hunter2" not in f"{response!r} {request_!r}"
