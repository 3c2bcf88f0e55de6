"""The loop's own counters and histograms show exactly what prometheus_client's show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from app.observability.loop_metrics import SETTLED_AT_ONCE, LoopCounter, LoopHistogram

BUCKETS = (0.001, 0.0025, 0.01, 0.5, 1, 5)


def shown(registry: CollectorRegistry) -> list[str]:
    """A scrape, without the times of creation that prometheus_client adds."""
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


def without_sum(lines: list[str]) -> list[str]:
    """Sums are added up in another order, which shows in the last digits."""
    return [line for line in lines if not line.startswith("seconds_sum")]


def sum_of(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("seconds_sum", {"route": "/a", "status": "200"})


@given(st.lists(st.one_of(st.floats(0, 10), st.sampled_from(BUCKETS)), max_size=40))
def test_a_histogram_shows_what_the_library_shows(amounts: list[float]) -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    one = Histogram("seconds", "Time.", ["route", "status"], buckets=BUCKETS, registry=theirs).labels("/a", "200")
    other = LoopHistogram("seconds", "Time.", ["route", "status"], BUCKETS, ours).labels("/a", "200")
    for amount in amounts:
        one.observe(amount)
        other.observe(amount)
    assert without_sum(shown(ours)) == without_sum(shown(theirs))
    assert sum_of(ours) == pytest.approx(sum_of(theirs))


@given(st.lists(st.floats(0, 10), max_size=40), st.integers(0, 40))
def test_what_two_histograms_observe_together_is_in_both_with_what_each_observes_alone(
    amounts: list[float], alone: int
) -> None:
    registry = CollectorRegistry()
    one = LoopHistogram("one_seconds", "Time.", [], BUCKETS, registry).labels()
    other = LoopHistogram("other_seconds", "Time.", [], BUCKETS[:3], registry).labels()
    together = one.observe_together(other)
    for at, amount in enumerate(amounts):
        if at < alone:
            one.observe(amount)
        else:
            together.observe(amount)
    value = registry.get_sample_value
    assert value("one_seconds_count") == len(amounts)
    assert value("other_seconds_count") == len(amounts[alone:])
    assert value("one_seconds_sum") == pytest.approx(sum(amounts))
    assert value("other_seconds_sum") == pytest.approx(sum(amounts[alone:]))
    for bound in BUCKETS[:3]:
        below = sum(amount <= bound for amount in amounts[alone:])
        assert value("other_seconds_bucket", {"le": str(bound)}) == below


@pytest.mark.parametrize("count", [SETTLED_AT_ONCE - 1, SETTLED_AT_ONCE, 3 * SETTLED_AT_ONCE + 1])
def test_observations_wait_for_their_buckets_and_never_without_bound(count: int) -> None:
    child = LoopHistogram("seconds", "Time.", [], BUCKETS, CollectorRegistry()).labels()
    for _ in range(count):
        child.observe(0.002)
        assert len(child.observed.waiting) < SETTLED_AT_ONCE
    assert child.counts[1] == sum(child.counts) == count
    assert child.total == pytest.approx(0.002 * count)


@given(st.lists(st.sampled_from(["allowed", "limited"]), max_size=40))
def test_a_counter_shows_what_the_library_shows(results: list[str]) -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    one = Counter("decisions", "Decisions.", ["class", "result"], registry=theirs)
    other = LoopCounter("decisions", "Decisions.", ["class", "result"], ours)
    for result in results:
        one.labels("client", result).inc()
        other.labels("client", result).inc()
    assert shown(ours) == shown(theirs)


def test_a_series_exists_from_the_moment_it_is_asked_for() -> None:
    registry = CollectorRegistry()
    LoopHistogram("seconds", "Time.", ["route"], BUCKETS, registry).labels("/a")
    LoopCounter("decisions", "Decisions.", ["result"], registry).labels("allowed")
    assert registry.get_sample_value("seconds_count", {"route": "/a"}) == 0
    assert registry.get_sample_value("decisions_total", {"result": "allowed"}) == 0


def test_the_same_labels_are_the_same_series() -> None:
    counter = LoopCounter("decisions", "Decisions.", ["result"], CollectorRegistry())
    assert counter.labels("allowed") is counter.labels("allowed")
    histogram = LoopHistogram("seconds", "Time.", ["route"], BUCKETS, CollectorRegistry())
    assert histogram.labels("/a") is histogram.labels("/a")


def test_a_wrong_number_of_labels_is_refused() -> None:
    registry = CollectorRegistry()
    with pytest.raises(ValueError, match=r"1 label values are needed \(result\), and 2 are given"):
        LoopCounter("decisions", "Decisions.", ["result"], registry).labels("allowed", "client")
    with pytest.raises(ValueError, match=r"2 label values are needed \(route, status\), and 1 are given"):
        LoopHistogram("seconds", "Time.", ["route", "status"], BUCKETS, registry).labels("/a")


def test_a_name_is_taken_once() -> None:
    registry = CollectorRegistry()
    LoopHistogram("seconds", "Time.", ["route"], BUCKETS, registry)
    with pytest.raises(ValueError, match="seconds"):
        Histogram("seconds", "Time.", registry=registry)
    LoopCounter("decisions", "Decisions.", ["result"], registry)
    with pytest.raises(ValueError, match="decisions"):
        Counter("decisions", "Decisions.", registry=registry)


def test_openmetrics_can_be_made_of_them() -> None:
    registry = CollectorRegistry()
    LoopHistogram("seconds", "Time.", ["route"], BUCKETS, registry).labels("/a").observe(0.002)
    LoopCounter("decisions", "Decisions.", ["result"], registry).labels("allowed").inc()
    text = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call]
    assert 'seconds_bucket{le="0.0025",route="/a"} 1.0' in text
    assert 'decisions_total{result="allowed"} 1.0' in text


def test_an_exemplar_stands_beside_its_bucket_as_the_library_shows_it() -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    one = Histogram("seconds", "Time.", ["route"], buckets=BUCKETS, registry=theirs).labels("/a")
    other = LoopHistogram("seconds", "Time.", ["route"], BUCKETS, ours).labels("/a")
    one.observe(0.002, {"trace_id": "ab"})
    other.observe(0.002)
    other.exemplify(0.002, "ab", 12.5)

    def without_times(registry: CollectorRegistry) -> list[str]:
        lines = generate_openmetrics(registry).decode().splitlines()  # type: ignore[no-untyped-call]
        return [line.rpartition(" ")[0] if "#" in line[1:] else line for line in lines if "_created" not in line]

    assert without_times(ours) == without_times(theirs)
    assert any(line.endswith('# {trace_id="ab"} 0.002') for line in without_times(ours))
