"""Traces are configured by the names of OpenTelemetry's specification, and what cannot be meant is refused."""

import pytest

from app.config.load import load_settings
from app.config.problems import ConfigurationError
from app.config.tracing import TracingSettings, parse_pairs

SECRET = "canary-of-headers"


def tracing(**environ: str) -> TracingSettings:
    return load_settings(environ).settings.tracing


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "http://c:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c/otlp/"}, "https://c/otlp/v1/traces"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://d/x"},
            "http://d/x",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_SAMPLER": "always_off"}, None),
    ],
)
def test_spans_go_where_the_specification_says(environ: dict[str, str], endpoint: str | None) -> None:
    assert tracing(**environ).endpoint == endpoint


@pytest.mark.parametrize(
    ("name", "ratio", "parent_counts"),
    [
        ("always_on", 1, False),
        ("always_off", 0, False),
        ("traceidratio", 0.25, False),
        ("parentbased_always_on", 1, True),
        ("parentbased_always_off", 0, True),
        ("parentbased_traceidratio", 0.25, True),
    ],
)
def test_samplers_are_a_ratio_and_whether_the_parent_counts(name: str, ratio: float, parent_counts: bool) -> None:
    settings = tracing(OTEL_TRACES_SAMPLER=name, OTEL_TRACES_SAMPLER_ARG="0.25")
    assert (settings.ratio, settings.parent_counts) == (ratio, parent_counts)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "is not an absolute http or https URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:port", "is not a URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:you@c", "give credentials in OTEL_EXPORTER_OTLP_HEADERS"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c?x=1", "has a query or a fragment"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", SECRET, "the pair 1 is not name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", f"a=1,b c={SECRET}", "the name of pair 2 is no header's"),
        ("OTEL_EXPORTER_OTLP_HEADERS", f"a={SECRET}%0d%0ax: y", "the value of pair 1 is not printable ASCII"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5", "from 0 to 1"),
        ("OTEL_RESOURCE_ATTRIBUTES", "staging", "the pair 1 is not name=value"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_secret_is_repeated(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        tracing(**{name: value})
    (problem,) = refused.value.problems
    assert str(problem).startswith(name)
    assert said in str(problem)
    assert SECRET not in str(problem)


def test_pairs_are_percent_decoded_and_empty_ones_are_none() -> None:
    assert parse_pairs("authorization=Bearer%20x, team = a ,,") == {"authorization": "Bearer x", "team": "a"}
