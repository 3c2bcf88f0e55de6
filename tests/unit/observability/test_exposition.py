"""A scrape in slices is the scrape in one piece, and gives way in between."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from app.observability.exposition import SLICE_SAMPLES, Encode, render
from app.observability.loop_metrics import LoopHistogram
from app.observability.metrics import Metrics

pytestmark = pytest.mark.anyio


def full_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Info("build", "What runs.", registry=registry).info({"version": 'a"b\\c'})
    Gauge("temperature_celsius", "Nothing.\nSecond line.", ["room"], registry=registry)  # a family without samples
    counter = Counter("steps", "Steps.", ["who"], registry=registry)
    counter.labels("ann").inc(exemplar={"trace_id": "ab"})
    seconds = Histogram("seconds", "Time.", ["route"], registry=registry)
    for route in range(12):
        seconds.labels(f"/r{route}").observe(route / 10)
    loop = LoopHistogram("loop_seconds", "Time.", ["route"], (0.1, 1.0), registry)
    for route in range(40):
        loop.labels(f"# /r{route}").observe(route / 10)
    return registry


@pytest.mark.parametrize("encode", [generate_latest, generate_openmetrics])
async def test_slices_make_the_whole(encode: Encode) -> None:
    registry = full_registry()
    gave_way = 0

    async def give_way() -> None:
        nonlocal gave_way
        gave_way += 1

    whole = encode(registry)
    assert await render(registry, encode, give_way) == whole
    assert gave_way > whole.count(b"\n") / (SLICE_SAMPLES + 3)


async def test_a_slice_renders_few_lines_and_is_followed_by_a_turn_for_everything_else() -> None:
    """That is 0.3 to 0.5 ms of the event loop (tests/observability/test_scrape_lag.py measures it over HTTP)."""
    metrics = Metrics()
    for route in ("/oauth/token", "/oauth/introspect", "/oauth/revoke", "/jwks.json", "/metrics"):
        metrics.expect_requests("POST", route)
    lines_between_turns = [0]
    whole: Encode = generate_openmetrics

    def encode(registry: CollectorRegistry) -> bytes:
        text = whole(registry)
        lines_between_turns[-1] += len(text.splitlines())
        return text

    async def give_way() -> None:
        lines_between_turns.append(0)

    await render(metrics.registry, encode, give_way)
    heads_and_end = 4
    assert max(lines_between_turns) <= SLICE_SAMPLES + heads_and_end
    assert sum(lines_between_turns) > 10 * SLICE_SAMPLES
