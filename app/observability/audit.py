"""Audit events: what happened that matters to security, who did it, from where, and what came of it.

One JSON object a line; ``docs/operations/audit.md`` is the schema, and a test compares the two.

Rules:
- One method an act, called where the act is final: after its commit, or with its refusal.
- Never a token, secret or assertion: a token is named by the SHA-256 of its text, so that whoever found one can find
  its events (``printf %s "$TOKEN" | sha256sum``). A client id is told only where a client of that name exists: people
  paste secrets into the wrong field.
- Introspection that succeeds is no event: there would be as many as requests.
- Refusals are told one by one while they are few; of a flood (for the same reason, of the same client or of nobody,
  from the same address) the rest of a minute is counted, and the number told with the next; what a flood of too many
  kinds counted and cannot tell is counted as lost. Failed authentications are alike whatever was wrong: whether one is
  told takes time, and must not depend on whether its client exists.
- An event costs the caller a few microseconds and never a wait (:mod:`app.observability.audit_writer`).
"""

import hashlib
from collections import deque
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from app.observability.audit_destination import destination
from app.observability.audit_writer import AuditWriter, Worth
from app.observability.repetition import Repetition
from app.protocol.networks import network_of

RECENT = 50
ONE_BY_ONE = 60
"""Refusals alike that are told within a minute; an attack is seen by then, and the number of the others follows."""
_WORTH = {
    "token.revoked": Worth.TOKENS_ENDED,
    "refresh_token.reused": Worth.TOKENS_ENDED,
    "key.rotated": Worth.OPERATORS,
    "key.revoked": Worth.OPERATORS,
    "admin.changed": Worth.OPERATORS,
}
"""Of which events some places are kept for; no others."""


class Outcome(StrEnum):
    """What came of an act."""

    SUCCESS = "success"
    REFUSED = "refused"
    FAILED = "failed"


