"""Refreshing (RFC 6749 section 6) with rotation and reuse detection (RFC 9700 section 4.14.2).

Every use replaces the refresh token; the used one is remembered, so that a second use is seen. Then either the client
or a thief holds a stolen token, and nobody can tell which: the whole family ends.
"""

import msgspec

from app.grants.decision import Decision, FamilyLife, Issue, Loaded, ReuseDetected, TokenPolicy
from app.model.clients import Client
from app.protocol.errors import ErrorCode, ProtocolError, invalid_grant, invalid_request
from app.protocol.resources import narrow_audience
from app.protocol.scopes import narrow_scope
from app.protocol.token_request import TokenRequest


class RefreshToken:
    """A refresh token for a new pair of tokens."""

    grant_type = "refresh_token"

    def permitted(self, client: Client) -> bool:
        return client.refresh_token_enabled

    def refresh_token_of(self, request: TokenRequest) -> str | None:
        if request.refresh_token is None:
            raise invalid_request("the parameter refresh_token is missing", reason="missing_parameter")
        return request.refresh_token

    def decide(self, request: TokenRequest, client: Client, loaded: Loaded, now: int, policy: TokenPolicy) -> Decision:
        record, ref = loaded.refresh_record, loaded.refresh_ref
        # Unknown, revoked and another client's are one answer: it must not tell whether the token exists.
        if record is None or ref is None or record.client_id != client.id:
            raise _refused("unknown")
        if record.used_at is not None:
            grace = policy.refresh_reuse_grace_seconds
            return ReuseDetected(
                family=record.family,
                family_expires_at=record.family_expires_at,
                # Without a grace the time does not count: the first use may lie ahead of ``now``, by another
                # replica's clock, or because this request began before it.
                revoke=grace == 0 or now - record.used_at >= grace,
            )
        if record.expires_at <= now or record.family_expires_at <= now:
            raise _refused("expired")
        # What the client may no longer have is dropped from what was granted; asking for it by name is refused.
        scope = " ".join(s for s in record.scope.split() if s in client.scopes)
        if record.scope and not scope:
            # An answer without a scope would say "as requested" (RFC 6749 section 5.1), which it is not.
            raise ProtocolError(
                ErrorCode.INVALID_SCOPE, "the client may have none of what was granted any more", reason="scope_lost"
            )
        audience = [a for a in record.audience if a in client.audiences or a == policy.issuer]
        if not audience:
            raise _refused("audience")
        return Issue(
            subject=record.subject,
            scope=narrow_scope(request.scope, scope),
            audience=narrow_audience(request.resources, audience),
            with_refresh_token=True,
            refresh_scope=record.scope,
            refresh_audience=record.audience,
            family=FamilyLife(record.family, record.family_expires_at),
            used=(ref, msgspec.structs.replace(record, used_at=now)),
        )


def _refused(reason: str) -> ProtocolError:
    return invalid_grant("the refresh token is invalid, expired or revoked", reason=f"refresh_token_{reason}")
