"""The errors that a client may be told (RFC 6749 section 5.2 and the documents that extend it), as one table.

A refusal carries two texts: ``description`` goes to the client and never contains what it sent (it could be a
secret, and RFC 6749 limits the characters); ``reason`` goes to logs and metrics and is one of a bounded set.
"""

from enum import Enum
from http import HTTPStatus

import msgspec


class ErrorCode(Enum):
    """``error`` values with the status that carries them."""

    INVALID_REQUEST = ("invalid_request", HTTPStatus.BAD_REQUEST)
    INVALID_CLIENT = ("invalid_client", HTTPStatus.UNAUTHORIZED)
    INVALID_GRANT = ("invalid_grant", HTTPStatus.BAD_REQUEST)
    UNAUTHORIZED_CLIENT = ("unauthorized_client", HTTPStatus.BAD_REQUEST)
    UNSUPPORTED_GRANT_TYPE = ("unsupported_grant_type", HTTPStatus.BAD_REQUEST)
    INVALID_SCOPE = ("invalid_scope", HTTPStatus.BAD_REQUEST)
    INVALID_TARGET = ("invalid_target", HTTPStatus.BAD_REQUEST)  # RFC 8707 section 2
    SLOW_DOWN = ("slow_down", HTTPStatus.TOO_MANY_REQUESTS)  # borrowed from RFC 8628 section 3.5 for RFC 6585's 429
    TEMPORARILY_UNAVAILABLE = ("temporarily_unavailable", HTTPStatus.SERVICE_UNAVAILABLE)
    SERVER_ERROR = ("server_error", HTTPStatus.INTERNAL_SERVER_ERROR)

    def __init__(self, code: str, status: HTTPStatus) -> None:
        self.code = code
        self.status = int(status)


class Quota(msgspec.Struct, frozen=True):
    """A limit that a request met (draft-ietf-httpapi-ratelimit-headers-11 section 3)."""

    policy: str
    """Its class."""
    requests: int
    window_seconds: int | None
    """None where it is the requests at the same time that are limited."""


class ProtocolError(Exception):
    """A refusal: the decision that a request gets an error response.

    ``status`` departs from the table only where HTTP has a more exact answer (413, 415).
    """

    def __init__(
        self,
        error: ErrorCode,
        description: str,
        *,
        reason: str | None = None,
        status: int | None = None,
        retry_after_seconds: int | None = None,
        quota: Quota | None = None,
    ) -> None:
        super().__init__(f"{error.code}: {description}")
        self.error = error
        self.description = description
        self.reason = reason or error.code
        self.status = status or error.status
        self.retry_after_seconds = retry_after_seconds
        self.quota = quota


def invalid_request(description: str, *, reason: str = "invalid_request", status: int | None = None) -> ProtocolError:
    """The request itself is malformed."""
    return ProtocolError(ErrorCode.INVALID_REQUEST, description, reason=reason, status=status)


def invalid_client(reason: str) -> ProtocolError:
    """Client authentication failed. One description for every cause: it must not tell which part was wrong."""
    return ProtocolError(ErrorCode.INVALID_CLIENT, "client authentication failed", reason=reason)


def invalid_grant(description: str, *, reason: str) -> ProtocolError:
    """The grant presented (a code, a refresh token) is not good."""
    return ProtocolError(ErrorCode.INVALID_GRANT, description, reason=reason)


def temporarily_unavailable(reason: str, *, retry_after_seconds: int = 1) -> ProtocolError:
    """The service cannot answer now. Never a 401 or ``inactive``: clients throw tokens away on those."""
    return ProtocolError(
        ErrorCode.TEMPORARILY_UNAVAILABLE,
        "the service cannot answer at the moment, try again",
        reason=reason,
        retry_after_seconds=retry_after_seconds,
    )
