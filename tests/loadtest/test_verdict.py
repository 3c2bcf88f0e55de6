import json

import pytest

from loadtest.scenarios import SCENARIOS, scenario
from loadtest.verdict import THRESHOLDS_CROSSED, Exit, exit_of, verdict_in

VERDICT = {"scenario": "smoke", "run_id": "local", "verdict": "pass", "seconds": 10, "capacity": None}


def printed(verdict: str) -> str:
    return f"# Load test\n\n{json.dumps({**VERDICT, 'verdict': verdict}, separators=(',', ':'))}\nrunning (05.0s)\n"


@pytest.mark.parametrize(
    ("code", "said", "ends"),
    [
        (0, "pass", Exit.PASSED),
        (THRESHOLDS_CROSSED, "fail", Exit.FAILED),
        (THRESHOLDS_CROSSED, "pass", Exit.FAILED),
        (0, "generator limited", Exit.GENERATOR_LIMITED),
        (THRESHOLDS_CROSSED, "generator limited", Exit.GENERATOR_LIMITED),
        (0, "not calibrated", Exit.NOT_CALIBRATED),
        (THRESHOLDS_CROSSED, "not calibrated", Exit.NOT_CALIBRATED),
        (0, "not reached", Exit.NOT_REACHED),
        (108, "pass", Exit.NOT_RUN),
        (107, "fail", Exit.NOT_RUN),
    ],
)
def test_a_run_passes_only_where_k6_and_the_verdict_say_so(code: int, said: str, ends: Exit) -> None:
    assert exit_of(code, verdict_in(printed(said))) is ends


@pytest.mark.parametrize("output", ["", "level=error msg=boom", '{"scenario":"smoke","verdict":'])
def test_a_run_without_a_verdict_was_not_run(output: str) -> None:
    assert exit_of(0, verdict_in(output)) is Exit.NOT_RUN


def test_the_last_verdict_counts() -> None:
    found = verdict_in(printed("fail") + printed("pass"))
    assert found is not None
    assert found.verdict == "pass"


def test_an_unknown_scenario_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(KeyError, match="smoke, seed, basic"):
        scenario("nothing")


def test_names_are_unique() -> None:
    assert len({one.name for one in SCENARIOS}) == len(SCENARIOS)
