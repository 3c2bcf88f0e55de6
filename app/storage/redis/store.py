"""The token store in Redis.

Rules:
- Each method is one round trip, shared with whatever else is asked in the same tick of the event loop.
- Methods suspend by awaiting plain futures only: an endpoint may take its first step outside of any task.
- Redis' clock ends names, ours ends tokens: a record past its expiry is not found even where Redis still has it, and
  lives in Redis are relative, so that the two clocks need not agree.
- Marks outlive what they mark by MARK_SPARE_SECONDS.
"""

import asyncio
import hashlib
import itertools
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from app.cancellation import end_tasks
from app.model.tokens import AccessTokenRecord, RefreshTokenRecord, TokenKind, TokenRef
from app.storage.codec import decode_access_record, decode_refresh_record, encode_record
from app.storage.epochs import MAX_EPOCHS, Epoch, EpochsWatcher
from app.storage.expiry import MARK_SPARE_SECONDS
from app.storage.interface import (
    UNKNOWN,
    CorruptRecord,
    Issuance,
    IssuedFacts,
    Rotation,
    StoreError,
    StoreFull,
    StoreUnavailable,
    Unknown,
)
from app.storage.observer import CacheObserver, StoreObserver
from app.storage.redis import scripts
from app.storage.redis.birth import BORN_LIFE_SECONDS, Births
from app.storage.redis.cache import ReadCache
from app.storage.redis.engine import Commands, Engine
from app.storage.redis.epochs import SharedEpochs, epoch_field
from app.storage.redis.errors import ScriptMissing
from app.storage.redis.greeting import ServerMemory, read_memory
from app.storage.redis.keyspace import ACCESS, REFRESH, Keyspace
from app.storage.redis.live_counts import LiveCounts, alive
from app.storage.redis.replay import RecentRevocations, Revocation

MEMBER_SPARE_SECONDS = 120
"""Members of a family are forgotten this long after they ended, for replicas whose clocks run ahead."""

COUNT_SECONDS = 1.0
"""How often this replica adds what it has issued to the shared count."""

LOOK_EVERY = 5
"""Every so many of them, it is looked how full Redis is."""

RENEW_EVERY = 3600
"""Every so many of them, the name of the store's birth is given its full life again."""

_ROTATIONS = {
    scripts.GONE: Rotation.GONE,
    scripts.ALREADY_USED: Rotation.ALREADY_USED,
    scripts.ROTATED: Rotation.ROTATED,
}

_UNMARKED = b"-"
"""What the cache holds under the name of a mark that is not there."""

P = ParamSpec("P")
Answer = TypeVar("Answer")
T = TypeVar("T")
_Method = Callable[Concatenate["RedisStore", P], Coroutine[Any, Any, Answer]]


