"""Plans are carried out once, whoever else writes, and never over a document that is not understood."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from app.keys.document import RingDocument, decode, encode
from app.keys.errors import KeyUsageError, RingDocumentError, SealError, SourceError
from app.keys.loading import build_ring
from app.keys.memory import MemorySource
from app.keys.policy import RotationPolicy
from app.keys.rotation import Plan, plan
from app.keys.sealing import KeyEncryption, kek_id
from app.keys.sources.interface import Stored
from app.keys.writer import RingWriter
from app.randomness import random_bytes
from tests.unit.keys.conftest import NOW, Clock

POLICY = RotationPolicy(algorithms=("ES256", "EdDSA"))
OLD, NEW = b"o" * 32, b"n" * 32
Run = Callable[[Coroutine[Any, Any, Any]], Any]


def rotate(document: RingDocument, now: float) -> Plan:
    return plan(document, now, POLICY)


def writer(source: MemorySource, clock: Callable[[], float], *keks: bytes) -> RingWriter:
    kek = KeyEncryption(keks, random_bytes) if keks else None
    return RingWriter(source, POLICY, kek=kek, clock=clock, threads=None)


async def document_in(source: MemorySource) -> RingDocument:
    stored = await source.read()
    assert stored is not None
    return decode(stored.body)


def test_an_absent_ring_is_begun_only_where_that_is_meant(run: Run, clock: Clock) -> None:
    async def scenario() -> None:
        source = MemorySource()
        with pytest.raises(KeyUsageError, match="keys init"):
            await writer(source, clock).change(rotate)
        begun = await writer(source, clock).change(rotate, may_begin=True)
        assert len(begun.created) == 4
        assert begun.ring.signing_key("ES256", NOW).kid in begun.created
        assert not (await writer(source, clock).change(rotate)).changed

    run(scenario())


def test_of_a_hundred_rotations_at_once_one_makes_keys(run: Run, clock: Clock) -> None:
    async def scenario() -> None:
        source = MemorySource()
        await writer(source, clock).change(rotate, may_begin=True)
        clock.now += 86400
        done = await asyncio.gather(*(writer(source, clock).change(rotate) for _ in range(100)))
        assert sum(d.changed for d in done) == 1
        document = await document_in(source)
        assert document.revision == 2
        assert len(document.keys) == 6
        assert {d.ring.revision for d in done} == {2}

    run(scenario())


def test_times_count_from_after_the_generation_of_keys(run: Run) -> None:
    async def scenario() -> None:
        ticks = iter(range(10_000))

        def slow_clock() -> float:
            return NOW + 60.0 * next(ticks)  # a minute passes between any two looks

        source = MemorySource()
        await writer(source, slow_clock).change(rotate, may_begin=True)
        slow = writer(source, slow_clock)
        await slow.change(lambda document, now: plan(document, now, POLICY, force=True))
        for algorithm in POLICY.algorithms:
            retired, follower, successor = (await document_in(source)).of(algorithm)
            assert follower.signs_from == retired.retires_at == successor.created_at + POLICY.lead_seconds

    run(scenario())


@pytest.mark.parametrize("body", [b"", b"{", b'{"format": "auth-service/keyring", "version": "2.0", "keys": []}'])
def test_a_document_that_is_not_understood_is_never_written_over(run: Run, clock: Clock, body: bytes) -> None:
    async def scenario() -> None:
        source = MemorySource()
        await source.write(body, None)
        with pytest.raises(RingDocumentError):
            await writer(source, clock).change(rotate, may_begin=True)
        stored = await source.read()
        assert stored is not None
        assert stored.body == body

    run(scenario())


class TestSealing:
    def test_everything_written_is_sealed_and_nothing_else_is_found_in_the_source(self, run: Run, clock: Clock) -> None:
        async def scenario() -> None:
            source = MemorySource()
            await writer(source, clock).change(rotate, may_begin=True)
            plain = await document_in(source)
            clock.now += 86400
            await writer(source, clock, NEW).change(rotate)
            stored = await source.read()
            assert stored is not None
            for entry in plain.keys:
                assert entry.private is not None
                assert (entry.private.pkcs8 or "?").encode() not in stored.body
            assert b"pkcs8" not in stored.body
            build_ring(decode(stored.body), KeyEncryption((NEW,), random_bytes))

        run(scenario())

    def test_the_next_write_moves_to_a_new_kek(self, run: Run, clock: Clock) -> None:
        async def scenario() -> None:
            source = MemorySource()
            await writer(source, clock, OLD).change(rotate, may_begin=True)
            clock.now += 86400
            await writer(source, clock, NEW, OLD).change(rotate)
            parts = [k.private for k in (await document_in(source)).keys]
            assert {part.kek for part in parts if part} == {kek_id(NEW)}

        run(scenario())

    @pytest.mark.parametrize("keks", [(), (NEW,)])
    def test_a_sealed_ring_is_not_changed_without_its_kek(
        self, run: Run, clock: Clock, keks: tuple[bytes, ...]
    ) -> None:
        async def scenario() -> None:
            source = MemorySource()
            await writer(source, clock, OLD).change(rotate, may_begin=True)
            clock.now += 86400
            with pytest.raises(SealError):
                await writer(source, clock, *keks).change(rotate)
            assert (await document_in(source)).revision == 1

        run(scenario())

    def test_a_source_that_others_read_is_refused_without_a_kek(self, clock: Clock) -> None:
        source = MemorySource()
        source.must_be_sealed = True
        with pytest.raises(SealError, match="KEYS_KEK_FILE"):
            writer(source, clock)


def test_a_newer_minor_version_keeps_its_number_and_its_members(run: Run, clock: Clock) -> None:
    async def scenario() -> None:
        source = MemorySource()
        await writer(source, clock).change(rotate, may_begin=True)
        stored = await source.read()
        assert stored is not None
        raw = msgspec.json.decode(stored.body)
        raw["version"], raw["later"], raw["keys"][0]["later"] = "1.7", 1, 2
        await source.write(msgspec.json.encode(raw), stored)
        clock.now += 86400
        await writer(source, clock).change(rotate)
        after = msgspec.json.decode(encode(await document_in(source)))
        assert (after["version"], after["later"], after["keys"][0]["later"], after["revision"]) == ("1.7", 1, 2, 2)

    run(scenario())


class Restless(MemorySource):
    """Somebody else always writes first."""

    async def write(self, body: bytes, replaces: Stored | None) -> bool:
        return False


def test_endless_races_end(run: Run, clock: Clock) -> None:
    with pytest.raises(SourceError, match="30 times"):
        run(writer(Restless(), clock).change(rotate, may_begin=True))
