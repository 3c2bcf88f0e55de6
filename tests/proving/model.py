"""What must be true of every token at any moment, and the judge of every answer.

Rules:
- A token is alive from the moment its response arrived until its expiry or the moment its revocation was sent. Between
  the sending and the response of its revocation, and after a revocation without an answer, either answer is right.
- ``active`` for a token whose revocation was acknowledged before the question was sent is *stale*; it is counted as
  past the bound where the question was sent later than the bound allows.
- ``inactive`` for a live token is a *lost* token.
- An answer that carries the scope or the client of another token is wrong, and so is every status that the state of
  things does not allow. 503 with Retry-After is the one way to say "unknown"; it is counted.

Every token's scope spells its number in bits, so that no two answers look alike.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable

from tests.proving.wire import Answer

BITS = 22
SCOPES = tuple(f"bit{bit}" for bit in range(BITS))


def scope_of(number: int) -> str:
    """The scope that spells a number from 1 on."""
    return " ".join(name for bit, name in enumerate(SCOPES) if number >> bit & 1)


class Token:
    """One access token, and what happened to it by the monotonic clock."""

    __slots__ = ("expires_at", "issued", "kind", "number", "revoke_sent", "revoked", "text")

    def __init__(self, number: int, kind: str, text: str, expires_at: float) -> None:
        self.number = number
        self.kind = kind
        """``opaque``, ``jwt`` or ``family``: an opaque one with a refresh token."""
        self.text = text
        self.expires_at = expires_at
        """Unix seconds."""
        self.issued = time.monotonic()
        self.revoke_sent: float | None = None
        self.revoked: float | None = None


class Family:
    """A refresh token and what came of it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.members: list[Token] = []
        self.refresh_token = ""
        self.used: list[str] = []
        """Refresh tokens whose use was acknowledged."""
        self.doubtful = False
        """A use went unanswered: whether it counted is unknown, and another would be a guess."""
        self.busy = False

    @property
    def is_usable(self) -> bool:
        return not (self.doubtful or self.busy or any(member.revoke_sent is not None for member in self.members))


class Model:
    """All tokens, and the counts of all answers."""

    def __init__(self, bound_seconds: float) -> None:
        self.bound_seconds = bound_seconds
        self.tokens: list[Token] = []
        self.families: list[Family] = []
        self.requests: Counter[str] = Counter()
        self.unavailable = 0
        self.unanswered = 0
        self.wrong: list[str] = []
        self.stale_past_bound = 0
        self.worst_staleness = 0.0
        """Seconds between the acknowledgement of a revocation and the sending of the last question that was answered
        with ``active``."""
        self.lost: set[int] = set()
        self.gone: Callable[[Token], bool] = lambda token: False
        """Says of a token that a scenario took it away: ``inactive`` is then the one right answer."""
        self.slowest_answer = 0.0
        self._number = 0

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def add(self, token: Token) -> None:
        self.tokens.append(token)

    def judge_introspection(self, token: Token, sent: float, answer: Answer) -> str:
        """Hold an answer against what is known: ``active``, ``inactive``, ``unavailable`` or ``wrong``."""
        received = time.monotonic()
        self.slowest_answer = max(self.slowest_answer, received - sent)
        if answer.status != 200:
            return self.judge_refusal("introspection", answer)
        facts = json.loads(answer.body)
        if facts["active"]:
            if facts.get("scope") != scope_of(token.number):
                return self.say_wrong(f"token {token.number} was answered with another's facts: {facts}")
            if token.revoked is not None and sent > token.revoked:
                staleness = sent - token.revoked
                self.worst_staleness = max(self.worst_staleness, staleness)
                self.stale_past_bound += staleness > self.bound_seconds
            elif self.gone(token):
                return self.say_wrong(f"token {token.number} was taken away and is active")
            return "active"
        if facts != {"active": False}:
            return self.say_wrong(f"an inactive answer says more: {facts}")
        if token.revoke_sent is None and time.time() < token.expires_at and not self.gone(token):
            self.lost.add(token.number)
        return "inactive"

    def judge_refusal(self, what: str, answer: Answer) -> str:
        """An answer that is no success: only an outage that says when to come again is right."""
        if answer.status == 503 and int(answer.headers.get("retry-after", "0")) >= 1:
            self.unavailable += 1
            return "unavailable"
        return self.say_wrong(f"{what} was answered with {answer.status}: {answer.body[:200]!r}")

    def say_wrong(self, what: str) -> str:
        self.wrong.append(what)
        return "wrong"

    def alive(self) -> list[Token]:
        """Tokens that nobody wished to revoke, and that nothing took away."""
        return [token for token in self.tokens if token.revoke_sent is None and not self.gone(token)]

    def start_counting_at(self, number: int) -> None:
        """Number the tokens from here on: several models then have none in common."""
        self._number = number

    def add_counts_of(self, other: "Model") -> None:
        """Take over what another model counted."""
        self.requests += other.requests
        self.unavailable += other.unavailable
        self.unanswered += other.unanswered
        self.wrong += other.wrong
        self.lost |= other.lost
        self.stale_past_bound += other.stale_past_bound
        self.worst_staleness = max(self.worst_staleness, other.worst_staleness)

    def forget(self) -> None:
        """Ask no more about the tokens so far; what they came to stays counted."""
        self.tokens = []
        self.families = []

    def dead(self) -> list[Token]:
        """Tokens whose revocation was acknowledged."""
        return [token for token in self.tokens if token.revoked is not None]


def note_revoke_sent(tokens: Iterable[Token]) -> None:
    """A revocation of these is on its way."""
    now = time.monotonic()
    for token in tokens:
        if token.revoke_sent is None:
            token.revoke_sent = now


def note_revoked(tokens: Iterable[Token]) -> None:
    """Their revocation was acknowledged."""
    now = time.monotonic()
    for token in tokens:
        if token.revoked is None:
            token.revoked = now
