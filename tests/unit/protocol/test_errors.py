"""The table of errors, row by row."""

import pytest

from app.protocol.errors import (
    ErrorCode,
    ProtocolError,
    invalid_client,
    invalid_grant,
    invalid_request,
    temporarily_unavailable,
)

# RFC 6749 section 5.2, then RFC 8707 section 2, RFC 6585 section 4 and RFC 9110 sections 15.6.
TABLE = {
    "invalid_request": 400,
    "invalid_client": 401,
    "invalid_grant": 400,
    "unauthorized_client": 400,
    "unsupported_grant_type": 400,
    "invalid_scope": 400,
    "invalid_target": 400,
    "slow_down": 429,
    "temporarily_unavailable": 503,
    "server_error": 500,
}


def test_every_error_has_its_status() -> None:
    assert {error.code: error.status for error in ErrorCode} == TABLE


@pytest.mark.parametrize("error", ErrorCode)
def test_a_refusal_takes_status_and_reason_from_the_table(error: ErrorCode) -> None:
    refusal = ProtocolError(error, "it is so")
    assert (refusal.status, refusal.reason, refusal.retry_after_seconds) == (error.status, error.code, None)
    assert str(refusal) == f"{error.code}: it is so"


@pytest.mark.parametrize(
    ("refusal", "error", "status", "reason", "retry_after"),
    [
        (invalid_request("x"), ErrorCode.INVALID_REQUEST, 400, "invalid_request", None),
        (invalid_request("x", reason="r", status=413), ErrorCode.INVALID_REQUEST, 413, "r", None),
        (invalid_client("r"), ErrorCode.INVALID_CLIENT, 401, "r", None),
        (invalid_grant("x", reason="r"), ErrorCode.INVALID_GRANT, 400, "r", None),
        (temporarily_unavailable("r"), ErrorCode.TEMPORARILY_UNAVAILABLE, 503, "r", 1),
        (temporarily_unavailable("r", retry_after_seconds=9), ErrorCode.TEMPORARILY_UNAVAILABLE, 503, "r", 9),
    ],
)
def test_the_common_refusals(
    refusal: ProtocolError, error: ErrorCode, status: int, reason: str, retry_after: int | None
) -> None:
    assert (refusal.error, refusal.status, refusal.reason) == (error, status, reason)
    assert refusal.retry_after_seconds == retry_after


def test_failed_authentication_looks_the_same_whatever_the_cause() -> None:
    assert invalid_client("unknown_client").description == invalid_client("wrong_secret").description
