"""Many tokens at a time."""

import time

import msgspec
import pytest

from app.storage import bulk
from app.storage.interface import Issuance, StoreFull, TokenStore
from app.storage.memory import MemoryStore
from tests.conformance.backend import Backend
from tests.conformance.issued import access_record, new_ref

pytestmark = pytest.mark.anyio


async def test_many_tokens_are_saved_found_and_revoked_in_their_order(backend: Backend, store: TokenStore) -> None:
    now = backend.clock()
    refs = [new_ref() for _ in range(bulk.SLICE * 3 + 1)]
    records = [access_record(now, seconds=600 + number) for number in range(len(refs))]
    issuances = (Issuance(access=pair) for pair in zip(refs, records, strict=True))
    assert await bulk.save_all(store, issuances, time.monotonic) == len(refs)
    assert await bulk.find_all(store, [*refs, new_ref()], time.monotonic) == [*records, None]
    revoked = refs[: bulk.SLICE + 5]
    assert await bulk.revoke_all(store, [*revoked, new_ref()], time.monotonic) == len(revoked) + 1
    expected = [None] * len(revoked) + records[len(revoked) :]
    assert await bulk.find_all(store, refs, time.monotonic) == expected


async def test_the_first_slice_that_fails_ends_it() -> None:
    now = time.time()
    store = MemoryStore(bulk.SLICE + 3, time.time)
    records = [msgspec.structs.replace(access_record(now), client_id=str(number)) for number in range(bulk.SLICE * 4)]
    issuances = [Issuance(access=(new_ref(), record)) for record in records]
    with pytest.raises(StoreFull):
        await bulk.save_all(store, issuances, time.monotonic)
    assert await store.count_live_tokens() == bulk.SLICE + 3
