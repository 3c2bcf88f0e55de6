"""k6's scripts against a real service, shortened: each runs, judges what it saw, and refuses what it cannot measure."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadtest.generator import Outcome, run
from loadtest.scenarios import SCENARIOS, Scenario, scenario
from loadtest.target import Target, local, local_on_redis
from loadtest.verdict import Exit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SHORT = {"DURATION_FACTOR": "0.03", "RATE_FACTOR": "0.1", "USERS": "50", "TOKENS": "1000", "STEPS": "3"}
# Nothing is lost by waiting longer on a busy machine: what is tested is that a run comes to a verdict by itself.


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with local() as target:
        yield target


@pytest.fixture(scope="module")
def on_redis(require_program: Callable[[str], str]) -> Iterator[Target]:
    require_program("redis-server")
    with local_on_redis() as target:
        yield target


def shortened(target: Target, one: Scenario, folder: Path, **more: str) -> Outcome:
    environ = {**target.environ, **SHORT, **more}
    return run(one, environ=environ, report=folder, cores=target.cores)


@pytest.mark.parametrize("one", SCENARIOS, ids=lambda one: one.name)
def test_every_scenario_comes_to_a_verdict_with_reports(
    one: Scenario, target: Target, on_redis: Target, tmp_path: Path
) -> None:
    outcome = shortened(on_redis if one.redis else target, one, tmp_path)
    assert outcome.verdict is not None
    assert outcome.exit in (Exit.PASSED, Exit.FAILED, Exit.GENERATOR_LIMITED, Exit.NOT_REACHED)
    # A busy machine may miss a latency; a wrong answer or a refusal is never its doing.
    assert all(check.ok for check in outcome.verdict.checks if "failed" in check.metric or "wrong" in check.metric)
    assert sum(figures.requests for figures in outcome.verdict.endpoints) > 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "output.txt",
        "report.json",
        "report.md",
        "report.html",
        "report.csv",
        "junit.xml",
    }
    assert json.loads((tmp_path / "report.json").read_text())["scenario"] == outcome.verdict.scenario


def test_a_wrong_secret_ends_the_run_before_it_measures(target: Target, tmp_path: Path) -> None:
    outcome = shortened(target, scenario("smoke"), tmp_path, CLIENT_SECRET="wrong")
    assert outcome.exit is Exit.NOT_RUN


def test_a_limiter_in_the_way_ends_the_run_and_names_the_setting(
    target: Target, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    limited = {name: target.environ[f"HOT_{name}"] for name in ("CLIENT_ID", "CLIENT_SECRET")}
    outcome = shortened(target, scenario("basic"), tmp_path, **limited, RATE_FACTOR="1")
    assert outcome.exit is Exit.NOT_RUN
    assert "rate_limit_per_minute" in capfd.readouterr().err


def figures_of(outcome: Outcome) -> dict[str, tuple[float | None, bool]]:
    assert outcome.verdict is not None
    return {check.metric: (check.figure, check.ok) for check in outcome.verdict.checks}


def test_uniform_is_answered_by_redis_and_not_by_the_cache(on_redis: Target, tmp_path: Path) -> None:
    figures = figures_of(shortened(on_redis, scenario("uniform"), tmp_path))
    share, ok = figures["cache_hit_share"]
    assert ok
    assert share == 0
    assert figures["cache_lookups"][1]


def test_uniform_with_few_tokens_is_answered_by_the_cache_and_fails(on_redis: Target, tmp_path: Path) -> None:
    outcome = shortened(
        on_redis, scenario("uniform"), tmp_path, TOKENS="10", FILL_RATE="10", MAX_VUS="10", DURATION_FACTOR="0.1"
    )
    assert outcome.exit is Exit.FAILED
    share, ok = figures_of(outcome)["cache_hit_share"]
    assert not ok
    assert share is not None
    assert share > 0.05


def test_uniform_without_redis_has_no_cache_to_be_kept_out_of_and_fails(target: Target, tmp_path: Path) -> None:
    outcome = shortened(target, scenario("uniform"), tmp_path)
    assert outcome.exit is Exit.FAILED
    lookups, ok = figures_of(outcome)["cache_lookups"]
    assert not ok
    assert lookups == 0


def test_a_hot_client_is_let_through_what_its_limit_announces(target: Target, tmp_path: Path) -> None:
    outcome = shortened(target, scenario("hot-client"), tmp_path, DURATION_FACTOR="0.1")
    assert outcome.verdict is not None
    hot = [check for check in outcome.verdict.checks if check.metric.startswith("hot_")]
    assert [check.limit for check in hot if check.metric == "hot_answered_otherwise"] == ["count==0"]
    assert len(hot) == 3
    assert all(check.ok for check in hot)


def test_a_hot_client_whose_limit_is_high_is_measured_too(tmp_path: Path) -> None:
    """800 a second are refilled: between them there is never a long row of refusals."""
    with local(hot_client_per_minute=48_000) as target:
        told = {"RATE_FACTOR": "1", "HOT_RATE": "2000", "DURATION_FACTOR": "0.1"}
        outcome = shortened(target, scenario("hot-client"), tmp_path, **told)
    figures = figures_of(outcome)
    assert figures["hot_answered_otherwise"][1]
    assert figures["hot_admitted"][1]


def test_a_bound_that_nothing_could_exceed_ends_the_run(
    target: Target, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert shortened(target, scenario("hot-client"), tmp_path, LIMITERS="50").exit is Exit.NOT_RUN
    assert "nothing could exceed that" in capfd.readouterr().err


def test_a_hot_client_without_a_limit_ends_the_run(
    target: Target, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    unlimited = {f"HOT_{name}": target.environ[name] for name in ("CLIENT_ID", "CLIENT_SECRET")}
    assert shortened(target, scenario("hot-client"), tmp_path, **unlimited).exit is Exit.NOT_RUN
    assert "needs a limit below HOT_RATE" in capfd.readouterr().err
