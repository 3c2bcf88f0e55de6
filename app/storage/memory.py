"""The token store inside this process: for one replica, for development, and while Redis is away at start.

Rules:
- No method suspends: an endpoint that calls one gets its answer in the same step.
- Records are kept as bytes in 256 dicts. Measured for a million tokens: 325 MB with expiry buckets, where a Struct a
  token takes 465; one dict pauses up to 54 ms when it grows, 256 of them 0.3 ms.
- It is bounded three times: by ``max_tokens`` over access and refresh tokens (beyond: StoreFull, nothing is issued),
  and by ``max_marks`` each over revocation marks and one-time values. Where a mark finds no room the call raises
  StoreFull too: a revocation is never acknowledged without being in force, a one-time value never taken as new.
- No client can take all of it (:mod:`app.storage.shares`): who holds too many tokens or marks is refused before others.
- The mark of a family lasts as long as an access token of it could live, where everything of a family is held here
  (``alone``): its refresh tokens are dropped with the revocation, and what is not held cannot be rotated. In place of a
  shared store it lasts as long as the family could: it is a wish too, to be carried out where another replica may have
  rotated the family meanwhile.
- It dies with its process. A process that starts anew knows no token of the one before, and no one-time value either:
  a client assertion that was used before the restart is taken once more, for as long as it is accepted.
- Marks outlive what they mark by MARK_SPARE_SECONDS: a clock that steps back revives nothing.
- What has ended is not found from that instant on, and is dropped by a sweep in slices of SWEEP_SLICE names; so are the
  members of a family that was revoked, of which the revocation itself drops a slice.
"""

import asyncio
from collections.abc import Callable, Iterator

from app.model.tokens import AccessTokenRecord, RefreshTokenRecord, TokenKind, TokenRef
from app.storage.codec import decode_access_record, decode_refresh_record, encode_record
from app.storage.epochs import Epoch, Epochs, EpochsWatcher
from app.storage.expiry import MARK_SPARE_SECONDS, ExpiringMarks, ExpiryBuckets, Name
from app.storage.families import Families
from app.storage.interface import ClientShareUsedUp, Issuance, IssuedFacts, Rotation, StoreFull
from app.storage.observer import StoreObserver, Unobserved
from app.storage.shares import Shares

SHARDS = 256
"""One dict for each value of a digest's first byte."""

SWEEP_SLICE = 256
"""Names of each kind a step of the sweep looks at: 0.3 ms of the event loop, 1.2 ms for those of a revoked family."""

SWEEP_PAUSE_SECONDS = 0.002
"""Between two slices while more is due: requests come first."""

SWEEP_IDLE_SECONDS = 1.0
"""Between two sweeps when nothing more is due."""


class _Records:
    """Digest → record bytes, sharded, with an expiry for each."""

    def __init__(self) -> None:
        self.shards: tuple[dict[bytes, bytes], ...] = tuple({} for _ in range(SHARDS))
        self.buckets: ExpiryBuckets[bytes] = ExpiryBuckets(self.__contains__)
        self.count = 0

    def __contains__(self, digest: bytes) -> bool:
        return digest in self.shards[digest[0]]

    def get(self, digest: bytes) -> bytes | None:
        return self.shards[digest[0]].get(digest)

    def put(self, digest: bytes, data: bytes, expires_at: int) -> None:
        """Add a record under a new digest."""
        self.shards[digest[0]][digest] = data
        self.buckets.add(digest, expires_at)
        self.count += 1

    def replace(self, digest: bytes, data: bytes) -> None:
        """Another record of the same expiry under a known digest."""
        self.shards[digest[0]][digest] = data

    def pop(self, digest: bytes) -> bytes | None:
        shard = self.shards[digest[0]]
        data = shard.pop(digest, None)
        if data is not None:
            self.count -= 1
            if not shard:
                shard.clear()  # a dict that became empty keeps its table: 50 MB in all after a million tokens
        return data


