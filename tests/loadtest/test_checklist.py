import math
from collections.abc import Iterable, Sequence

import pytest
from msgspec import structs

from loadtest.checklist import Line, as_markdown, checklist
from loadtest.record import Stage, StageEnd
from loadtest.sampling import Sample
from loadtest.scrape import Usage, parse, usage
from loadtest.verdict import EndpointFigures, Exit, Verdict


def run(verdict: str = "pass", **endpoints: tuple[int, float, float]) -> Verdict:
    """Endpoints: requests, the failed share, p95 in milliseconds."""
    figures = tuple(
        EndpointFigures(name, requests, failed, 1, p95, p95, p95) for name, (requests, failed, p95) in endpoints.items()
    )
    return Verdict("x", "local", verdict, 100, figures)


SETTLED = tuple(Sample(float(second), second * 0.2, 70e6, 12_000) for second in range(0, 1800, 5))


def stage(
    name: str,
    verdict: Verdict | None,
    ended: Exit = Exit.PASSED,
    usage: Usage | None = None,
    samples: Sequence[Sample] = SETTLED,
) -> Stage:
    return Stage(
        StageEnd(name, ended, 1800, "2026-05-04 12:00", 0.1), verdict, usage or Usage(0.2, 70e6, 71e6, 0.05), samples
    )


STAGES = {
    name: stage(name, verdict)
    for name, verdict in {
        "basic": run(introspect=(30_000, 0, 8)),
        "stress": run(introspect=(30_000, 0, 8), issue=(15_000, 0, 20)),
        "spike": run(introspect=(20_000, 0, 9)),
        "endurance": run(introspect=(36_000, 0, 5), issue=(36_000, 0, 9)),
        "users": run(introspect=(200_000, 0, 20)),
        "introspections": run(introspect=(600_000, 0, 20)),
    }.items()
}


def failing(lines: Iterable[Line]) -> list[str]:
    return [line.what for line in lines if not line.passed]


def test_good_figures_pass_every_line() -> None:
    lines = checklist(STAGES)
    assert len(lines) == 9
    assert failing(lines) == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (stage("basic", run(introspect=(30_000, 0, 50))), "Token introspection, p95"),
        (stage("stress", run(introspect=(30_000, 0, 8), issue=(15_000, 0, 100))), "Token issuance, p95"),
        (stage("spike", run(introspect=(20_000, 0.01, 9))), "Error rate"),
        (
            stage("basic", run(introspect=(30_000, 0, 8)), usage=Usage(0.5, 70e6, 71e6, 0.05)),
            "CPU under normal load (100 introspections/s)",
        ),
        (
            stage("spike", run(introspect=(20_000, 0, 9)), usage=Usage(0.2, 70e6, 71e6, 1.0)),
            "Rate limiting, for each request",
        ),
    ],
)
def test_a_figure_at_its_limit_fails_its_line_alone(changed: Stage, line: str) -> None:
    assert failing(checklist({**STAGES, changed.end.name: changed})) == [line]


def test_no_decision_of_the_limiter_is_no_pass() -> None:
    without = {name: structs.replace(one, usage=Usage(0.2, 70e6, 71e6, None)) for name, one in STAGES.items()}
    assert failing(checklist(without)) == ["Rate limiting, for each request"]


@pytest.mark.parametrize("name", ["users", "introspections"])
@pytest.mark.parametrize("ended", [Exit.FAILED, Exit.GENERATOR_LIMITED, Exit.NOT_CALIBRATED, Exit.NOT_RUN])
def test_a_run_that_did_not_pass_fails_its_line(name: str, ended: Exit) -> None:
    (line,) = failing(checklist({**STAGES, name: stage(name, STAGES[name].verdict, ended)}))
    assert line.startswith(("Concurrent requests", "Throughput"))


@pytest.mark.parametrize("name", ["basic", "stress", "spike", "endurance"])
@pytest.mark.parametrize("ended", [Exit.FAILED, Exit.NOT_RUN])
def test_a_stage_that_did_not_pass_fails_whatever_its_latencies_are(name: str, ended: Exit) -> None:
    lines = checklist({**STAGES, name: stage(name, STAGES[name].verdict, ended)})
    assert failing(lines) == ["The four stages"]
    assert f"{name}: {ended.words}" in as_markdown(lines)


@pytest.mark.parametrize("name", ["basic", "stress", "spike", "endurance"])
def test_a_stage_that_is_missing_is_no_stage_without_errors(name: str) -> None:
    without = {each: one for each, one in STAGES.items() if each != name}
    assert {"Error rate", "The four stages"} <= set(failing(checklist(without)))


def growing(bytes_a_second: float, until: float = math.inf) -> list[Sample]:
    return [Sample(s.at, s.cpu_seconds, 70e6 + min(s.at, until) * bytes_a_second, s.live_tokens) for s in SETTLED]


@pytest.mark.parametrize(
    ("samples", "passes"),
    [
        pytest.param(growing(8_000), False, id="grows to the end"),
        pytest.param(growing(8_000, until=600), True, id="grows until its tokens are as old as they get"),
        pytest.param(growing(2_000), True, id="grows by less than a twentieth"),
        pytest.param(SETTLED[::200], False, id="too few samples to say"),
        pytest.param((), False, id="no samples"),
    ],
)
def test_memory_is_looked_at_from_where_it_settled(samples: Sequence[Sample], passes: bool) -> None:
    changed = stage("endurance", STAGES["endurance"].verdict, samples=samples)
    expected = [] if passes else ["Memory: no leak under sustained load"]
    assert failing(checklist({**STAGES, "endurance": changed})) == expected


def test_what_was_not_measured_has_not_passed() -> None:
    lines = checklist({})
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


@pytest.mark.parametrize("name", ["process_cpu_seconds_total", "process_resident_memory_bytes"])
@pytest.mark.parametrize("scrape", [0, 1])
def test_a_series_that_is_missing_is_no_zero(name: str, scrape: int) -> None:
    texts = [BEFORE, AFTER]
    texts[scrape] = "".join(line for line in texts[scrape].splitlines(keepends=True) if not line.startswith(name))
    used = usage(parse(texts[0]), parse(texts[1]), 20)
    resident = (used.resident_before_bytes, used.resident_after_bytes)
    assert (used.cpu_cores is None) == (name == "process_cpu_seconds_total")
    assert (resident[scrape] is None) == (name == "process_resident_memory_bytes")


def test_cpu_that_is_not_told_is_not_measured_and_no_pass() -> None:
    changed = structs.replace(STAGES["basic"], usage=Usage(None, None, None, 0.05))
    lines = checklist({**STAGES, "basic": changed})
    assert failing(lines) == ["CPU under normal load (100 introspections/s)"]
    assert "| < 50 % of a core | not measured | FAIL |" in as_markdown(lines)


def test_no_observation_is_no_figure() -> None:
    assert usage(parse(BEFORE), parse(BEFORE), 20).limiter_p99_ms is None
