import pytest

from loadtest.checklist import Line, as_markdown, checklist
from loadtest.scrape import Usage, parse, usage
from loadtest.verdict import EndpointFigures, Exit, Verdict


def run(verdict: str = "pass", **endpoints: tuple[int, float, float]) -> Verdict:
    """Endpoints: requests, the failed share, p95 in milliseconds."""
    figures = tuple(
        EndpointFigures(name, requests, failed, 1, p95, p95, p95) for name, (requests, failed, p95) in endpoints.items()
    )
    return Verdict("x", "local", verdict, 100, figures)


RUNS = {
    "basic": run(introspect=(30_000, 0, 8)),
    "stress": run(introspect=(30_000, 0, 8), issue=(15_000, 0, 20)),
    "spike": run(introspect=(20_000, 0, 9)),
    "endurance": run(introspect=(36_000, 0, 5), issue=(36_000, 0, 9)),
    "users": run(introspect=(200_000, 0, 20)),
    "introspections": run(introspect=(600_000, 0, 20)),
}
EXITS = dict.fromkeys(RUNS, Exit.PASSED)
USAGES = dict.fromkeys(RUNS, Usage(0.2, 70e6, 71e6, 0.05))


def failing(lines: list[Line]) -> list[str]:
    return [line.what for line in lines if not line.passed]


def test_good_figures_pass_every_line() -> None:
    lines = list(checklist(RUNS, EXITS, USAGES))
    assert len(lines) == 8
    assert failing(lines) == []


@pytest.mark.parametrize(
    ("stage", "changed", "line"),
    [
        ("basic", run(introspect=(30_000, 0, 50)), "Token introspection, p95"),
        ("stress", run(introspect=(30_000, 0, 8), issue=(15_000, 0, 100)), "Token issuance, p95"),
        ("spike", run(introspect=(20_000, 0.01, 9)), "Error rate"),
    ],
)
def test_a_figure_at_its_limit_fails_its_line_alone(stage: str, changed: Verdict, line: str) -> None:
    assert failing(list(checklist({**RUNS, stage: changed}, EXITS, USAGES))) == [line]


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (Usage(0.5, 70e6, 71e6, 0.05), "CPU under normal load (100 introspections/s)"),
        (Usage(0.2, 70e6, 74e6, 0.05), "Memory: no leak under sustained load"),
        (Usage(0.2, 70e6, 71e6, 1.0), "Rate limiting, for each request"),
        (Usage(0.2, 70e6, 71e6, None), "Rate limiting, for each request"),
    ],
)
def test_usage_beyond_its_limit_fails_its_line_alone(changed: Usage, line: str) -> None:
    assert failing(list(checklist(RUNS, EXITS, dict.fromkeys(RUNS, changed)))) == [line]


@pytest.mark.parametrize("ended", [Exit.FAILED, Exit.GENERATOR_LIMITED, Exit.NOT_CALIBRATED, Exit.NOT_RUN])
def test_a_limited_generator_is_no_pass(ended: Exit) -> None:
    lines = list(checklist(RUNS, {**EXITS, "introspections": ended}, USAGES))
    assert failing(lines) == ["Throughput: 5,000 introspections/s"]


def test_what_was_not_measured_has_not_passed() -> None:
    lines = list(checklist({}, {}, {}))
    assert len(failing(lines)) == len(lines)
    assert "not measured" in as_markdown(lines)


BEFORE = """# TYPE process_cpu_seconds counter
process_cpu_seconds_total 10.0
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 7e+07
# TYPE rate_limit_duration_seconds histogram
rate_limit_duration_seconds_bucket{le="1e-05"} 5.0
rate_limit_duration_seconds_bucket{le="0.0001"} 5.0
rate_limit_duration_seconds_bucket{le="+Inf"} 5.0
rate_limit_duration_seconds_count 5.0
rate_limit_duration_seconds_sum 0.1
"""
AFTER = (
    BEFORE.replace("10.0", "15.0")
    .replace("7e+07", "7.2e+07")
    .replace('1e-05"} 5.0', '1e-05"} 100.0')
    .replace('0.0001"} 5.0', '0.0001"} 105.0')
    .replace('+Inf"} 5.0', '+Inf"} 105.0')
)


def test_usage_is_the_difference_of_two_scrapes() -> None:
    used = usage(parse(BEFORE), parse(AFTER), 20)
    assert used == Usage(0.25, 7e7, 7.2e7, 0.1)


def test_no_observation_is_no_figure() -> None:
    assert usage(parse(BEFORE), parse(BEFORE), 20).limiter_p99_ms is None
