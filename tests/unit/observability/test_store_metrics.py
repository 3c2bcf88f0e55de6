"""The metrics of the store and of its cache: what exists from the start, and what each event changes."""

import pytest
from prometheus_client import CollectorRegistry

from app.model.tokens import TokenRef
from app.observability.store_metrics import ERROR_KINDS, StoreMetrics
from app.storage.interface import StoreFull
from app.storage.memory import MemoryStore


class Shown:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = StoreMetrics(self.registry)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


def test_what_can_be_known_beforehand_begins_at_zero() -> None:
    shown = Shown()
    for backend, kinds in ERROR_KINDS.items():
        for kind in kinds:
            assert shown.value("store_errors_total", backend=backend, kind=kind) == 0
    for result in ("hit", "miss", "bypass"):
        assert shown.value("token_cache_requests_total", result=result) == 0
    assert shown.value("store_connections", backend="redis", state="connected") is None
    shown.metrics.expect_redis(eviction_allowed=True)
    assert shown.value("store_connections", backend="redis", state="connected") == 0
    assert shown.value("store_operation_duration_seconds_count", backend="redis", operation="save") == 0
    assert shown.value("store_eviction_allowed") == 1


def test_the_hit_ratio_is_that_of_all_lookups() -> None:
    shown = Shown()
    assert shown.metrics.cache_hit_ratio is None
    for result in ("hit", "hit", "hit", "miss", "bypass"):
        shown.metrics.lookup(result)
    assert shown.metrics.cache_hit_ratio == pytest.approx(0.6)
    assert shown.value("token_cache_requests_total", result="hit") == 3


def test_evictions_are_counted_on_over_a_redis_that_counts_from_zero_again() -> None:
    shown = Shown()
    for evicted in (5, 7, 7, 2, 3):
        shown.metrics.memory(10, 20, evicted)
    assert shown.value("store_evicted_keys_total") == 7 + 3
    assert (shown.value("store_memory_used_bytes"), shown.value("store_memory_max_bytes")) == (10, 20)


def test_the_lease_and_the_entries_are_looked_at_when_they_are_asked_for() -> None:
    shown = Shown()
    state = {"entries": 0, "lease": False}
    shown.metrics.watch_cache(lambda: int(state["entries"]), lambda: bool(state["lease"]))
    assert (shown.value("token_cache_entries"), shown.value("token_cache_lease_valid")) == (0, 0)
    state |= {"entries": 3, "lease": True}
    assert (shown.value("token_cache_entries"), shown.value("token_cache_lease_valid")) == (3, 1)


@pytest.mark.anyio
async def test_a_full_memory_store_is_an_error_of_the_store() -> None:
    shown = Shown()
    store = MemoryStore(1, lambda: 0.0, max_marks=0, observer=shown.metrics)
    with pytest.raises(StoreFull):
        await store.revoke_jwt(TokenRef("0000", bytes(32)), 60)
    assert shown.value("store_errors_total", backend="memory", kind="full") == 1
