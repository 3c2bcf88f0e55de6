"""What real k6 comes to where k6 itself, or what it is measured against, is the limit: its verdict and its exit code.

Ten introspections a second by ten users, which any machine can do; a responder that takes 0.8 s for each answer lets
the same ten users come to 12.5 a second in the calibration, and 20 are wanted.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from loadtest.generator import find_k6
from loadtest.verdict import THRESHOLDS_CROSSED, Exit, Verdict, exit_of, verdict_in
from tests.loadtest.token_service import Answer, answering

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCRIPTS = Path(__file__).parents[2] / "k6"
PREFLIGHT = 1  # introspections before the run
SLOW, FAST = 0.8, 0.0


def active(_number: int) -> Answer:
    return 200, {"active": True}


def once_inactive(number: int) -> Answer:
    return 200, {"active": number != PREFLIGHT + 5}


def once_failing(number: int) -> Answer:
    return (500, {}) if number == PREFLIGHT + 5 else (200, {"active": True})


Run = Callable[..., tuple[int, Verdict]]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with ExitStack() as servers:

        def run(
            service: Callable[[int], Answer], responder: float | None, script: str = "introspections", **more: str
        ) -> tuple[int, Verdict]:
            environ = {
                "BASE_URL": servers.enter_context(answering(service)),
                "CLIENT_ID": "id",
                "CLIENT_SECRET": "secret",
                "RATE_FACTOR": "0.002",
                "DURATION_FACTOR": "0.1",
                "MAX_VUS": "10",
                "REPORT_DIR": str(tmp_path),
                **more,
            }
            if responder is not None:
                environ["CALIBRATION_URL"] = servers.enter_context(answering(active, seconds=responder))
            done = subprocess.run(
                [find_k6(), "run", "--no-usage-report", "--quiet", "--address", "", str(SCRIPTS / f"{script}.js")],
                env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environ},
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            verdict = verdict_in(done.stdout)
            assert verdict is not None, done.stdout + done.stderr
            return done.returncode, verdict

        yield run


def test_a_generator_that_reaches_twice_the_rate_passes(run: Run) -> None:
    code, verdict = run(active, FAST)
    assert verdict.verdict == "pass", verdict
    assert code == 0
    assert verdict.generator is not None
    assert verdict.generator["needed"] == 20


def test_a_generator_that_does_not_is_limited_and_fails_k6_itself(run: Run, tmp_path: Path) -> None:
    code, verdict = run(active, SLOW)
    assert verdict.verdict == "generator limited", verdict
    assert all(check.ok for check in verdict.checks)
    assert code == THRESHOLDS_CROSSED
    assert exit_of(code, verdict) is Exit.GENERATOR_LIMITED
    assert verdict.generator is not None
    assert (verdict.generator["requests_per_second"] or 0) < 20
    assert "generator limited" in (tmp_path / "junit.xml").read_text()


@pytest.mark.parametrize("service", [once_inactive, once_failing])
def test_a_limited_generator_excuses_no_answer(run: Run, service: Callable[[int], Answer]) -> None:
    code, verdict = run(service, SLOW)
    assert verdict.verdict == "fail", verdict
    assert code == THRESHOLDS_CROSSED
    assert exit_of(code, verdict) is Exit.FAILED


@pytest.mark.parametrize("script", ["introspections", "capacity"])
def test_a_run_about_a_rate_without_a_responder_fails_k6_itself(run: Run, script: str) -> None:
    code, verdict = run(active, None, script, STEPS="2", FIRST_RATE="5000", STEP_SECONDS="20")
    assert verdict.verdict == "not calibrated", verdict
    assert code == THRESHOLDS_CROSSED
    assert exit_of(code, verdict) is Exit.NOT_CALIBRATED


def test_the_steps_of_a_capacity_run_end_at_a_service_that_breaks(run: Run, tmp_path: Path) -> None:
    """Ten a second, then twenty, then forty: from the 150th on the service answers with 500."""
    broken = PREFLIGHT + 150

    def breaks(number: int) -> Answer:
        return (500, {}) if number > broken else (200, {"active": True})

    steps = {"STEPS": "3", "FIRST_RATE": "5000", "GROWTH": "2", "STEP_SECONDS": "40"}
    _, verdict = run(breaks, FAST, "capacity", **steps)
    assert verdict.capacity == {"requests_per_second": 20, "broke": True, "broke_at": 40}
    assert verdict.verdict == "pass", verdict
    assert "20 requests/s, the highest step that held" in (tmp_path / "report.md").read_text()


def test_steps_that_all_hold_have_found_no_capacity(run: Run, tmp_path: Path) -> None:
    code, verdict = run(active, FAST, "capacity", STEPS="2", FIRST_RATE="5000", STEP_SECONDS="20")
    assert verdict.verdict == "not reached", verdict
    assert exit_of(code, verdict) is Exit.NOT_REACHED
    assert verdict.capacity == {"requests_per_second": 14, "broke": False, "broke_at": None}
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["capacity"] == verdict.capacity
