"""Memory in place of a Redis that is away: it answers for what it was told, and says so where it does not know.

Rules:
- A well-formed token that it does not know may live in Redis: StoreUnavailable, never "inactive".
- A token that it saw die is inactive. What it was told to revoke is kept, to be carried out in Redis. Of the tokens of
  a revoked family those are kept for which there is room; the others may live in Redis again, for all it knows.
- A one-time value that may have been used before it began may be known to Redis: StoreUnavailable, never "new".
- JWTs issued before it began may be revoked in Redis: StoreUnavailable. Later ones are answered from memory.
- A token that was sent to Redis, and may or may not have arrived, is Redis' to answer for: others can revoke it there.
- It is bounded and shared among clients as the memory store is; a revocation that finds no room raises StoreFull.
"""

from collections.abc import Callable

from app.model.tokens import AccessTokenRecord, RefreshTokenRecord, TokenKind, TokenRef
from app.storage.deferred import DeferredRevocations, Wish
from app.storage.epochs import Epoch, EpochsWatcher
from app.storage.expiry import ExpiringMarks
from app.storage.interface import (
    UNKNOWN,
    ClientShareUsedUp,
    Issuance,
    IssuedFacts,
    Rotation,
    StoreFull,
    StoreUnavailable,
    Unknown,
)
from app.storage.memory import MemoryStore

_TAGS_SPARE = 1_000


