"""The leak drill does all that it can, in the order in which it takes effect, whatever fails."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from app.keys.document import RingDocument, decode
from app.keys.errors import KeyUsageError, SourceUnreachable
from app.keys.leak import EndKeysInStore, Revocation, revoke
from app.keys.memory import MemorySource
from app.keys.policy import RotationPolicy
from app.keys.rotation import plan, signing_entry
from app.keys.sources.interface import Stored
from app.keys.writer import RingWriter
from tests.unit.keys.conftest import NOW, Clock

POLICY = RotationPolicy(algorithms=("ES256", "EdDSA"))
Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Breaking(MemorySource):
    """Cannot be read, or not be written, on demand."""

    unreadable = unwritable = False

    async def read(self) -> Stored | None:
        if self.unreadable:
            raise SourceUnreachable("gone")
        return await super().read()

    async def write(self, body: bytes, replaces: Stored | None) -> bool:
        if self.unwritable:
            raise SourceUnreachable("gone")
        return await super().write(body, replaces)


class Drill:
    """A ring, a store that is told of kids, and the audit log; everything that happens, in order."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.source = Breaking()
        self.writer = RingWriter(self.source, POLICY, kek=None, clock=clock, threads=None)
        self.events: list[str] = []
        self.until: dict[str, int] = {}
        self.store_fails = False

    async def begin(self) -> RingDocument:
        await self.writer.change(lambda document, now: plan(document, now, POLICY), may_begin=True)
        self.clock.now += 3600
        return await self.document()

    async def document(self) -> RingDocument:
        stored = await MemorySource.read(self.source)
        assert stored is not None
        return decode(stored.body)

    async def tell_store(self, until: dict[str, int]) -> None:
        if self.store_fails:
            raise ConnectionError("no store")
        document = await self.document()
        for kid in until:
            entry = document.find(kid)
            assert entry is None or entry.revoked_at is None, "the store, which is the faster way, is told first"
            self.events.append("store")
        self.until |= until

    def audit(self, kid: str, _algorithm: str | None) -> None:
        self.events.append(f"audit {kid}")

    async def revoke(self, *kids: str, store: bool = True) -> Revocation:
        tell: EndKeysInStore | None = self.tell_store if store else None
        return await revoke(
            self.writer, frozenset(kids) or None, "leaked", clock=self.clock, end_keys_in_store=tell, audit=self.audit
        )


@pytest.fixture
def drill(clock: Clock) -> Drill:
    return Drill(clock)


def signing(document: RingDocument, algorithm: str = "ES256") -> str:
    entry = signing_entry(document, algorithm, NOW + 3600)
    assert entry is not None
    return entry.kid


def test_store_ring_and_audit_log_learn_of_it_in_this_order(run: Run, drill: Drill) -> None:
    async def scenario() -> None:
        before = await drill.begin()
        leaked = signing(before)
        done = await drill.revoke(leaked)
        after = await drill.document()
        assert drill.events == ["store", f"audit {leaked}"]
        assert signing(after) != leaked
        assert signing(after, "EdDSA") == signing(before, "EdDSA")
        assert (done.problem, done.in_store, done.unknown_heirs) == (None, True, ())
        assert done.lag_seconds == POLICY.lead_seconds
        # As long as a token of the key could live, seen by the slowest replica.
        assert drill.until[leaked] >= NOW + 3600 + POLICY.retain_seconds + POLICY.propagation_seconds

    run(scenario())


def test_all_keys_go_at_once(run: Run, drill: Drill) -> None:
    async def scenario() -> None:
        before = await drill.begin()
        done = await drill.revoke()
        after = await drill.document()
        assert set(done.kids) == {k.kid for k in before.keys} == set(drill.until)
        assert {signing(after), signing(after, "EdDSA")} == set(done.unknown_heirs)
        assert after.revision == before.revision + 1, "one write: there is no instant without a key that signs"

    run(scenario())


def test_a_store_that_fails_does_not_keep_the_ring_from_being_changed(run: Run, drill: Drill) -> None:
    async def scenario() -> None:
        leaked = signing(await drill.begin())
        drill.store_fails = True
        done = await drill.revoke(leaked)
        assert done.in_store is False
        assert isinstance(done.store_problem, ConnectionError)
        assert signing(await drill.document()) != leaked
        assert drill.events == [f"audit {leaked}"]

    run(scenario())


@pytest.mark.parametrize("fails", ["unreadable", "unwritable"])
def test_a_source_that_fails_does_not_keep_the_store_from_being_told(run: Run, drill: Drill, fails: str) -> None:
    async def scenario() -> None:
        leaked = signing(await drill.begin())
        setattr(drill.source, fails, True)
        done = await drill.revoke(leaked)
        assert isinstance(done.problem, SourceUnreachable)
        assert done.written is None
        assert drill.events == ["store", f"audit {leaked}"]

    run(scenario())


def test_without_a_store_the_ring_is_all_there_is(run: Run, drill: Drill) -> None:
    async def scenario() -> None:
        done = await drill.revoke(signing(await drill.begin()), store=False)
        assert (done.in_store, done.store_problem, done.problem) == (None, None, None)

    run(scenario())


def test_an_unknown_kid_is_refused_before_anything_is_done(run: Run, drill: Drill) -> None:
    async def scenario() -> None:
        await drill.begin()
        with pytest.raises(KeyUsageError):
            await drill.revoke("nobody")
        assert drill.events == []

    run(scenario())


def test_doing_it_again_tells_the_store_again_and_changes_nothing_else(run: Run, drill: Drill) -> None:
    async def scenario() -> None:
        leaked = signing(await drill.begin())
        await drill.revoke(leaked)
        revoked = await drill.document()
        drill.until.clear()

        async def tell(until: dict[str, int]) -> None:
            drill.until |= until

        drill.tell_store = tell  # type: ignore[method-assign]
        await drill.revoke(leaked)
        assert drill.until.keys() == {leaked}
        assert await drill.document() == revoked

    run(scenario())
