"""The loop's own counters and histograms show exactly what prometheus_client's show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from app.observability.loop_metrics import LoopCounter, LoopHistogram

BUCKETS = (0.001, 0.0025, 0.01, 0.5, 1, 5)


def shown(registry: CollectorRegistry) -> list[str]:
    """A scrape, without the times of creation that prometheus_client adds."""
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


@given(st.lists(st.one_of(st.floats(0, 10), st.sampled_from(BUCKETS)), max_size=40))
def test_a_histogram_shows_what_the_library_shows(amounts: list[float]) -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    one = Histogram("seconds", "Time.", ["route", "status"], buckets=BUCKETS, registry=theirs).labels("/a", "200")
    other = LoopHistogram("seconds", "Time.", ["route", "status"], BUCKETS, ours).labels("/a", "200")
    for amount in amounts:
        one.observe(amount)
        other.observe(amount)
    assert shown(ours) == shown(theirs)


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
