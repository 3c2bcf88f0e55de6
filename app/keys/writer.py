"""Carrying out plans: keys are generated, the document is written by compare-and-set.

Rules:
- Read, decide, generate, decide again with the time after the generation, write. Whoever loses the race reads
  and decides anew, and then usually finds nothing to do: of a hundred rotations at once, one makes a key.
- A document that cannot be used as a whole is never written over.
- With a key-encryption key everything written is sealed under the current one.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

import msgspec
from cryptography.hazmat.primitives import serialization

from app.keys.algorithms import PrivateKey, generate
from app.keys.document import MINOR, KeyEntry, PrivatePart, RingDocument, decode, encode
from app.keys.errors import KeyUsageError, SealError, SourceError
from app.keys.jwk import b64url, public_jwk, thumbprint
from app.keys.loading import build_ring, pkcs8_of
from app.keys.policy import RotationPolicy
from app.keys.ring import KeyRing
from app.keys.rotation import NewKey, Plan, carried_out
from app.keys.sealing import KeyEncryption
from app.keys.sources.interface import KeySource, Stored

MAX_ATTEMPTS = 30
"""Lost races in a row, each of which means that another process has written."""

MAX_DECISIONS = 5
"""A plan can change while keys are made, because a switch comes; more changes mean that the clock runs away."""

Decide = Callable[[RingDocument, float], Plan]


class Written(msgspec.Struct, frozen=True):
    """How an attempt to change the ring ended."""

    plan: Plan
    """What was done, or an empty plan when nothing was due (any more)."""
    ring: KeyRing
    """The ring as it now is in the source."""
    created: tuple[str, ...] = ()
    """Kids of the keys that were made."""
    races_lost: int = 0

    @property
    def changed(self) -> bool:
        return self.plan.is_due


class RingWriter:
    """Changes the ring of one source."""

    def __init__(
        self,
        source: KeySource,
        policy: RotationPolicy,
        *,
        kek: KeyEncryption | None,
        clock: Callable[[], float],
        threads: Executor | None,
    ) -> None:
        """``clock`` returns Unix seconds. ``threads`` makes keys; None for the loop's default executor.

        Raises SealError when the source demands sealing and there is no KEK.
        """
        if source.must_be_sealed and kek is None:
            raise SealError(f"keys in {source.describe()} must be sealed: KEYS_KEK_FILE is not set")
        self.source = source
        self.policy = policy
        self._kek = kek
        self._clock = clock
        self._threads = threads

    async def change(self, decide: Decide, *, may_begin: bool = False) -> Written:
        """Do what ``decide`` plans until nothing is due or it is written.

        ``may_begin``: whether an absent document counts as an empty ring; otherwise it is a KeyUsageError. Raises
        RingDocumentError, SourceError, and what ``decide`` raises.
        """
        spare: list[tuple[str, PrivateKey]] = []
        for attempt in range(MAX_ATTEMPTS):
            stored = await self.source.read()
            if stored is None and not may_begin:
                raise KeyUsageError(f"there is no ring in {self.source.describe()}; `auth-service keys init` makes one")
            document = decode(stored.body) if stored else RingDocument()
            ring = await asyncio.to_thread(build_ring, document, self._kek)
            due, now = await self._with_keys(decide, document, spare)
            if not due.is_due:
                return Written(due, ring, races_lost=attempt)
            written, created = self._apply(document, due, spare, now)
            ring = await asyncio.to_thread(build_ring, written, self._kek)
            if await self.source.write(encode(written), stored):
                return Written(due, ring, created, attempt)
        raise SourceError(f"{self.source.describe()} changed {MAX_ATTEMPTS} times while it was to be written")

    async def restore(self, document: RingDocument, replaces: Stored | None) -> bool:
        """Write a whole document as it is; False if the source changed meanwhile."""
        await asyncio.to_thread(build_ring, document, self._kek)
        return await self.source.write(encode(self._sealed(document)), replaces)

    async def _with_keys(
        self, decide: Decide, document: RingDocument, spare: list[tuple[str, PrivateKey]]
    ) -> tuple[Plan, float]:
        """Decide, generate what the plan lacks, and decide again: timestamps count from after the generation."""
        for _ in range(MAX_DECISIONS):
            now = self._clock()
            due = decide(document, now)
            missing = _missing(due.create, spare)
            if not missing:
                return due, now
            made = await asyncio.gather(*(self._generate(algorithm) for algorithm in missing))
            spare.extend(zip(missing, made, strict=True))
        raise SourceError(f"the plan changed {MAX_DECISIONS} times while its keys were made")

    async def _generate(self, algorithm: str) -> PrivateKey:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, generate, algorithm, self.policy.rsa_bits)

    def _apply(
        self, document: RingDocument, due: Plan, spare: list[tuple[str, PrivateKey]], now: float
    ) -> tuple[RingDocument, tuple[str, ...]]:
        unused = list(spare)
        made = []
        for new in due.create:
            index = next(i for i, (algorithm, _) in enumerate(unused) if algorithm == new.algorithm)
            made.append(entry_for(new.algorithm, unused.pop(index)[1], now, new.signs_from))
        changed = carried_out(document, due, tuple(made))
        changed = msgspec.structs.replace(changed, version=_version_to_write(document))
        return self._sealed(changed), tuple(entry.kid for entry in made)

    def _sealed(self, document: RingDocument) -> RingDocument:
        kek = self._kek
        if kek is None:
            return document
        return msgspec.structs.replace(document, keys=tuple(_seal(entry, kek) for entry in document.keys))


def entry_for(algorithm: str, key: PrivateKey, now: float, signs_from: float | None) -> KeyEntry:
    """The entry of a private key, not sealed yet."""
    public = public_jwk(key.public_key())
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyEntry(
        kid=thumbprint(public),
        algorithm=algorithm,
        created_at=_milliseconds(now),
        signs_from=None if signs_from is None else _milliseconds(signs_from),
        public=public,
        private=PrivatePart(pkcs8=b64url(der)),
    )


def _seal(entry: KeyEntry, kek: KeyEncryption) -> KeyEntry:
    if entry.private is None or (entry.private.sealed and entry.private.kek == kek.current):
        return entry
    part = kek.seal(entry.kid, entry.algorithm, pkcs8_of(entry, kek))
    return msgspec.structs.replace(entry, private=part)


def _missing(wanted: tuple[NewKey, ...], spare: list[tuple[str, PrivateKey]]) -> list[str]:
    have = [algorithm for algorithm, _ in spare]
    missing = []
    for new in wanted:
        if new.algorithm in have:
            have.remove(new.algorithm)
        else:
            missing.append(new.algorithm)
    return missing


def _version_to_write(document: RingDocument) -> str:
    """This release's version, or a newer minor one if that is what the document has."""
    major, minor = document.version.split(".")
    return f"{major}.{max(int(minor), MINOR)}"


def _milliseconds(at: float) -> float:
    return round(at, 3)
