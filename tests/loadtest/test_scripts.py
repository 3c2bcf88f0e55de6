"""k6's scripts against a real service, shortened: each runs, judges what it saw, and refuses what it cannot measure."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.generator import Outcome, run
from loadtest.scenarios import SCENARIOS, Scenario, scenario
from loadtest.target import Target, local
from loadtest.verdict import Exit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SHORT = {"DURATION_FACTOR": "0.03", "RATE_FACTOR": "0.1", "USERS": "50", "TOKENS": "1000", "STEPS": "3"}
# Nothing is lost by waiting longer on a busy machine: what is tested is that a run comes to a verdict by itself.


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with local() as target:
        yield target


def shortened(target: Target, one: Scenario, folder: Path, **more: str) -> Outcome:
    environ = {**target.environ, **SHORT, **more}
    return run(one, environ=environ, report=folder, cores=target.cores)


@pytest.mark.parametrize("one", SCENARIOS, ids=lambda one: one.name)
def test_every_scenario_comes_to_a_verdict_with_reports(one: Scenario, target: Target, tmp_path: Path) -> None:
    outcome = shortened(target, one, tmp_path)
    assert outcome.verdict is not None
    assert outcome.exit in (Exit.PASSED, Exit.FAILED, Exit.GENERATOR_LIMITED)
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


def test_a_capacity_run_without_a_responder_is_not_calibrated(target: Target, tmp_path: Path) -> None:
    outcome = shortened(target, scenario("introspections"), tmp_path, CALIBRATION_URL="", DURATION_FACTOR="0.02")
    assert outcome.exit in (Exit.NOT_CALIBRATED, Exit.FAILED)
    assert outcome.verdict is not None
    assert outcome.verdict.generator == {"requests_per_second": None, "needed": 1000}
