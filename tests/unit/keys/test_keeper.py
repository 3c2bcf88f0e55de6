"""The keeper keeps the ring that works, takes up every better one, and rotates in time."""

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from app import cancellation
from app.clock import unix_now
from app.keys import keeper as keeper_module
from app.keys.document import RingDocument, decode, encode
from app.keys.errors import InvalidToken, NoRing, RingDocumentError, SealError, SourceDenied, SourceUnreachable
from app.keys.intervention import plan_revocation
from app.keys.jwt import sign_now, verify
from app.keys.keeper import KeyKeeper
from app.keys.memory import MemorySource
from app.keys.policy import RotationPolicy
from app.keys.ring import KeyState
from app.keys.rotation import plan
from app.keys.sources.interface import Stored
from app.keys.writer import RingWriter
from app.randomness import random_bytes
from tests.unit.keys.conftest import NOW, Clock

Run = Callable[[Coroutine[Any, Any, Any]], Any]
NewKeeper = Callable[..., KeyKeeper]
POLICY = RotationPolicy(algorithms=("ES256",))
FAST = RotationPolicy(
    algorithms=("ES256",), max_age_seconds=0.1, propagation_seconds=0.1, skew_seconds=0.02, period_seconds=0.5,
    retain_seconds=0.6,
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "RETRY_SECONDS", 0.02)