class AuditEvent(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One line. Members that do not apply are absent."""

    timestamp: datetime
    """RFC 3339, UTC."""
    event: str
    outcome: Outcome
    request_id: str | None = None
    client_id: str | None = None
    """A registered client: who asked, or, where authentication failed, who it was said to be."""
    address: str | None = None
    """Where the request came from (``TRUSTED_PROXIES`` decides which hop that is)."""
    operation: str | None = None
    """``issue``, ``refresh``, ``introspect`` or ``revoke``."""
    reason: str | None = None
    """Why it was refused; one of the reasons of ``token_operation_failures_total``."""
    grant_type: str | None = None
    token_format: str | None = None
    token_hash: str | None = None
    """``sha256:`` and the hexadecimal digest of the token's text."""
    refresh_token_hash: str | None = None
    subject: str | None = None
    scope: str | None = None
    limit: str | None = None
    """The class of the limit that was hit."""
    suppressed: int = 0
    """Like events since the last one told, which are not told one by one."""
    kid: str | None = None
    algorithm: str | None = None
    actor: str | None = None
    """Who changed something: ``service``, ``command``, ``operator`` or a client with the operators' scope."""
    change: str | None = None
    """What was changed, in words."""


class Origin(Protocol):
    """What an event says of the request that it comes from; :class:`app.endpoints.exchange.Request` is one."""

    request_id: str
    client_id: str | None
    peer: str | None
    operation: str | None

    def presented_token(self) -> str | None:
        """The token that the request is about, if what it gave has the form of one."""


def token_hash(token: str) -> str:
    """How events name a token."""
    return _named(hashlib.sha256(token.encode(errors="surrogatepass")).digest())


def _named(digest: bytes) -> str:
    return "sha256:" + digest.hex()


class Audit:
    """Tells of security-relevant acts. One for each process; any thread may call it."""

    def __init__(
        self, writer: AuditWriter | None, now: Callable[[], float], on_dropped: Callable[[int], None] = lambda _: None
    ) -> None:
        """``now`` is Unix seconds; without a writer nothing is told.

        ``on_dropped`` is given numbers of refusals that are neither told nor in any ``suppressed``.
        """
        self._writer = writer
        self._now = now
        self._recent: deque[AuditEvent] = deque(maxlen=RECENT)
        self._refusals = Repetition(ONE_BY_ONE, on_dropped)
        self._limit_hits = Repetition(on_lost=on_dropped)

    @property
    def enabled(self) -> bool:
        """Whether events go anywhere: where not, what they would say need not be computed."""
        return self._writer is not None

    @property
    def crowded(self) -> bool:
        """Whether much waits to be written: who has many events to tell, and time, should wait with more."""
        return self._writer is not None and self._writer.crowded

    @property
    def recent(self) -> list[AuditEvent]:
        """The last :data:`RECENT` events, the newest first: for a look, not the record.

        Without those of tokens that were issued, or revoked by list: they would leave room for nothing else.
        """
        return list(reversed(self._recent))

    def close(self) -> None:
        """Write what waits; blocks, for a bounded time."""
        if self._writer is not None:
            self._writer.close()

    # ------------------------------------------------------------------ tokens

    def token_issued(
        self,
        request: Origin,
        *,
        grant_type: str,
        token_format: str,
        token_digest: bytes,
        refresh_token_digest: bytes | None,
        subject: str | None,
        scope: str,
    ) -> None:
        """Tokens were committed, and are about to leave. The digests are SHA-256 of their texts."""
        if self._writer is not None:
            self._writer.put(
                AuditEvent(
                    datetime.fromtimestamp(self._now(), UTC),
                    "token.issued",
                    Outcome.SUCCESS,
                    request.request_id,
                    request.client_id,
                    request.peer,
                    request.operation,
                    None,
                    grant_type,
                    token_format,
                    _named(token_digest),
                    None if refresh_token_digest is None else _named(refresh_token_digest),
                    subject,
                    scope,
                )
            )

    def token_revoked(self, request: Origin, token: str, *, actor: str | None = None) -> None:
        """A client ended its token, or an operator (``actor``) one of a list; a refresh token's family went with it."""
        if self._writer is not None:
            self._of_request("token.revoked", Outcome.SUCCESS, request, token_hash=token_hash(token), actor=actor)

    def refresh_token_reused(self, request: Origin, token: str, *, family_revoked: bool) -> None:
        """A refresh token came a second time; within the grace its family lives on."""
        reason = "refresh_token_reused" if family_revoked else "refresh_token_reused_in_grace"
        self._of_request("refresh_token.reused", Outcome.REFUSED, request, reason=reason, token_hash=token_hash(token))

    # ------------------------------------------------------------------ refusals

    def request_refused(self, request: Origin, reason: str) -> None:
        """A token, or a revocation, was refused to whoever asked; of a flood the first. The event loop's."""
        row = "token.refused", reason, request.client_id, network_of(request.peer)
        self._refused("token.refused", request, self._refusals, row, reason=reason)

    def authentication_failed(self, request: Origin, reason: str) -> None:
        """Client authentication failed, at any endpoint; of a flood the first. The event loop's."""
        # All of an address are alike: rows of their own for clients that exist would tell by the time which do.
        row = "client.refused", network_of(request.peer)
        self._refused("client.refused", request, self._refusals, row, reason=reason)

    def limit_hit(self, request: Origin, limit: str, key: str) -> None:
        """A limit of class ``limit`` refused a request; of those of a ``key`` the first. The event loop's."""
        self._refused("limit.hit", request, self._limit_hits, (limit, key), limit=limit)

    def _refused(self, event: str, request: Origin, rows: Repetition, row: Hashable, **members: str) -> None:
        """``row``: what is the same of all refusals that are alike."""
        if self._writer is None:
            return
        untold = rows.untold(row, self._now())
        if untold is not None:
            presented = _hash_of_presented(request)
            self._of_request(event, Outcome.REFUSED, request, token_hash=presented, suppressed=untold, **members)

    # ------------------------------------------------------------------ keys and operators

    def key_rotated(
        self, *, actor: str, outcome: Outcome = Outcome.SUCCESS, kid: str | None = None, algorithm: str | None = None
    ) -> None:
        """The key ring was given new keys (``success``), or could not be (``failed``)."""
        self._put("key.rotated", outcome, actor=actor, kid=kid, algorithm=algorithm)

    def key_revoked(self, *, actor: str, kid: str, algorithm: str | None = None, reason: str | None = None) -> None:
        """A key was declared dead, with everything that it signed."""
        self._put("key.revoked", Outcome.SUCCESS, actor=actor, kid=kid, algorithm=algorithm, reason=reason)

    def admin_changed(self, change: str, *, actor: str, request: Origin | None = None) -> None:
        """An operator, or a file that operators keep, changed how the service behaves; ``change`` says how."""
        self._put(
            "admin.changed",
            Outcome.SUCCESS,
            actor=actor,
            change=change,
            request_id=None if request is None else request.request_id,
            address=None if request is None else request.peer,
        )

    def admin_refused(self, *, request_id: str | None, address: str | None, reason: str) -> None:
        """The operators' listener turned somebody away; of a flood the first. The event loop's."""
        if self._writer is None:
            return
        untold = self._refusals.untold(("admin.refused", reason, None, network_of(address)), self._now())
        if untold is not None:
            self._put(
                "admin.refused",
                Outcome.REFUSED,
                request_id=request_id,
                address=address,
                reason=reason,
                suppressed=untold,
            )

    def _of_request(self, event: str, outcome: Outcome, request: Origin, **members: str | int | None) -> None:
        if self._writer is not None:
            self._put(
                event,
                outcome,
                request_id=request.request_id,
                client_id=request.client_id,
                address=request.peer,
                operation=request.operation,
                **members,
            )

    def _put(self, event: str, outcome: Outcome, **members: str | int | None) -> None:
        if self._writer is not None:
            moment = datetime.fromtimestamp(self._now(), UTC)
            told = AuditEvent(moment, event, outcome, **members)  # type: ignore[arg-type]
            if event != "token.revoked" or told.actor is None:
                self._recent.append(told)
            self._writer.put(told, _WORTH.get(event, Worth.USUAL))


def _hash_of_presented(request: Origin) -> str | None:
    token = request.presented_token()
    return None if token is None else token_hash(token)


def silent_audit() -> Audit:
    """One that tells nothing."""
    return Audit(None, lambda: 0.0)


def open_audit(name: str, *, now: Callable[[], float], on_dropped: Callable[[int], None]) -> Audit:
    """The audit that ``AUDIT_LOG`` names. Raises OSError where its file cannot be written to."""
    to = destination(name)
    if to is None:
        return Audit(None, now)
    to.check()
    return Audit(AuditWriter(to, on_dropped=on_dropped), now, on_dropped)
