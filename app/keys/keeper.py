"""The keeper: holds the ring of the process, follows its source, and rotates it where the process is to do that.

Rules:
- The ring is one immutable reference, swapped as a whole. What works is kept whenever something else is wrong.
- At start a document that cannot be used is an error; a source that cannot be reached is tried again.
- A kid that this process once saw revoked stays revoked for it, even if an older document comes back.
- Callbacks run on the event loop and must not block.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec

from app.keys.document import RingDocument, decode
from app.keys.errors import KeysError, NoSigningKey, RingDocumentError, SourceDenied, SourceError
from app.keys.jwks import JwksDocument, jwks_document
from app.keys.policy import RotationPolicy
from app.keys.ring import EMPTY_RING, KeyRing, build_ring
from app.keys.rotation import Plan, next_due, next_switch, plan, plan_revocation
from app.keys.sealing import KeyEncryption
from app.keys.sources.interface import KeySource, Stored
from app.keys.status import KeyStatus, key_status
from app.keys.threads import generation_pool
from app.keys.writer import RingWriter, Written
from app.randomness import RandomBytes

log = logging.getLogger("auth_service.keys")

RETRY_SECONDS = 2.0
"""Pause before an unreachable source is asked again."""
LONGEST_PAUSE_SECONDS = 30.0
"""The clock may be stepped while the keeper sleeps."""
MAX_JITTER_SECONDS = 60.0
_MAX_REVOKED = 1000


class KeyKeeper:
    """See the module. Use it from one event loop."""

    def __init__(
        self,
        source: KeySource,
        policy: RotationPolicy,
        *,
        kek: KeyEncryption | None,
        rotates: bool,
        clock: Callable[[], float],
        random_bytes: RandomBytes,
        on_problem: Callable[[str], None] | None = None,
        on_rotation: Callable[[str], None] | None = None,
    ) -> None:
        """``rotates``: this process rotates the ring itself (KEYS_ROTATION=auto). ``clock``: Unix seconds.

        ``on_problem`` gets the kind of each failed reading: unreachable, permission, missing, empty, corrupt,
        future_version, sealed. ``on_rotation`` gets rotated, lost or failed.
        """
        self.source = source
        self.policy = policy
        self.ring: KeyRing = EMPTY_RING
        self.problem: str | None = None
        """The kind of what is wrong now; None while the source is read without trouble."""
        self._kek = kek
        self._rotates = rotates
        self._clock = clock
        self._random_bytes = random_bytes
        self._on_problem = on_problem
        self._on_rotation = on_rotation
        self._on_change: list[Callable[[], None]] = []
        self._pool = generation_pool()
        self._writer = RingWriter(source, policy, kek=kek, clock=clock, threads=self._pool.executor)
        self._read_token: bytes | None = None
        self._jwks: JwksDocument = jwks_document(EMPTY_RING, 0)
        self._revoked: dict[str, None] = {}
        self._stale = asyncio.Event()
        self._moved = asyncio.Event()
        self._reading = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        """Whether every configured algorithm can sign now."""
        now = self._clock()
        try:
            for algorithm in self.policy.algorithms:
                self.ring.signing_key(algorithm, now)
        except NoSigningKey:
            return False
        return True

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after every change of the ring or of the JWKS."""
        self._on_change.append(callback)

    def jwks(self, now: float) -> tuple[bytes, bytes]:
        """The JWK set and its entity tag at ``now``: prebuilt, rebuilt when a key's time in it ends."""
        held = self._jwks
        if held.valid_until is not None and now >= held.valid_until:
            held = self._jwks = jwks_document(self.ring, now)
        return held.body, held.etag

    def status(self, now: float) -> tuple[KeyStatus, ...]:
        return key_status(self.ring.document, now)

    def next_rotations(self, now: float) -> dict[str, float]:
        """For each algorithm with a signing key the instant at which another follows it, as far as planned."""
        document = self.ring.document
        switches = {a: next_switch(document, a, now, self.policy) for a in self.ring.algorithms}
        return {algorithm: at for algorithm, at in switches.items() if at is not None}

    async def start(self) -> None:
        """Read the ring, and begin to follow the source.

        Raises RingDocumentError or SourceDenied. An unreachable or empty source is no error: the keeper is not
        ``ready`` until it has a ring.
        """
        try:
            await self._refresh()
            if self._rotates and self.problem == "missing":
                await self._begin()
        except SourceError as error:
            if isinstance(error, SourceDenied):
                raise
            self._report(error.kind, str(error))
        self._tasks = [asyncio.create_task(self._forever(step)) for step in (self._watch, self._follow, self._rotate)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks = []
        self._pool.close()
        await self.source.close()

    async def revoke_locally(self, kids: Iterable[str]) -> None:
        """Treat keys as revoked from now on: the store said so, and the document may be minutes late.

        The successors sign at once, and the JWKS loses the keys.
        """
        news = [kid for kid in kids if kid not in self._revoked]
        if news:
            self._remember_revoked(news)
            async with self._reading:
                await self._adopt(self.ring.document)

    async def _begin(self) -> None:
        """Make the first ring: the signing keys now, their successors as soon as the service runs."""
        if self.source.settle_seconds:
            await asyncio.sleep(self.source.settle_seconds)
        # Nothing is served yet: the first keys are made at normal priority.
        writer = RingWriter(self.source, self.policy, kek=self._kek, clock=self._clock, threads=None)
        await writer.change(self._first_keys, may_begin=True)
        await self._refresh()

    def _first_keys(self, document: RingDocument, now: float) -> Plan:
        due = plan(document, now, self.policy)
        if document.keys:
            return Plan()
        return msgspec.structs.replace(due, create=tuple(n for n in due.create if n.signs_from is not None))

    async def _refresh(self) -> None:
        """Read the source and adopt what it holds. Raises SourceError or RingDocumentError."""
        async with self._reading:
            stored = await self.source.read()
            if stored is None:
                self._read_token = None
                if self.ring is EMPTY_RING and self._rotates:
                    self.problem = "missing"
                elif self.ring is EMPTY_RING or not await self._write_back(None):
                    self._report("missing", f"there is no ring in {self.source.describe()}")
                return
            if stored.token != self._read_token:
                document = decode(stored.body)
                if self.source.volatile and document.revision < self.ring.revision and await self._write_back(stored):
                    return
                await self._adopt(document)
                self._read_token = stored.token
            self.problem = None

    async def _write_back(self, replaces: Stored | None) -> bool:
        """Give the source the ring that it lost."""
        if not self.source.volatile:
            return False
        log.warning("%s lost the key ring; writing back revision %d", self.source.describe(), self.ring.revision)
        if await self._writer.restore(self.ring.document, replaces):
            self.problem = None
        else:
            self._stale.set()
        return True

    async def _adopt(self, document: RingDocument) -> None:
        now = self._clock()
        self._remember_revoked(k.kid for k in document.keys if k.revoked_at is not None)
        late = frozenset(k.kid for k in document.keys if k.revoked_at is None and k.kid in self._revoked)
        if late:
            changed = {k.kid: k for k in plan_revocation(document, late, "revoked", now, self.policy).changed}
            document = msgspec.structs.replace(document, keys=tuple(changed.get(k.kid, k) for k in document.keys))
        ring = await asyncio.to_thread(build_ring, document, self._kek)
        self.ring, self._jwks = ring, jwks_document(ring, now)
        self._moved.set()
        self._notify()

    def _remember_revoked(self, kids: Iterable[str]) -> None:
        for kid in kids:
            self._revoked[kid] = None
        while len(self._revoked) > _MAX_REVOKED:
            del self._revoked[next(iter(self._revoked))]

    def _notify(self) -> None:
        for callback in self._on_change:
            callback()

    async def _watch(self) -> None:
        await self.source.watch(self._stale.set)

    async def _follow(self) -> None:
        """Read again when the source changed, and after a pause when reading failed."""
        trouble = self.problem is not None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stale.wait(), RETRY_SECONDS if trouble else None)
        self._stale.clear()
        await self._refresh()

    async def _rotate(self) -> None:
        """Sleep until the next instant that matters, then do what is due."""
        now = self._clock()
        instants = [at for at in (self._jwks.valid_until, self._due(now)) if at is not None]
        pause = min([LONGEST_PAUSE_SECONDS, *(max(0.0, at - now) for at in instants)])
        self._moved.clear()
        if pause > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), pause)
            self._refresh_jwks()
            return
        self._refresh_jwks()
        due = self._due(self._clock())
        if due is not None and due <= self._clock():
            await self._rotate_now()

    def _refresh_jwks(self) -> None:
        before = self._jwks
        self.jwks(self._clock())
        if self._jwks is not before:
            self._notify()

    def _due(self, now: float) -> float | None:
        if not self._rotates or (self.ring is EMPTY_RING and self.problem not in (None, "missing")):
            return None
        if self.ring is EMPTY_RING:
            return now
        return next_due(self.ring.document, now, self.policy)

    async def _rotate_now(self) -> None:
        if self.ring is EMPTY_RING:
            await self._begin()
            return
        try:
            if self.source.kind != "memory":
                await asyncio.sleep(self._jitter())
            result: Written = await self._writer.change(lambda d, now: plan(d, now, self.policy))
        except KeysError:
            if self._on_rotation is not None:
                self._on_rotation("failed")
            raise
        if self._on_rotation is not None:
            self._on_rotation("rotated" if result.changed else "lost")
        for note in result.plan.notes:
            log.info("key rotation: %s", note)
        await self._refresh()

    def _jitter(self) -> float:
        """A pause in seconds that keeps replicas from making keys for one race."""
        spread = min(MAX_JITTER_SECONDS, self.policy.window_seconds / 4)
        return spread * int.from_bytes(self._random_bytes(4), "big") / 2**32

    async def _forever(self, step: Callable[[], object]) -> None:
        while True:
            try:
                await step()  # type: ignore[misc]
            except (RingDocumentError, SourceError) as error:
                self._report(error.kind, str(error))
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                log.exception("the key keeper goes on after an unexpected error")
                await asyncio.sleep(RETRY_SECONDS)

    def _report(self, kind: str, message: str) -> None:
        """Tell once of each new trouble; count it every time."""
        if self.problem != kind:
            log.error("the key ring cannot be read, the one that works is kept: %s", message, extra={"kind": kind})
        self.problem = kind
        if self._on_problem is not None:
            self._on_problem(kind)
