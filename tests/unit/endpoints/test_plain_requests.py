"""Token requests that many send alike: kept are those that hold nothing of anyone's, and not without bound."""

from urllib.parse import urlencode

import pytest

from app.endpoints.exchange import Request
from app.endpoints.parameters import read_parameters
from app.endpoints.plain_requests import MAX_BODY_BYTES, MAX_KEPT, PlainRequests
from app.protocol.form import FORM_CONTENT_TYPE
from app.protocol.token_request import parse_token_request


def asked(body: bytes, content_type: bytes = FORM_CONTENT_TYPE, *, has_query: bool = False) -> Request:
    return Request("POST", body, content_type=content_type, has_query=has_query)


def read(plain: PlainRequests, request: Request) -> None:
    plain.keep(request, read_parameters(request))


@pytest.mark.parametrize(
    "body",
    [
        b"grant_type=client_credentials",
        b"grant_type=client_credentials&scope=read+write",
        b"scope=read%20write&grant_type=client_credentials&resource=https%3A%2F%2Fa&resource=b",
    ],
)
def test_a_body_like_one_that_was_read_is_the_same_token_request(body: bytes) -> None:
    plain = PlainRequests()
    assert plain.find(asked(body)) is None
    read(plain, asked(body))
    assert plain.find(asked(body)) == parse_token_request(read_parameters(asked(body)))


@pytest.mark.parametrize(
    "parameter",
    [
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "refresh_token",
        "code",
        "code_verifier",
        "assertion",
        "password",
        "anything",
    ],
)
def test_a_body_with_anything_but_open_parameters_is_not_kept(parameter: str) -> None:
    plain = PlainRequests()
    read(plain, asked(urlencode({"grant_type": "client_credentials", parameter: "x"}).encode()))
    read(plain, asked(urlencode({parameter: "x"}).encode()))
    assert len(plain) == 0


@pytest.mark.parametrize("grant_type", ["refresh_token", "authorization_code", "unheard-of"])
def test_a_request_of_another_grant_is_read_each_time(grant_type: str) -> None:
    """A refresh counts as one, with its token or without."""
    plain = PlainRequests()
    read(plain, asked(f"grant_type={grant_type}&scope=read".encode()))
    read(plain, asked(f"grant_type={grant_type}&refresh_token=".encode()))
    assert len(plain) == 0


def test_a_body_that_is_no_form_or_comes_with_a_query_is_looked_at_each_time() -> None:
    plain, body = PlainRequests(), b"grant_type=client_credentials"
    read(plain, asked(body))
    assert plain.find(asked(body, b"application/json")) is None
    assert plain.find(asked(body, b"application/x-www-form-urlencoded; charset=utf-8")) is None
    assert plain.find(asked(body, has_query=True)) is None


def test_what_is_kept_is_bounded_in_number_and_in_size() -> None:
    plain = PlainRequests()
    for number in range(3 * MAX_KEPT):
        read(plain, asked(b"grant_type=client_credentials&scope=%d" % number))
        assert 1 <= len(plain) <= MAX_KEPT
    before = len(plain)
    read(plain, asked(b"grant_type=client_credentials&scope=" + b"x" * MAX_BODY_BYTES))
    assert len(plain) == before
