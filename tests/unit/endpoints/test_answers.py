"""The shared answers: headers on every one of them, and the one mapping from refusals to HTTP."""

import msgspec
import pytest

from app.endpoints.answers import SECURITY_HEADERS, empty_answer, error_answer, json_answer, method_not_allowed
from app.endpoints.exchange import Request, Response
from app.endpoints.parameters import read_parameters
from app.protocol.errors import ErrorCode, ProtocolError, invalid_client, invalid_request, temporarily_unavailable

CHALLENGE = (b"www-authenticate", b'Basic realm="auth-service", charset="UTF-8"')


@pytest.mark.parametrize("error", ErrorCode)
def test_every_error_becomes_its_status_and_body(error: ErrorCode) -> None:
    answer = error_answer(ProtocolError(error, "it is so"))
    assert answer.status == error.status
    assert msgspec.json.decode(answer.body) == {"error": error.code, "error_description": "it is so"}
    assert (CHALLENGE in answer.headers) is (error is ErrorCode.INVALID_CLIENT)
    assert b"retry-after" not in dict(answer.headers)


@pytest.mark.parametrize(
    ("refusal", "status", "retry_after"),
    [
        (invalid_request("x", status=413), 413, None),
        (invalid_request("x", status=415), 415, None),
        (temporarily_unavailable("r"), 503, b"1"),
        (ProtocolError(ErrorCode.SLOW_DOWN, "x", retry_after_seconds=20), 429, b"20"),
        (invalid_client("r"), 401, None),
    ],
)
def test_status_and_retry_after_are_the_refusals_own(
    refusal: ProtocolError, status: int, retry_after: bytes | None
) -> None:
    answer = error_answer(refusal)
    assert (answer.status, dict(answer.headers).get(b"retry-after")) == (status, retry_after)
    assert b'"r"' not in answer.body  # the reason is for the log


@pytest.mark.parametrize(
    "answer",
    [json_answer(b"{}"), empty_answer(), error_answer(invalid_client("r")), method_not_allowed("POST")],
)
def test_every_answer_is_safe_and_kept_by_no_cache(answer: Response) -> None:
    headers = dict(answer.headers)
    assert len(headers) == len(answer.headers)
    assert headers.items() >= dict(SECURITY_HEADERS).items()
    assert (headers[b"cache-control"], headers[b"pragma"]) == (b"no-store", b"no-cache")
    assert (b"content-type" in headers) is bool(answer.body)
    assert all(name == name.lower() for name in headers)


def test_another_method_is_told_the_right_one() -> None:
    answer = method_not_allowed("GET, HEAD")
    assert answer.status == 405
    assert dict(answer.headers)[b"allow"] == b"GET, HEAD"


def test_parameters_in_the_url_are_refused() -> None:
    """RFC 6749 section 2.3.1; RFC 9700 section 4.3.2."""
    form = b"application/x-www-form-urlencoded"
    assert read_parameters(Request("POST", b"a=1", content_type=form)).get("a") == "1"
    with pytest.raises(ProtocolError) as raised:
        read_parameters(Request("POST", b"a=1", content_type=form, has_query=True))
    assert raised.value.reason == "query_string"
