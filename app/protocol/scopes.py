"""Scope (RFC 6749 section 3.3): what may be asked for, what is given."""

import re
from collections.abc import Sequence

from app.protocol.errors import ErrorCode, ProtocolError

SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
"""``scope-token`` of RFC 6749 appendix A.4."""
_SCOPE = re.compile(rf"{SCOPE_TOKEN.pattern}(?: {SCOPE_TOKEN.pattern})*")


def split_scope(scope: str) -> tuple[str, ...]:
    """The scope tokens of a ``scope`` value, in order, without repeats.

    Raises ProtocolError (``invalid_scope``) if it is not of the form of RFC 6749 section 3.3.
    """
    if not _SCOPE.fullmatch(scope):
        raise _invalid_scope("the scope is malformed", "scope_malformed")
    return tuple(dict.fromkeys(scope.split(" ")))


def grant_scope(requested: str | None, allowed: Sequence[str], default: Sequence[str] | None) -> str:
    """The scope to grant: what was requested if all of it is allowed, else the pre-defined default.

    ``default`` is None where an omitted scope means all that is allowed. Raises ProtocolError (``invalid_scope``)
    if anything beyond ``allowed`` is requested: never silently less than asked for, never more.
    """
    if requested is None:
        return " ".join(allowed if default is None else default)
    tokens = split_scope(requested)
    for token in tokens:
        if token not in allowed:
            raise _invalid_scope("the scope exceeds what this client may ask for", "scope_not_allowed")
    return " ".join(tokens)


def narrow_scope(requested: str | None, granted: str) -> str:
    """The scope of a refreshed access token: at most what the resource owner granted (RFC 6749 section 6)."""
    if requested is None:
        return granted
    tokens = split_scope(requested)
    if not set(tokens) <= set(granted.split(" ")):
        raise _invalid_scope("the scope exceeds what was originally granted", "scope_widened")
    return " ".join(tokens)


def _invalid_scope(description: str, reason: str) -> ProtocolError:
    return ProtocolError(ErrorCode.INVALID_SCOPE, description, reason=reason)
