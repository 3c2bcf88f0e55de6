"""What every source of ring documents promises, for each of them."""

import asyncio

import pytest

from app.keys.document import decode
from app.keys.loading import build_ring
from app.keys.policy import RotationPolicy
from app.keys.rotation import plan
from app.keys.sealing import KeyEncryption
from app.keys.writer import RingWriter
from app.randomness import random_bytes
from tests.keys.conftest import Place

pytestmark = pytest.mark.anyio
NOW = 1_800_000_000.0
POLICY = RotationPolicy(algorithms=("ES256",))
KEK = KeyEncryption((b"k" * 32,), random_bytes)


async def test_nothing_is_none(place: Place) -> None:
    assert await place.open().read() is None
    await place.close()


async def test_what_was_written_is_read_by_others_until_it_is_replaced(place: Place) -> None:
    one, other = place.open(), place.open()
    assert await one.write(b'{"a": 1}', None)
    first = await other.read()
    assert first is not None
    assert first.body == b'{"a": 1}'
    assert await other.write(b'{"b": 2}', first)
    second = await one.read()
    assert second is not None
    assert second.body == b'{"b": 2}'
    assert second.token != first.token
    await place.close()


async def test_a_write_over_something_else_than_was_read_does_nothing(place: Place) -> None:
    one, other = place.open(), place.open()
    assert await one.write(b"first", None)
    read = await one.read()
    assert not await other.write(b"not the first", None)
    assert await other.write(b"second", await other.read())
    assert not await one.write(b"too late", read)
    held = await one.read()
    assert held is not None
    assert held.body == b"second"
    await place.close()


async def test_a_write_over_what_has_gone_does_nothing(place: Place) -> None:
    source = place.open()
    assert await source.write(b"first", None)
    read = await source.read()
    await place.put_raw(b"changed past the source")
    assert not await source.write(b"second", read)
    await place.close()


@pytest.mark.parametrize("begins", [True, False])
async def test_of_many_writers_at_once_one_succeeds(place: Place, begins: bool) -> None:
    sources = [place.open() for _ in range(20)]
    if not begins:
        assert await sources[0].write(b"before", None)
    read = await asyncio.gather(*(source.read() for source in sources))
    written = await asyncio.gather(
        *(
            source.write(f"writer {n}".encode(), held)
            for n, (source, held) in enumerate(zip(sources, read, strict=True))
        )
    )
    assert written.count(True) == 1
    held = await sources[0].read()
    assert held is not None
    assert held.body == f"writer {written.index(True)}".encode()
    await place.close()


async def test_it_tells_of_changes_by_others(place: Place) -> None:
    source = place.open()
    assert await source.write(b"first", None)
    seen = asyncio.Event()
    watching = asyncio.create_task(source.watch(seen.set))
    try:
        for body in (b"second", b"third"):
            await asyncio.sleep(0)
            seen.clear()
            await place.put_raw(body)
            async with asyncio.timeout(10):
                while True:
                    await seen.wait()
                    seen.clear()
                    held = await source.read()
                    if held is not None and held.body == body:
                        break
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await place.close()


async def test_of_many_rotations_at_once_one_makes_a_key(place: Place) -> None:
    writers = [RingWriter(place.open(), POLICY, kek=KEK, clock=lambda: NOW, threads=None) for _ in range(100)]
    await writers[0].change(lambda document, now: plan(document, now, POLICY), may_begin=True)
    done = await asyncio.gather(
        *(writer.change(lambda document, now: plan(document, now + 86400, POLICY)) for writer in writers)
    )
    assert sum(d.changed for d in done) == 1
    stored = await writers[0].source.read()
    assert stored is not None
    document = decode(stored.body)
    assert (document.revision, len(document.keys)) == (2, 3)
    assert b"pkcs8" not in stored.body
    build_ring(document, KEK)
    await place.close()


async def test_it_describes_itself_without_secrets(place: Place) -> None:
    source = place.open()
    assert source.kind in source.describe()
    assert source.writable
    await place.close()