async def until(condition: Callable[[], bool]) -> None:
    """Wait, boundedly, for what the keeper's background work is to bring about."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


async def filled(source: MemorySource, clock: Clock) -> MemorySource:
    writer = RingWriter(source, POLICY, kek=None, clock=clock, threads=None)
    await writer.change(lambda document, now: plan(document, now, POLICY), may_begin=True)
    return source


async def put(source: MemorySource, body: bytes) -> None:
    assert await source.write(body, await source.read())


async def change(source: MemorySource, alter: Callable[[RingDocument], RingDocument]) -> None:
    stored = await source.read()
    assert stored is not None
    await put(source, encode(alter(decode(stored.body))))


class Failing(MemorySource):
    """Raises ``error`` until it is taken away."""

    error: Exception | None = None
    reads = 0

    async def read(self) -> Stored | None:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return await super().read()


class TestStart:
    def test_an_empty_memory_gets_a_ring_that_signs_and_soon_its_successors(
        self, run: Run, new_keeper: NewKeeper
    ) -> None:
        async def scenario() -> None:
            keeper = new_keeper(policy=RotationPolicy(algorithms=("ES256", "RS256")))
            before = keeper.ready
            await keeper.start()
            assert (before, keeper.ready) == (False, True)
            await until(lambda: len(keeper.status(NOW)) == 4)
            await keeper.stop()

        run(scenario())

    def test_without_rotation_an_empty_source_is_waited_for(
        self, run: Run, new_keeper: NewKeeper, clock: Clock
    ) -> None:
        async def scenario() -> None:
            source, told = MemorySource(), list[str]()
            keeper = new_keeper(source, rotates=False, on_problem=told.append)
            await keeper.start()
            assert (keeper.ready, keeper.problem) == (False, "missing")
            with pytest.raises(NoRing):
                keeper.jwks(NOW)
            await filled(source, clock)
            await until(lambda: keeper.ready)
            assert keeper.problem is None
            assert set(told) == {"missing"}
            await keeper.stop()

        run(scenario())

    def test_an_unreachable_source_is_asked_again(self, run: Run, new_keeper: NewKeeper) -> None:
        async def scenario() -> None:
            source = Failing()
            source.error = SourceUnreachable("gone")
            keeper = new_keeper(source)
            await keeper.start()
            assert (keeper.ready, keeper.problem) == (False, "unreachable")
            await until(lambda: source.reads > 2)
            source.error = None
            await until(lambda: keeper.ready)
            await keeper.stop()

        run(scenario())

    @pytest.mark.parametrize("body", [b"", b"{", b'{"format": "auth-service/keyring", "version": "9.0"}'])
    def test_a_document_that_cannot_be_used_is_an_error(self, run: Run, new_keeper: NewKeeper, body: bytes) -> None:
        async def scenario() -> None:
            source = MemorySource()
            await put(source, body)
            with pytest.raises(RingDocumentError):
                await new_keeper(source).start()

        run(scenario())

    def test_a_source_that_refuses_is_an_error(self, run: Run, new_keeper: NewKeeper) -> None:
        source = Failing()
        source.error = SourceDenied("forbidden")
        with pytest.raises(SourceDenied, match="forbidden"):
            run(new_keeper(source).start())

    def test_rotation_of_what_cannot_be_written_is_an_error(self, run: Run, new_keeper: NewKeeper) -> None:
        source = MemorySource()
        source.writable = False
        with pytest.raises(SourceDenied, match="KEYS_ROTATION"):
            run(new_keeper(source).start())

    def test_keys_that_others_can_read_need_a_kek(self, new_keeper: NewKeeper) -> None:
        source = MemorySource()
        source.must_be_sealed = True
        with pytest.raises(SealError):
            new_keeper(source)


class TestFollowing:
    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (b"", "empty"),
            (b"{", "corrupt"),
            (b'{"format": "auth-service/keyring", "version": "2.0", "keys": []}', "future_version"),
            (b'{"format": "auth-service/keyring", "version": "1.0", "keys": [{}]}', "corrupt"),
        ],
    )
    def test_a_bad_document_changes_nothing_but_is_told(
        self, run: Run, new_keeper: NewKeeper, body: bytes, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def scenario() -> None:
            source, told = await filled(MemorySource(), Clock()), list[str]()
            keeper = new_keeper(source, rotates=False, on_problem=told.append)
            await keeper.start()
            ring, good = keeper.ring, await source.read()
            assert good is not None
            await put(source, body)
            await until(lambda: len(told) > 3)
            assert keeper.ring is ring
            assert keeper.ready
            assert (keeper.problem, set(told)) == (kind, {kind})
            errors = [r for r in caplog.records if r.levelno == logging.ERROR]
            assert len(errors) == 1, "one line for each new trouble, not one for each try"
            await put(source, good.body)
            await until(lambda: keeper.problem is None)
            await keeper.stop()

        run(scenario())

    def test_a_reading_that_is_answered_as_it_stops_does_not_keep_it_from_stopping(
        self, run: Run, new_keeper: NewKeeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cancellation, "AGAIN_SECONDS", 0.02)

        class Answering(MemorySource):
            """Waits for its answers as redis-py does, which on Python 3.11 may lose a cancellation."""

            answer: asyncio.Future[Stored | None] | None = None

            async def read(self) -> Stored | None:
                if self.answer is None:
                    return await super().read()
                return await asyncio.wait_for(self.answer, 5)

        async def scenario() -> None:
            source = Answering()
            keeper = new_keeper(await filled(source, Clock()), rotates=False)
            await keeper.start()
            source.answer = asyncio.get_running_loop().create_future()
            stored = await MemorySource.read(source)
            assert stored is not None
            await MemorySource.write(source, stored.body, stored)  # the keeper is told, and reads
            await asyncio.sleep(0.02)
            source.answer.set_result(stored)
            await asyncio.wait_for(keeper.stop(), 5)

        run(scenario())

    def test_a_new_document_is_taken_up_whole_and_announced(
        self, run: Run, new_keeper: NewKeeper, clock: Clock
    ) -> None:
        async def scenario() -> None:
            source, changes = await filled(MemorySource(), clock), list[int]()
            keeper = new_keeper(source, rotates=False)
            keeper.on_change(lambda: changes.append(keeper.ring.revision))
            await keeper.start()
            before = keeper.jwks(NOW)
            await change(source, lambda d: msgspec.structs.replace(d, revision=5, keys=d.keys[:1]))
            await until(lambda: keeper.ring.revision == 5)
            assert changes == [1, 5]
            assert keeper.jwks(NOW).etag != before.etag
            assert len(json.loads(keeper.jwks(NOW).body)["keys"]) == 1
            await keeper.stop()

        run(scenario())

    def test_the_jwks_is_prebuilt_until_a_key_leaves_it(self, run: Run, new_keeper: NewKeeper, clock: Clock) -> None:
        async def scenario() -> None:
            source = await filled(MemorySource(), clock)
            times = {"retires_at": NOW + 10, "removed_at": NOW + 20}
            await change(
                source,
                lambda d: msgspec.structs.replace(d, keys=(msgspec.structs.replace(d.keys[0], **times), d.keys[1])),
            )
            keeper = new_keeper(source, rotates=False)
            await keeper.start()
            before = keeper.jwks(NOW)
            assert keeper.jwks(NOW + 19.9) is before
            after = keeper.jwks(NOW + 20)
            assert len(json.loads(after.body)["keys"]) == 1
            assert keeper.jwks(NOW + 21) is after
            await keeper.stop()

        run(scenario())

    def test_the_lost_ring_of_a_volatile_source_is_written_back(
        self, run: Run, new_keeper: NewKeeper, clock: Clock
    ) -> None:
        async def scenario() -> None:
            source = await filled(MemorySource(), clock)
            source.volatile = True
            keeper = new_keeper(source, rotates=False)
            await keeper.start()
            await change(source, lambda d: msgspec.structs.replace(d, revision=8))
            await until(lambda: keeper.ring.revision == 8)
            held = await source.read()
            source._stored = None  # Redis came back empty
            source._changed.set()
            await until(lambda: source._stored is not None)
            assert await source.read() == held
            await change(source, lambda d: msgspec.structs.replace(d, revision=3))  # an old backup
            await until(lambda: source._stored == held)
            assert keeper.ring.revision == 8
            await keeper.stop()

        run(scenario())

    def test_a_source_that_keeps_its_content_may_go_back_to_a_backup_but_not_unrevoke(
        self, run: Run, new_keeper: NewKeeper, clock: Clock
    ) -> None:
        async def scenario() -> None:
            source = await filled(MemorySource(), clock)
            keeper = new_keeper(source, rotates=False)
            await keeper.start()
            backup = await source.read()
            assert backup is not None
            leaked = keeper.ring.signing_key("ES256", NOW)
            await change(
                source,
                lambda d: msgspec.structs.replace(
                    d,
                    revision=2,
                    keys=tuple(
                        {k.kid: k for k in plan_revocation(d, frozenset({leaked.kid}), "", NOW, POLICY).changed}.get(
                            k.kid, k
                        )
                        for k in d.keys
                    ),
                ),
            )
            await until(lambda: keeper.ring.revision == 2)
            await put(source, backup.body)
            await until(lambda: keeper.ring.revision == 1)
            assert keeper.ring.verification_key(leaked.kid, NOW) is None
            assert keeper.ready
            await keeper.stop()

        run(scenario())


class TestRevokingLocally:
    def test_the_key_is_dead_at_once_and_its_successor_signs(
        self, run: Run, new_keeper: NewKeeper, clock: Clock
    ) -> None:
        async def scenario() -> None:
            keeper = new_keeper(await filled(MemorySource(), clock), rotates=False)
            await keeper.start()
            leaked = keeper.ring.signing_key("ES256", NOW)
            claims = json.dumps({"iss": "i", "exp": NOW + 60}).encode()
            forged = sign_now(leaked, "at+jwt", claims)
            verify(forged, keeper.ring, typ="at+jwt", issuer="i", now=NOW)
            await keeper.revoke_locally([leaked.kid, "of another ring"])
            with pytest.raises(InvalidToken):
                verify(forged, keeper.ring, typ="at+jwt", issuer="i", now=NOW)
            assert leaked.kid.encode() not in keeper.jwks(NOW).body
            successor = keeper.ring.signing_key("ES256", NOW)
            assert successor.kid != leaked.kid
            verify(sign_now(successor, "at+jwt", claims), keeper.ring, typ="at+jwt", issuer="i", now=NOW)
            assert {row.kid: row.state for row in keeper.status(NOW)}[leaked.kid] is KeyState.REVOKED
            await keeper.stop()

        run(scenario())

    def test_before_the_first_ring_it_is_remembered(self, run: Run, new_keeper: NewKeeper, clock: Clock) -> None:
        async def scenario() -> None:
            source = await filled(MemorySource(), clock)
            keeper = new_keeper(source, rotates=False)
            leaked = (await reading(source)).keys[0].kid
            await keeper.revoke_locally([leaked])
            await keeper.start()
            assert keeper.ring.verification_key(leaked, NOW) is None
            await keeper.stop()

        run(scenario())

    def test_what_is_remembered_is_bounded(self, run: Run, new_keeper: NewKeeper) -> None:
        async def scenario() -> None:
            keeper = new_keeper()
            await keeper.revoke_locally(str(number) for number in range(5000))
            assert len(keeper._held._revoked) == 1000

        run(scenario())


async def reading(source: MemorySource) -> RingDocument:
    stored = await source.read()
    assert stored is not None
    return decode(stored.body)


class TestRotation:
    def test_keys_follow_each_other_without_a_gap(self, run: Run) -> None:
        """Real time, lives of half a second: at every look there is a key that signs and that the JWKS names."""

        async def scenario() -> None:
            told = list[str]()
            keeper = KeyKeeper(
                MemorySource(), FAST, kek=None, rotates=True, clock=unix_now, random_bytes=random_bytes,
                on_rotation=told.append,
            )  # fmt: skip
            await keeper.start()
            signed: dict[str, str] = {}
            seen_first: dict[str, float] = {}
            for _ in range(2000):
                now = unix_now()
                for row in json.loads(keeper.jwks(now).body)["keys"]:
                    seen_first.setdefault(row["kid"], now)
                key = keeper.ring.signing_key("ES256", now)
                assert key.kid in seen_first
                if key.kid not in signed and signed:
                    assert now - seen_first[key.kid] > FAST.max_age_seconds
                signed[key.kid] = sign_now(key, "at+jwt", json.dumps({"iss": "i", "exp": now + 0.5}).encode())
                verify(signed[key.kid], keeper.ring, typ="at+jwt", issuer="i", now=unix_now())
                if len(signed) == 5:
                    break
                await asyncio.sleep(0.005)
            assert len(signed) == 5
            assert told.count("rotated") >= 4
            assert told[0] == "begun"
            assert set(told[1:]) == {"rotated"}
            assert len(json.loads(keeper.jwks(unix_now()).body)["keys"]) < 6, "retired keys leave the JWKS"
            await keeper.stop()

        run(scenario())

    def test_replicas_of_one_source_rotate_it_once_a_period(self, run: Run) -> None:
        async def scenario() -> None:
            place = Shared()
            keepers = [
                KeyKeeper(
                    Window(place), FAST, kek=None, rotates=True, clock=unix_now, random_bytes=random_bytes
                )
                for _ in range(4)
            ]  # fmt: skip
            await asyncio.gather(*(keeper.start() for keeper in keepers))
            await until(lambda: min(keeper.ring.revision for keeper in keepers) >= 5)
            await asyncio.gather(*(keeper.stop() for keeper in keepers))
            assert place.source._stored is not None
            document = decode(place.source._stored.body)
            begun = sorted(k.signs_from for k in document.keys if k.signs_from is not None)
            assert all(later - earlier >= FAST.period_seconds for earlier, later in pairwise(begun))

        run(scenario())

    def test_a_failed_rotation_is_told_and_tried_again(self, run: Run, new_keeper: NewKeeper, clock: Clock) -> None:
        async def scenario() -> None:
            source, told = Failing(), list[str]()
            await filled(source, clock)
            keeper = new_keeper(source, on_rotation=told.append)
            await keeper.start()
            source.error = SourceUnreachable("gone")
            clock.now += 86400
            keeper._moved.set()
            await until(lambda: "failed" in told)
            assert keeper.ready
            source.error = None
            await until(lambda: "rotated" in told)
            await until(lambda: keeper.ring.revision == 2)
            await keeper.stop()

        run(scenario())

    def test_the_next_rotations_are_known(self, run: Run, new_keeper: NewKeeper, clock: Clock) -> None:
        async def scenario() -> None:
            keeper = new_keeper(await filled(MemorySource(), clock), rotates=False)
            await keeper.start()
            assert keeper.next_rotations(NOW) == {"ES256": NOW - 30 + 86400}
            await keeper.stop()

        run(scenario())


class Shared:
    """One place that several keepers look at."""

    def __init__(self) -> None:
        self.source = MemorySource()
        self.windows: list[Callable[[], None]] = []


class Window(MemorySource):
    """A keeper's own view of a shared place."""

    kind = "file"

    def __init__(self, place: Shared) -> None:
        super().__init__()
        self._place = place

    async def read(self) -> Stored | None:
        return await self._place.source.read()

    async def write(self, body: bytes, replaces: Stored | None) -> bool:
        written = await self._place.source.write(body, replaces)
        for changed in self._place.windows:
            changed()
        return written

    async def watch(self, changed: Callable[[], None]) -> None:
        self._place.windows.append(changed)
        await asyncio.Event().wait()


def test_no_private_key_is_ever_shown(
    run: Run, new_keeper: NewKeeper, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A canary: the ring's private parts are looked for in everything that leaves the keeper."""
    caplog.set_level(logging.DEBUG)

    async def scenario() -> None:
        source = await filled(MemorySource(), clock)
        keeper = new_keeper(source)
        await keeper.start()
        clock.now += 86400
        keeper._moved.set()
        await until(lambda: keeper.ring.revision == 2)
        document = await reading(source)
        await put(source, encode(document)[:-200])
        await until(lambda: keeper.problem is not None)
        shown = [
            caplog.text,
            repr(keeper.ring),
            repr(document),
            repr(keeper.status(NOW)),
            keeper.jwks(NOW).body.decode(),
        ]
        shown.append(str(await source.read()))
        for entry in document.keys:
            assert entry.private is not None
            canary = entry.private.pkcs8
            assert canary is not None
            assert not any(canary[at : at + 20] in text for text in shown for at in (0, 80, len(canary) - 20))
        await keeper.stop()

    run(scenario())