class DegradedMemory:
    """A :class:`~app.storage.interface.TokenStore` that stands in for another."""

    kind = "memory"
    degraded = True
    reached = True

    def __init__(
        self,
        memory: MemoryStore,
        now: Callable[[], float],
        longest_token_seconds: int,
        longest_once_seconds: int,
        max_marks: int,
    ) -> None:
        """``longest_token_seconds``: how long a revocation is kept of whose access token nothing is known.

        ``longest_once_seconds``: how long before its end a one-time value can be used at the earliest.
        """
        self.memory = memory
        self.since = int(now())
        self._now = now
        self._longest_token_seconds = longest_token_seconds
        self._longest_once_seconds = longest_once_seconds
        self._tags: dict[bytes, str] = {}
        self._dead: ExpiringMarks[bytes] = ExpiringMarks(max_marks)
        self._revoked_access: ExpiringMarks[bytes] = ExpiringMarks(max_marks)
        self._revoked_jwts: ExpiringMarks[bytes] = ExpiringMarks(max_marks)
        self.deferred = DeferredRevocations(max_marks, now, longest_token_seconds)
        """Who wished to revoke which token that could not be read."""

        self._sent: set[bytes] = set()
        memory.watch_families(self._remember_dead)

    async def open(self) -> None:
        await self.memory.open()

    async def close(self) -> None:
        await self.memory.close()

    async def save(self, issuance: Issuance) -> None:
        await self.memory.save(issuance)
        if issuance.access is not None and issuance.access[1].family is None:
            self._keep_tag(issuance.access[0])

    def save_at_once(self, issuance: Issuance) -> bool:
        return False

    def recall_access_token(self, ref: TokenRef) -> AccessTokenRecord | Unknown | None:
        return UNKNOWN

    async def find_access_token(self, ref: TokenRef) -> AccessTokenRecord | None:
        record = await self.memory.find_access_token(ref)
        if record is None or ref.digest in self._sent:
            self._require_known(ref.digest)
        return record

    async def find_refresh_token(self, ref: TokenRef) -> RefreshTokenRecord | None:
        record = await self.memory.find_refresh_token(ref)
        if record is None or ref.digest in self._sent:
            self._require_known(ref.digest)
        return record

    async def rotate(self, presented: TokenRef, used: RefreshTokenRecord, issuance: Issuance) -> Rotation:
        if presented.digest in self._sent:
            self._require_known(presented.digest)
        outcome = await self.memory.rotate(presented, used, issuance)
        if outcome is Rotation.GONE:
            self._require_known(presented.digest)
        return outcome

    async def revoke_access_token(self, ref: TokenRef) -> None:
        until = int(self._now()) + self._longest_token_seconds
        record = await self.memory.find_access_token(ref)
        client_id = None if record is None else record.client_id
        self._mark(self._revoked_access, _named(ref), until, client_id)
        self._mark(self._dead, ref.digest, until, client_id)
        await self.memory.revoke_access_token(ref)

    async def revoke_family(self, family: str, until: int) -> None:
        await self.memory.revoke_family(family, until)

    async def revoke_jwt(self, ref: TokenRef, until: int, client_id: str | None = None) -> None:
        self._mark(self._revoked_jwts, _named(ref), until, client_id)
        await self.memory.revoke_jwt(ref, until, client_id)

    async def revoke_before(self, epoch: Epoch) -> None:
        await self.memory.revoke_before(epoch)

    def watch_epochs(self, watcher: EpochsWatcher) -> None:
        self.memory.watch_epochs(watcher)

    async def is_jwt_revoked(self, ref: TokenRef, family: str | None, issued: IssuedFacts | None = None) -> bool:
        if await self.memory.is_jwt_revoked(ref, family, issued):
            return True
        if issued is None or issued.issued_at < self.since:
            raise StoreUnavailable("whether this JWT was revoked is known to Redis, which is away")
        return False

    async def defer_revocation(self, kind: TokenKind, ref: TokenRef, client_id: str) -> bool:
        self.deferred.add(Wish(kind, ref, client_id))
        return True

    async def remember_once(self, digest: bytes, until: int, client_id: str | None = None) -> bool:
        # ``since`` is a whole second: what could first be used within it could be used before the start.
        if until - self._longest_once_seconds <= self.since:
            raise StoreUnavailable("whether this one-time value was used before is known to Redis, which is away")
        return await self.memory.remember_once(digest, until, client_id)

    async def count_live_tokens(self) -> int:
        return await self.memory.count_live_tokens()

    def tag_of(self, digest: bytes, record: AccessTokenRecord) -> str | None:
        """The slot tag of an access token in memory; None where it ended meanwhile."""
        return record.family[:4] if record.family is not None else self._tags.get(digest)

    def revoked_access_tokens(self) -> list[TokenRef]:
        """Access tokens that were revoked here."""
        return [_ref(name) for name, _ in self._revoked_access.items()]

    def revoked_jwts(self) -> list[tuple[TokenRef, int]]:
        """JWTs that were revoked here, each with the end of its mark."""
        return [(_ref(name), until) for name, until in self._revoked_jwts.items()]

    def is_dead(self, digest: bytes) -> bool:
        """Whether the token was revoked here."""
        return self._dead.is_marked(digest, self._now()) or self.memory.is_revoked(digest)

    def send(self, digest: bytes) -> None:
        """A token is about to be sent to Redis."""
        self._sent.add(digest)

    def was_sent(self, digest: bytes) -> bool:
        """Whether a token that is in memory may have arrived in Redis."""
        return digest in self._sent

    def forget(self, digest: bytes) -> None:
        """A token has arrived in Redis: it is no more in memory."""
        self.memory.forget(digest)
        self._sent.discard(digest)

    def _require_known(self, digest: bytes) -> None:
        if not self.is_dead(digest) and (digest in self._sent or not self.memory.holds(digest)):
            raise StoreUnavailable("this token may live in Redis, which is away")

    def _keep_tag(self, ref: TokenRef) -> None:
        self._tags[ref.digest] = ref.tag
        if len(self._tags) > 2 * self.memory.held()["access"] + _TAGS_SPARE:
            self._tags = {digest: tag for digest, tag in self._tags.items() if self.memory.holds(digest)}

    def _mark(self, marks: ExpiringMarks[bytes], name: bytes, until: int, client_id: str | None = None) -> None:
        if not marks.mark(name, until, self._now(), client_id):
            raise (StoreFull if marks.is_full else ClientShareUsedUp)("no room for another revocation")

    def _remember_dead(self, digest: bytes, until: int, client_id: str) -> None:
        self._dead.mark(digest, until, self._now(), client_id)


def _named(ref: TokenRef) -> bytes:
    return ref.tag.encode() + ref.digest


def _ref(name: bytes) -> TokenRef:
    return TokenRef(tag=name[:4].decode(), digest=name[4:])
