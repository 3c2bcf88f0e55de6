"""The keeper: follows the source of the ring, and rotates the ring where this process is to do that.

Rules:
- At start a document that cannot be used is an error; a source that cannot be reached or is empty is asked again.
- Later the ring that works is kept whatever happens to the source; ``problem`` tells what did.
- In-process rotation carries out the same plan as ``auth-service keys rotate``, by the same compare-and-set.
- Callbacks run on the event loop and must not block.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import msgspec

from app.cancellation import end_tasks
from app.keys.document import RingDocument, decode
from app.keys.errors import KeysError, NoRing, RingDocumentError, SourceDenied, SourceError
from app.keys.held import HeldRing
from app.keys.jwks import JwksDocument
from app.keys.policy import RotationPolicy
from app.keys.ring import KeyRing
from app.keys.rotation import Plan, next_due, next_switch, plan
from app.keys.sealing import KeyEncryption
from app.keys.sources.interface import KeySource, Stored
from app.keys.status import KeyStatus, key_status
from app.keys.threads import generation_pool
from app.keys.writer import RingWriter
from app.randomness import RandomBytes

log = logging.getLogger("app.keys")

RETRY_SECONDS = 2.0
"""Pause before an unreachable source is asked again, or a failed rotation tried again."""
LONGEST_PAUSE_SECONDS = 30.0
"""The clock may be stepped while the keeper sleeps."""
MAX_JITTER_SECONDS = 60.0


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
        future_version, sealed. ``on_rotation`` gets begun (the first ring was made), rotated, lost (another process
        did it) or failed.
        Raises SealError when the source demands sealing and there is no KEK.
        """
        self.source = source
        self.policy = policy
        self.problem: str | None = None
        """The kind of what is wrong with the source now; None while it is read without trouble."""
        self._held = HeldRing(policy, kek, clock)
        self._rotates = rotates
        self._clock = clock
        self._random_bytes = random_bytes
        self._on_problem = on_problem
        self._on_rotation = on_rotation
        self._pool = generation_pool()
        self._writer = RingWriter(source, policy, kek=kek, clock=clock, threads=self._pool.executor)
        # Nothing is served before the first ring, so its keys are made at normal priority.
        self._first_writer = RingWriter(source, policy, kek=kek, clock=clock, threads=None)
        self._read_token: bytes | None = None
        self._stale = asyncio.Event()
        self._moved = asyncio.Event()
        self._held.on_change(self._moved.set)
        self._reading = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ring(self) -> KeyRing:
        """The ring of the moment: empty until the first one was read."""
        return self._held.ring

    @property
    def ready(self) -> bool:
        """Whether every configured algorithm can sign now."""
        return self._held.can_sign()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after every change of the ring or of the JWKS."""
        self._held.on_change(callback)

    def jwks(self, now: float) -> JwksDocument:
        """The JWK set at ``now`` (Unix seconds), as prebuilt bytes.

        Raises NoRing before the first ring with a key: verifiers would keep an empty set for max-age. A set that is
        empty because all keys were revoked is told, for then the verifiers are to forget what they have.
        """
        if not self.ring.document.keys:
            raise NoRing("there are no keys yet")
        return self._held.jwks(now)

    def status(self, now: float) -> tuple[KeyStatus, ...]:
        return key_status(self.ring.document, now)

    def next_rotations(self, now: float) -> dict[str, float]:
        """For each algorithm with a signing key the instant at which another follows it, as far as planned."""
        document = self.ring.document
        switches = {a: next_switch(document, a, now, self.policy) for a in self.ring.algorithms}
        return {algorithm: at for algorithm, at in switches.items() if at is not None}

    async def revoke_locally(self, kids: Iterable[str]) -> None:
        """Treat keys as revoked from now on, because the store said so: the document may come minutes later.

        The successors sign at once, and the JWKS loses the keys.
        """
        async with self._reading:
            await self._held.revoke(kids)

    async def start(self) -> None:
        """Read the ring, and begin to follow the source.

        Raises RingDocumentError or SourceDenied. An unreachable or empty source is no error: the keeper is not
        ``ready`` until it has a ring.
        """
        if self._rotates and not self.source.writable:
            where = self.source.describe()
            raise SourceDenied(f"KEYS_ROTATION=auto needs a source that this process may write, and {where} is not")
        try:
            await self._refresh()
            if self._rotates and self.problem == "missing":
                await self._begin()
        except SourceDenied:
            raise
        except SourceError as error:
            self._report(error.kind, str(error))
        self._tasks = [asyncio.create_task(self._forever(step)) for step in (self._watch, self._follow, self._rotate)]

    async def stop(self) -> None:
        """Stop following, and release threads and the source."""
        await end_tasks(self._tasks)
        self._tasks = []
        await asyncio.to_thread(self._pool.close)
        await self.source.close()

    async def _begin(self) -> None:
        """Make the first ring."""
        if self.source.settle_seconds:
            await asyncio.sleep(self.source.settle_seconds)
        made = await self._first_writer.change(self._first_keys, may_begin=True)
        if made.changed:
            self._tell("begun")
        await self._refresh()

    def _first_keys(self, document: RingDocument, now: float) -> Plan:
        if document.keys:
            return Plan()  # another process was faster
        due = plan(document, now, self.policy)
        if self.source.kind != "memory":
            return due
        # Development waits for the keys that sign; their successors follow once the service runs.
        return msgspec.structs.replace(due, create=tuple(n for n in due.create if n.signs_from is not None))

    async def _refresh(self) -> None:
        """Read the source and adopt what it holds. Raises SourceError or RingDocumentError."""
        async with self._reading:
            stored = await self.source.read()
            if stored is None:
                await self._find_nothing()
            elif stored.token == self._read_token:
                self.problem = None
            else:
                document = decode(stored.body)
                if self.source.volatile and document.revision < self.ring.revision:
                    self._held.note_revoked(k.kid for k in document.keys if k.revoked_at is not None)
                    await self._write_back(stored)
                else:
                    await self._held.adopt(document)
                    self._read_token = stored.token
                self.problem = None

    async def _find_nothing(self) -> None:
        self._read_token = None
        if self._held.present and self.source.volatile:
            await self._write_back(None)
            self.problem = None
        elif not self._held.present and self._rotates:
            self.problem = "missing"  # no trouble: _begin makes the first ring
            self._moved.set()
        else:
            self._report("missing", f"there is no ring in {self.source.describe()}")

    async def _write_back(self, replaces: Stored | None) -> None:
        """Give the source the ring that it lost, with whatever was revoked meanwhile."""
        await self._held.adopt(self.ring.document)
        log.warning("%s lost the key ring; writing back revision %d", self.source.describe(), self.ring.revision)
        if not await self._writer.restore(self.ring.document, replaces):
            self._stale.set()  # another process was faster: see what it wrote

    async def _watch(self) -> None:
        await self.source.watch(self._stale.set)

    async def _follow(self) -> None:
        """Read again when the source changed, and after a pause when reading failed."""
        # Not wait_for: on Python 3.11 it may lose a cancellation that comes together with the event.
        with suppress(TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS if self.problem else None):
                await self._stale.wait()
        self._stale.clear()
        await self._refresh()

    async def _rotate(self) -> None:
        """Sleep until the next instant that matters, then do what is due."""
        self._moved.clear()
        now = self._clock()
        due = self._due(now)
        if due is not None and due <= now:
            await self._rotate_now()
            return
        instants = [at for at in (self._held.jwks_valid_until, due) if at is not None]
        pause = min([LONGEST_PAUSE_SECONDS, *(at - now for at in instants)])
        with suppress(TimeoutError):
            async with asyncio.timeout(max(pause, 0.01)):
                await self._moved.wait()
        self._held.jwks(self._clock())

    def _due(self, now: float) -> float | None:
        if not self._rotates:
            return None
        if not self._held.present:
            return now if self.problem == "missing" else None
        return next_due(self.ring.document, now, self.policy)

    async def _rotate_now(self) -> None:
        try:
            if not self._held.present:
                await self._begin()
                return
            if self.source.kind != "memory":
                await asyncio.sleep(self._jitter())
            result = await self._writer.change(lambda document, now: plan(document, now, self.policy))
        except KeysError as error:
            log.warning("the keys could not be rotated, trying again: %s", error)
            self._tell("failed")
            await asyncio.sleep(RETRY_SECONDS)
            return
        self._tell("rotated" if result.changed else "lost")
        for note in result.plan.notes:
            log.info("key rotation: %s", note)
        await self._refresh()

    def _tell(self, result: str) -> None:
        if self._on_rotation is not None:
            self._on_rotation(result)

    def _jitter(self) -> float:
        """A pause in seconds, so that of many replicas only one makes the key."""
        spread = min(MAX_JITTER_SECONDS, self.policy.window_seconds / 4)
        return spread * int.from_bytes(self._random_bytes(4), "big") / 2**32

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except (RingDocumentError, SourceError) as error:
                self._report(error.kind, str(error))
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                log.exception("the key keeper goes on after an unexpected error")
                await asyncio.sleep(RETRY_SECONDS)

    def _report(self, kind: str, message: str) -> None:
        """Log each new trouble once; count every failed reading."""
        if self.problem != kind:
            log.error("the key ring cannot be read, the one that works is kept: %s", message)
        self.problem = kind
        if self._on_problem is not None:
            self._on_problem(kind)
