"""Resource indicators (RFC 8707): which resource servers a token is for."""

from collections.abc import Sequence

from app.protocol.errors import ErrorCode, ProtocolError


def grant_audience(requested: Sequence[str], allowed: Sequence[str], default: str) -> tuple[str, ...]:
    """The audience of a new access token; never empty (RFC 9068 section 3).

    ``allowed`` are the client's audiences, the first being what an omitted ``resource`` means; ``default`` stands in
    where the client has none. Raises ProtocolError (``invalid_target``) for anything else.
    """
    if not requested:
        return (allowed[0],) if allowed else (default,)
    for resource in requested:
        # Simple string comparison (RFC 3986 section 6.2.1): a resource is a name here, it is never dereferenced.
        if resource not in allowed:
            raise ProtocolError(
                ErrorCode.INVALID_TARGET, "a resource is not one this client may use", reason="resource_not_allowed"
            )
    return tuple(dict.fromkeys(requested))


def narrow_audience(requested: Sequence[str], granted: Sequence[str]) -> tuple[str, ...]:
    """The audience of a refreshed access token: a subset of what was granted (RFC 8707 section 2.2)."""
    if not requested:
        return tuple(granted)
    return grant_audience(requested, granted, "")