def _measured(method: _Method[P, Answer]) -> _Method[P, Answer]:
    """Report how long a method took, and the errors it raised."""
    operation = method.__name__.removeprefix("_ask_").removeprefix("_")

    async def measured(self: "RedisStore", /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        started = self.stopwatch()
        try:
            return await method(self, *args, **kwargs)
        except StoreError as error:
            self.observer.error("redis", error.kind)
            raise
        finally:
            self.observer.operation("redis", operation, self.stopwatch() - started)

    measured.__doc__, measured.__name__ = method.__doc__, method.__name__
    return measured


class RedisStore:
    """A :class:`~app.storage.interface.TokenStore` that all replicas share."""

    kind = "redis"
    degraded = False

    def __init__(
        self,
        engine: Engine,
        durable: Commands,
        keyspace: Keyspace,
        births: Births,
        *,
        recent: RecentRevocations,
        epochs: SharedEpochs,
        cache: ReadCache | None,
        cache_observer: CacheObserver,
        now: Callable[[], float],
        stopwatch: Callable[[], float],
        observer: StoreObserver,
    ) -> None:
        """``durable`` is asked for what revokes and rotates: ``engine`` again, or what waits for replicas.

        ``now`` gives Unix seconds, ``stopwatch`` seconds for durations.

        :mod:`app.storage.redis.opening` wires.
        """
        self.stopwatch = stopwatch
        self.observer = observer
        self._engine = engine
        self._durable = durable
        self._names = keyspace
        self._births = births
        self._recent = recent
        self._say_again = self._call
        self._epochs = epochs
        self._cache = cache
        self._cache_observer = cache_observer
        self._ended_channel = keyspace.ended_channel()
        self._now = now
        self._counts = LiveCounts()
        self._counting: asyncio.Task[None] | None = None
        self._reached = False

    @property
    def reached(self) -> bool:
        """Whether Redis has been reached once."""
        self._reached = self._reached or self._engine.is_connected
        return self._reached

    @property
    def is_connected(self) -> bool:
        """Whether Redis can be asked now."""
        return self._engine.is_connected

    @property
    def has_lease(self) -> bool:
        """Whether what is cached may be believed now."""
        return self._cache is not None and self._cache.has_lease

    @property
    def cached_entries(self) -> int:
        """How many answers are cached."""
        return 0 if self._cache is None else len(self._cache)

    @property
    def epochs_version(self) -> str | None:
        """Which version of the shared epochs this process decides by; None while its copy has to be read anew."""
        return self._epochs.version

    async def open(self) -> None:
        if self._counting is None:
            self._counting = asyncio.create_task(self._count_regularly())
        await self._engine.open()
        self._reached = True
        with suppress(StoreError):  # the first decision reads them otherwise
            await self._ask_epochs()

    async def close(self) -> None:
        if self._counting is not None:
            await end_tasks([self._counting])
            self._counting = None
        if self._engine.is_connected:
            await self._flush_counts()
        await self._recent.stop()
        await self._engine.close()

    @_measured
    async def save(self, issuance: Issuance) -> None:
        access = issuance.access
        if issuance.refresh is None and (access is None or access[1].family is None):
            if access is None:
                return
            ref, record = access
            key = self._names.access(ref)
            await self._engine.run(key, b"SET", key, encode_record(record), b"EX", self._life(record.expires_at))
        else:
            family = _family(issuance)
            keys, arguments = self._new_tokens(issuance)
            keys = [self._names.revoked_family(family), self._names.family_members(family), *keys]
            if not await self._call(scripts.SAVE_FAMILY, keys, [self._forget_members_before(), *arguments]):
                return
        if access is not None:
            self._counts.add(access[1])

    def save_at_once(self, issuance: Issuance) -> bool:
        return False

    def recall_access_token(self, ref: TokenRef) -> AccessTokenRecord | Unknown | None:
        cache = self._cache
        data = None if cache is None else cache.get(self._names.access(ref))
        if data is None or not self._epochs.is_whole():  # a hit is under the lease, which is the epochs' too
            return UNKNOWN
        self._cache_observer.lookup("hit")
        return self._live(data)

    async def find_access_token(self, ref: TokenRef) -> AccessTokenRecord | None:
        name = self._names.access(ref)
        data = self._cached(name)
        if data is None:
            data = await self._ask_access_token(name)
            if data is None:
                return None
        elif not self._epochs.is_current():
            await self._ask_epochs()
        return self._live(data)

    def _live(self, data: bytes) -> AccessTokenRecord | None:
        """The record, if its token is alive by the epochs as they are known."""
        try:
            record = decode_access_record(data)
        except StoreError as error:
            self.observer.error("redis", error.kind)
            raise
        if record.expires_at <= self._now() or self._epochs.end(record.client_id, record.subject, record.issued_at):
            return None
        return record

    @_measured
    async def find_refresh_token(self, ref: TokenRef) -> RefreshTokenRecord | None:
        data = await self._read(self._names.refresh(ref))
        if data is None:
            return None
        record = decode_refresh_record(data)
        if record.expires_at <= self._now() or self._epochs.end(record.client_id, record.subject, record.issued_at):
            return None
        return record

    @_measured
    async def rotate(self, presented: TokenRef, used: RefreshTokenRecord, issuance: Issuance) -> Rotation:
        # Whoever rotates has just found the token: the epochs are as they were a moment ago.
        if used.expires_at <= self._now() or self._epochs.end(used.client_id, used.subject, used.issued_at):
            return Rotation.GONE
        keys, arguments = self._new_tokens(issuance)
        names = self._names
        outcome = await self._call(
            scripts.ROTATE,
            [names.revoked_family(used.family), names.family_members(used.family), names.refresh(presented), *keys],
            [self._forget_members_before(), encode_record(used), *arguments],
            self._durable,
        )
        rotation = _ROTATIONS[outcome]
        if rotation is Rotation.ROTATED and issuance.access is not None:
            self._counts.add(issuance.access[1])
        return rotation

    @_measured
    async def revoke_access_token(self, ref: TokenRef) -> None:
        name = self._names.access(ref)
        try:
            self._note_ended(await self._revoke(scripts.REVOKE_ACCESS, [name], [self._ended_channel]))
        finally:
            self._drop([name])

    @_measured
    async def revoke_family(self, family: str, until: int) -> None:
        names = self._names
        mark = names.revoked_family(family)
        try:
            ended = await self._revoke(
                scripts.REVOKE_FAMILY,
                [mark, names.family_members(family)],
                [self._life(until) + MARK_SPARE_SECONDS, self._ended_channel, names.tagged(family[:4])],
            )
        finally:
            self._drop([mark])
        self._drop(ended[::2])
        for data in ended[1::2]:
            self._note_ended(data)

    @_measured
    async def revoke_jwt(self, ref: TokenRef, until: int, client_id: str | None = None) -> None:
        mark = self._names.revoked_jwt(ref)
        try:
            await self._revoke(scripts.MARK, [mark], [self._life(until) + MARK_SPARE_SECONDS, self._ended_channel])
        finally:
            self._drop([mark])

    @_measured
    async def revoke_before(self, epoch: Epoch) -> None:
        epochs = self._epochs
        arguments: list[bytes | str | int] = [
            epoch_field(epoch),
            epoch.before,
            epoch.until,
            int(self._now()),
            MARK_SPARE_SECONDS,
            self._names.epochs_channel(),
            MAX_EPOCHS,
        ]
        try:
            if not await self._revoke(scripts.EPOCH, [epochs.hash_name, epochs.version_name], arguments):
                raise StoreFull("no room for another epoch")
        finally:
            # Known here at once: whatever is decided next reads it.
            epochs.miss()

    def watch_epochs(self, watcher: EpochsWatcher) -> None:
        self._epochs.watch(watcher)

    async def is_jwt_revoked(self, ref: TokenRef, family: str | None, issued: IssuedFacts | None = None) -> bool:
        marks = [self._names.revoked_jwt(ref)]
        if family is not None:
            marks.append(self._names.revoked_family(family))
        unknown = [mark for mark in marks if self._cached(mark) is None]
        if unknown and await self._ask_is_marked(unknown):
            return True
        if issued is None:
            return False
        if not unknown and not self._epochs.is_current():
            await self._ask_epochs()
        # Looked at after the answer came: it came over a connection on which the store's birth had been learnt.
        if self._births.is_older(issued.issued_at, marks[0]):
            return True
        return self._epochs.end(issued.client_id, issued.subject, issued.issued_at, issued.key_id)

    async def defer_revocation(self, kind: TokenKind, ref: TokenRef, client_id: str) -> bool:
        return False  # what Redis cannot be told now is nowhere else

    @_measured
    async def remember_once(self, digest: bytes, until: int, client_id: str | None = None) -> bool:
        key = self._names.once(digest)
        life = self._life(until) + MARK_SPARE_SECONDS
        return await self._engine.run(key, b"SET", key, b"1", b"NX", b"EX", life) is not None

    @_measured
    async def count_live_tokens(self) -> int:
        await self._flush_counts()
        key = self._names.live_counts()
        flat = await self._engine.run(key, b"HGETALL", key)
        total, past = alive(dict(zip(flat[::2], flat[1::2], strict=True)), self._now())
        if past:
            await self._engine.run(key, b"HDEL", key, *past[:1000])
        return total

    @_measured
    async def server_memory(self) -> ServerMemory:
        """How full Redis is; in a cluster its fullest node, with what all of them have evicted. Raises StoreError."""
        asked = [self._engine.everywhere(b"INFO", section) for section in (b"memory", b"stats")]
        told = await _replies([*asked[0], *asked[1]])
        servers = [read_memory(told[at] + told[len(asked[0]) + at]) for at in range(len(asked[0]))]
        if not servers:
            raise StoreUnavailable("Redis is not connected")
        fullest = max(servers, key=lambda server: server.fill)
        return msgspec.structs.replace(fullest, evicted_keys=sum(server.evicted_keys for server in servers))

    @_measured
    async def restore_access_token(self, ref: TokenRef, record: AccessTokenRecord) -> None:
        """Remember an access token that was kept elsewhere, once, if it is absent and its family is not revoked."""
        if record.expires_at <= self._now():
            return
        names = self._names
        key, life, data = names.access(ref), self._life(record.expires_at), encode_record(record)
        if record.family is None:
            restored = await self._call(scripts.RESTORE_ACCESS, [names.brought_back(ref), key], [data, life])
        else:
            restored = await self._call(
                scripts.RESTORE_ACCESS_OF_FAMILY,
                [
                    names.revoked_family(record.family),
                    names.family_members(record.family),
                    names.brought_back(ref),
                    key,
                ],
                [self._forget_members_before(), data, life, ACCESS + ref.digest, record.expires_at],
            )
        if restored:
            self._counts.add(record)

    @_measured
    async def restore_refresh_token(self, ref: TokenRef, record: RefreshTokenRecord) -> None:
        """Remember a refresh token that was kept elsewhere, if its family is not revoked, and it is absent or used."""
        if record.expires_at <= self._now():
            return
        replace = 0 if record.used_at is None else 1
        data, life = encode_record(record), self._life(record.expires_at)
        await self._call(
            scripts.RESTORE_REFRESH,
            [
                self._names.revoked_family(record.family),
                self._names.family_members(record.family),
                self._names.refresh(ref),
            ],
            [self._forget_members_before(), replace, data, life, REFRESH + ref.digest, record.expires_at],
        )

    def _cached(self, name: bytes) -> bytes | None:
        cache = self._cache
        if cache is None:
            return None
        value = cache.get(name)
        if value is not None:
            self._cache_observer.lookup("hit")
        else:
            self._cache_observer.lookup("miss" if cache.has_lease else "bypass")
        return value

    def _drop(self, names: Iterable[bytes]) -> None:
        if self._cache is not None:
            self._cache.drop(names)

    async def _read(self, name: bytes) -> bytes | None:
        """A value, with the epochs at least as current as it is."""
        version = self._ask_version()
        if version is None:
            value: bytes | None = await self._engine.read(name)
            return value
        outcome: bytes | StoreError | None = await _settled(self._engine.read(name))
        await self._catch_up(await version)
        if isinstance(outcome, StoreError):
            raise outcome
        return outcome

    def _ask_version(self) -> asyncio.Future[bytes | None] | None:
        """Ask for the version of the epochs, in the same batch as what is asked next; None if the copy is current."""
        if self._epochs.is_current():
            return None
        return self._engine.read(self._epochs.version_name)

    async def _catch_up(self, version: bytes | None) -> None:
        """Have the epochs of this version, or later ones."""
        epochs = self._epochs
        if not epochs.has(version):
            heard = epochs.heard
            epochs.load(version, await self._engine.run(epochs.hash_name, b"HGETALL", epochs.hash_name), heard)

    @_measured
    async def _ask_epochs(self) -> None:
        await self._catch_up(await self._engine.read(self._epochs.version_name))

    @_measured
    async def _ask_access_token(self, name: bytes) -> bytes | None:
        data: bytes | None = None
        reading = None if self._cache is None else self._cache.begin(name)
        try:
            data = await self._read(name)
        finally:
            if self._cache is not None:
                self._cache.settle(reading, name, data)
        return data

    @_measured
    async def _ask_is_marked(self, marks: list[bytes]) -> bool:
        """Whether any of these marks is there. That one is not there is cached."""
        cache = self._cache
        readings = [None if cache is None else cache.begin(mark) for mark in marks]
        answers: list[object] = [None] * len(marks)
        settled = False
        try:
            version = self._ask_version()
            asked = [self._engine.read(mark) for mark in marks]
            # All are awaited, whatever the first says: a failure that nobody looks at would be logged.
            answers = [await _settled(answer) for answer in asked]
            if version is not None:
                await self._catch_up(await version)
            settled = True
        finally:
            if cache is not None:
                for reading, mark, answer in zip(readings, marks, answers, strict=True):
                    cache.settle(reading, mark, _UNMARKED if settled and answer is None else None)
        for answer in answers:
            if isinstance(answer, StoreError):
                raise answer
        return any(answer is not None for answer in answers)

    def _life(self, until: int) -> int:
        """Whole seconds from now, at least one: Redis takes no less."""
        return max(1, math.ceil(until - self._now()))

    def _forget_members_before(self) -> int:
        return int(self._now()) - MEMBER_SPARE_SECONDS

    def _new_tokens(self, issuance: Issuance) -> tuple[list[bytes], list[bytes | str | int]]:
        """Keys and arguments of the new tokens, as the scripts take them."""
        keys: list[bytes] = []
        arguments: list[bytes | str | int] = []
        if issuance.access is not None:
            ref, access = issuance.access
            keys.append(self._names.access(ref))
            arguments += (encode_record(access), self._life(access.expires_at), ACCESS + ref.digest, access.expires_at)
        if issuance.refresh is not None:
            ref, refresh = issuance.refresh
            keys.append(self._names.refresh(ref))
            arguments += (
                encode_record(refresh),
                self._life(refresh.expires_at),
                REFRESH + ref.digest,
                refresh.expires_at,
            )
        return keys, arguments

    def borrow(self, key: str, requests: int, per_minute: int) -> asyncio.Future[tuple[int, float]]:
        """A :class:`~app.ratelimit.leases.SharedBudget`: up to ``requests`` of a client's limit.

        A client's id stays out of Redis; Redis' clock is everybody's.
        """
        name = self._names.budget(hashlib.sha256(key.encode()).digest())
        return asyncio.ensure_future(self._borrow(name, requests, 60_000_000 / per_minute))

    @_measured
    async def _borrow(self, name: bytes, requests: int, interval: float) -> tuple[int, float]:
        granted, wait = await self._call(scripts.BORROW, [name], [requests, f"{interval:.6f}"])
        return int(granted), int(wait) / 1e6

    async def _call(
        self,
        script: scripts.Script,
        keys: Sequence[bytes],
        arguments: Sequence[bytes | str | int],
        through: Commands | None = None,
    ) -> Any:
        commands = through or self._engine
        try:
            return await commands.run(keys[0], b"EVALSHA", script.digest, len(keys), *keys, *arguments)
        except ScriptMissing:
            return await commands.run(keys[0], b"EVAL", script.source, len(keys), *keys, *arguments)

    async def _revoke(self, script: scripts.Script, keys: list[bytes], arguments: list[bytes | str | int]) -> Any:
        """A step that ends something: durable, and said again after any reconnection for a while."""
        answer = await self._call(script, keys, arguments, self._durable)
        self._recent.note(Revocation(self._say_again, script, tuple(keys), tuple(arguments)))
        return answer

    def _note_ended(self, data: bytes | None) -> None:
        if data is not None:
            with suppress(StoreError):  # it is gone, whatever it was
                self._counts.add(decode_access_record(data), -1)

    async def _count_regularly(self) -> None:
        for turn in itertools.count(1):
            await asyncio.sleep(COUNT_SECONDS)
            if self._engine.is_connected:
                await self._flush_counts()
                if not self._epochs.is_current():
                    with suppress(StoreError):  # the next decision asks again
                        await self._ask_epochs()  # for those who watch, where no request asks
                if turn % LOOK_EVERY == 1:
                    with suppress(StoreError):  # counted as an error of the store; the next look is soon
                        memory = await self.server_memory()
                        self.observer.memory(memory.used_bytes, memory.max_bytes, memory.evicted_keys)
                if turn % RENEW_EVERY == 0:
                    for name in self._births.names():
                        with suppress(StoreError):  # the next turn is soon enough
                            await self._engine.run(name, b"EXPIRE", name, BORN_LIFE_SECONDS)

    async def _flush_counts(self) -> None:
        taken = self._counts.take(self._now())
        if taken is None:
            return
        life, changes = taken
        fields_and_numbers = [part for change in changes.items() for part in change]
        try:
            await self._call(scripts.COUNT, [self._names.live_counts()], [life, *fields_and_numbers])
        except StoreError:
            self._counts.put_back(changes)


def _family(issuance: Issuance) -> str:
    if issuance.refresh is not None:
        return issuance.refresh[1].family
    if issuance.access is not None and issuance.access[1].family is not None:
        return issuance.access[1].family
    raise CorruptRecord("an issuance of a family names none")


async def _replies(asked: list[asyncio.Future[Any]]) -> list[Any]:
    """All replies. Raises the first error, after all have come."""
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers


async def _settled(answer: Awaitable[T]) -> T | StoreError:
    """What a future came to: its value or its error."""
    try:
        return await answer
    except StoreError as error:
        return error