class MemoryStore:
    """A :class:`~app.storage.interface.TokenStore` in this process's memory."""

    kind = "memory"
    degraded = False
    reached = True

    def __init__(
        self,
        max_tokens: int,
        now: Callable[[], float],
        max_marks: int | None = None,
        sweep_idle_seconds: float = SWEEP_IDLE_SECONDS,
        observer: StoreObserver | None = None,
        *,
        alone: bool = False,
    ) -> None:
        """``now`` gives Unix seconds; ``max_marks`` is ``max_tokens`` unless given.

        ``alone``: no other store ever holds a token of a family that is held here.
        """
        self._observer = observer or Unobserved()
        self._max_tokens = max_tokens
        self._shares = Shares(max_tokens)
        self._free_for_all = self._shares.free_for_all
        self._now = now
        self._access = _Records()
        self._access_shards = self._access.shards
        self._refresh = _Records()
        self._alive_until: dict[int, int] = {}
        """How many access tokens end at each second."""
        self._families = Families()
        self._ended_families = self._families.ended
        self._on_family_dropped: Callable[[bytes, int, str], None] | None = None
        self._alone = alone
        marks = max_tokens if max_marks is None else max_marks
        self._revoked_jwts: ExpiringMarks[bytes] = ExpiringMarks(marks)
        self._revoked_families: ExpiringMarks[str] = ExpiringMarks(marks)
        self._once: ExpiringMarks[bytes] = ExpiringMarks(marks)
        self._sweep_idle_seconds = sweep_idle_seconds
        self._epochs = Epochs()
        self._timer: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Start the sweep."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._sweep_idle_seconds, self._sweep_and_rearm)

    async def close(self) -> None:
        """Stop the sweep."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def save(self, issuance: Issuance) -> None:
        self.save_at_once(issuance)

    def save_at_once(self, issuance: Issuance) -> bool:
        self._require_room(issuance)
        self._put(issuance)
        return True

    async def find_access_token(self, ref: TokenRef) -> AccessTokenRecord | None:
        return self.recall_access_token(ref)

    def recall_access_token(self, ref: TokenRef) -> AccessTokenRecord | None:
        digest = ref.digest
        data = self._access_shards[digest[0]].get(digest)
        if data is None:
            return None
        record = decode_access_record(data)
        if record.expires_at <= self._now() or self._epochs.end(record.client_id, record.subject, record.issued_at):
            return None
        if record.family is not None and record.family in self._ended_families:
            return None
        return record

    async def find_refresh_token(self, ref: TokenRef) -> RefreshTokenRecord | None:
        return self._live_refresh_token(ref)

    async def rotate(self, presented: TokenRef, used: RefreshTokenRecord, issuance: Issuance) -> Rotation:
        record = self._live_refresh_token(presented)
        if record is None:
            return Rotation.GONE
        if record.used_at is not None:
            return Rotation.ALREADY_USED
        self._require_room(issuance)
        self._refresh.replace(presented.digest, encode_record(used))
        self._put(issuance)
        return Rotation.ROTATED

    async def revoke_access_token(self, ref: TokenRef) -> None:
        self._drop_access(ref.digest)

    async def revoke_family(self, family: str, until: int) -> None:
        now = self._now()
        ends_at = self._mark_end(family, until, now) if self._alone else until
        if ends_at + MARK_SPARE_SECONDS > now:
            members = self._families.get(family)
            self._mark(self._revoked_families, family, ends_at, None if members is None else members.client_id)
        self._families.end(family, until)
        self._drop_ended(SWEEP_SLICE)

    async def revoke_jwt(self, ref: TokenRef, until: int, client_id: str | None = None) -> None:
        self._mark(self._revoked_jwts, ref.digest, until, client_id)

    async def revoke_before(self, epoch: Epoch) -> None:
        if not self._epochs.add(epoch, self._now()):
            raise self._refused(StoreFull("no room for another epoch"))

    def watch_epochs(self, watcher: EpochsWatcher) -> None:
        self._epochs.watch(watcher)

    async def is_jwt_revoked(self, ref: TokenRef, family: str | None, issued: IssuedFacts | None = None) -> bool:
        now = self._now()
        if self._revoked_jwts.is_marked(ref.digest, now):
            return True
        if family is not None and self._revoked_families.is_marked(family, now):
            return True
        if issued is None:
            return False
        return self._epochs.end(issued.client_id, issued.subject, issued.issued_at, issued.key_id)

    async def defer_revocation(self, kind: TokenKind, ref: TokenRef, client_id: str) -> bool:
        return False  # memory can always be read

    async def remember_once(self, digest: bytes, until: int, client_id: str | None = None) -> bool:
        now = self._now()
        if self._once.is_marked(digest, now):
            return False
        self._mark(self._once, digest, until, client_id)
        return True

    async def count_live_tokens(self) -> int:
        now = self._now()
        return sum(count for ends_at, count in self._alive_until.items() if ends_at > now)

    def sweep(self, limit: int = SWEEP_SLICE) -> bool:
        """Drop up to ``limit`` names of each kind that have ended; whether more may be due."""
        now = self._now()
        access = self._access.buckets.take_due(now, limit)
        for digest in access:
            self._drop_access(digest, swept=True)
        refresh = self._refresh.buckets.take_due(now, limit)
        for digest in refresh:
            self._drop_refresh(digest, swept=True)
        looked_at = [
            len(access),
            len(refresh),
            self._drop_ended(limit),
            self._revoked_jwts.sweep(now, limit),
            self._revoked_families.sweep(now, limit),
            self._once.sweep(now, limit),
        ]
        return max(looked_at) >= limit

    def watch_families(self, on_dropped: Callable[[bytes, int, str], None]) -> None:
        """Call ``on_dropped`` for each member of a revoked family that is dropped, as it is dropped.

        It is given the digest, the end of the family's possible life (Unix seconds) and the family's client.
        """
        self._on_family_dropped = on_dropped

    def epochs(self) -> list[Epoch]:
        """The epochs in force."""
        return self._epochs.items()

    def revoked_families(self) -> list[tuple[str, int]]:
        """The marked families, each with the end of its mark."""
        return self._revoked_families.items()

    def one_time_values(self) -> list[tuple[bytes, int]]:
        """The digests of one-time values, each with its end."""
        return self._once.items()

    def access_records(self) -> Iterator[list[tuple[bytes, AccessTokenRecord]]]:
        """All access tokens but those of revoked families, ended ones included: a slice as it stands when asked for."""
        for shard in self._access.shards:
            yield [
                (digest, record)
                for digest, data in shard.items()
                if (record := decode_access_record(data)).family not in self._ended_families
            ]

    def refresh_records(self) -> Iterator[list[tuple[bytes, RefreshTokenRecord]]]:
        """All refresh tokens but those of revoked families, used and ended ones included: a slice as it stands then."""
        for shard in self._refresh.shards:
            yield [
                (digest, record)
                for digest, data in shard.items()
                if (record := decode_refresh_record(data)).family not in self._ended_families
            ]

    def holds(self, digest: bytes) -> bool:
        """Whether a token is in memory, alive or ended."""
        return digest in self._access or digest in self._refresh

    def is_revoked(self, digest: bytes) -> bool:
        """Whether a token is in memory that waits to be dropped with its family, which was revoked."""
        access, refresh = self._access.get(digest), self._refresh.get(digest)
        if access is not None and decode_access_record(access).family in self._ended_families:
            return True
        return refresh is not None and decode_refresh_record(refresh).family in self._ended_families

    def forget(self, digest: bytes) -> None:
        """Drop a token without revoking it."""
        self._drop_access(digest)
        self._drop_refresh(digest)

    def held(self) -> dict[str, int]:
        """How much is in memory, ended or not: for tests and the operators' page."""
        return {
            "access": self._access.count,
            "refresh": self._refresh.count,
            "families": len(self._families),
            "marks": len(self._revoked_jwts) + len(self._revoked_families) + len(self._once),
        }

    def _sweep_and_rearm(self) -> None:
        pause = SWEEP_PAUSE_SECONDS if self.sweep() else self._sweep_idle_seconds
        self._timer = asyncio.get_running_loop().call_later(pause, self._sweep_and_rearm)

    def _refused(self, refusal: StoreFull) -> StoreFull:
        self._observer.error("memory", refusal.kind)
        return refusal

    def _mark(self, marks: ExpiringMarks[Name], name: Name, until: int, client_id: str | None) -> None:
        if not marks.mark(name, until, self._now(), client_id):
            raise self._refused((StoreFull if marks.is_full else ClientShareUsedUp)("no room for another mark"))

    def _live_refresh_token(self, ref: TokenRef) -> RefreshTokenRecord | None:
        data = self._refresh.get(ref.digest)
        if data is None:
            return None
        record = decode_refresh_record(data)
        if record.expires_at <= self._now() or self._epochs.end(record.client_id, record.subject, record.issued_at):
            return None
        return None if record.family in self._ended_families else record

    def _require_room(self, issuance: Issuance) -> None:
        wanted = (issuance.access is not None) + (issuance.refresh is not None)
        if self._access.count + self._refresh.count + wanted > self._free_for_all:
            self._require_share(issuance, wanted)

    def _require_share(self, issuance: Issuance, wanted: int) -> None:
        """Where the room gets scarce. Raises StoreFull."""
        issued = issuance.access or issuance.refresh
        if issued is None:
            return
        client_id = issued[1].client_id
        if not self._has_room(client_id, wanted):
            self.sweep()
            if not self._has_room(client_id, wanted):
                if self._taken() + wanted > self._max_tokens:
                    raise self._refused(StoreFull(f"the memory store holds its maximum of {self._max_tokens} tokens"))
                raise self._refused(ClientShareUsedUp(f"the memory store has no room for more of {client_id!r}"))

    def _has_room(self, client_id: str, wanted: int) -> bool:
        taken = self._taken()
        return taken + wanted <= self._max_tokens and not self._shares.is_used_up(client_id, wanted, taken)

    def _taken(self) -> int:
        return self._access.count + self._refresh.count

    def _mark_end(self, family: str, until: int, now: float) -> int:
        """When the last access token of a family would have ended, by what was issued; ``until`` at the latest.

        0 for a family that needs no other mark than it has.

        It goes by the ends that the tokens bear: neither a client that was given other lives since nor a clock that
        was set changes them. Of a family that is not held nothing is known, unless it is marked already.
        """
        members = self._families.get(family)
        if members is not None:
            return min(members.access_ends_at, until)
        return 0 if self._is_revoked(family, now) else until

    def _is_revoked(self, family: str, now: float) -> bool:
        return family in self._ended_families or self._revoked_families.is_marked(family, now)

    def _put(self, issuance: Issuance) -> None:
        if issuance.access is not None:
            ref, access = issuance.access
            expires_at = access.expires_at
            if access.family is not None:
                if self._is_revoked(access.family, self._now()):
                    return
                self._families.join(access.family, ref.digest, access.client_id, expires_at)
            self._access.put(ref.digest, encode_record(access), expires_at)
            self._shares.take(access.client_id)
            self._alive_until[expires_at] = self._alive_until.get(expires_at, 0) + 1
        if issuance.refresh is not None:
            ref, refresh = issuance.refresh
            if self._is_revoked(refresh.family, self._now()):
                return
            jwt_ends_at = 0 if issuance.access is not None else issuance.jwt_expires_at or refresh.family_expires_at
            self._families.join(refresh.family, ref.digest, refresh.client_id, jwt_ends_at)
            self._refresh.put(ref.digest, encode_record(refresh), refresh.expires_at)
            self._shares.take(refresh.client_id)

    def _drop_ended(self, limit: int) -> int:
        """Drop up to ``limit`` members of revoked families; how many were looked at."""
        dropped = self._families.take_ended(limit)
        for digest, members in dropped:
            self._drop_access(digest)
            self._drop_refresh(digest)
            if self._on_family_dropped is not None:
                self._on_family_dropped(digest, members.until, members.client_id)
        return len(dropped)

    def _drop_access(self, digest: bytes, *, swept: bool = False) -> None:
        data = self._access.pop(digest)
        if data is None:
            return
        record = decode_access_record(data)
        self._shares.give_back(record.client_id)
        alive = self._alive_until.get(record.expires_at, 0) - 1
        if alive > 0:
            self._alive_until[record.expires_at] = alive
        else:
            self._alive_until.pop(record.expires_at, None)
        if not swept:
            self._access.buckets.note_dropped(record.expires_at)
        if record.family is not None:
            self._families.leave(record.family, digest)

    def _drop_refresh(self, digest: bytes, *, swept: bool = False) -> None:
        data = self._refresh.pop(digest)
        if data is None:
            return
        record = decode_refresh_record(data)
        self._shares.give_back(record.client_id)
        if not swept:
            self._refresh.buckets.note_dropped(record.expires_at)
        self._families.leave(record.family, digest)
