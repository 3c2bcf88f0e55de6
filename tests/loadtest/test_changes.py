"""Load while something is changed: when the changes are made, what a run without them comes to, how it is shown."""

import re
import threading
from pathlib import Path

import pytest

from benchmarks.machine import REPOSITORY
from loadtest import change_page
from loadtest.change_acts import Act, ChangeFailed, settled
from loadtest.change_stages import STAGES
from loadtest.changes import SECONDS, Change, ChangeRun, Made, judged, make_all, read_runs
from loadtest.generator import Outcome
from loadtest.record import write_json
from loadtest.scenarios import SCENARIOS
from loadtest.verdict import EndpointFigures, Exit, Verdict

MADE = Made(24.2, "SIGTERM to process 1", "another was ready 1.0 s later")
CHANGE = Change("rollout", "2026-01-01 00:00", "a service here", 0.5, 2, Exit.FAILED, (MADE,), "it did not come back")
ENDPOINTS = (
    EndpointFigures("introspect", 2000, 0.001, 0.4, 1.5, 2.5, 30),
    EndpointFigures("issue", 1000, 0.01, 0.5, 1.25, 3.5, 20),
)
VERDICT = Verdict("under-rollout", "local", "fail", 20, ENDPOINTS, outage_seconds=2.62)


def test_every_scenario_under_change_has_a_stage() -> None:
    assert set(STAGES) == {one.name for one in SCENARIOS if one.script == "under-change"}


def test_the_changes_are_timed_by_the_length_of_the_script() -> None:
    script = (REPOSITORY / "k6" / "under-change.js").read_text()
    assert re.findall(r"^const SECONDS = (\d+);", script, re.MULTILINE) == [str(SECONDS)]


@pytest.mark.parametrize(
    ("of_k6", "made", "comes_to"),
    [
        (Exit.PASSED, 2, Exit.PASSED),
        (Exit.PASSED, 1, Exit.FAILED),
        (Exit.PASSED, 0, Exit.FAILED),
        (Exit.FAILED, 2, Exit.FAILED),
        (Exit.NOT_RUN, 0, Exit.NOT_RUN),
    ],
)
def test_a_run_in_which_not_everything_was_changed_is_no_pass(of_k6: Exit, made: int, comes_to: Exit) -> None:
    assert judged(Outcome(of_k6, None, Path()), made, 2) is comes_to


def refuse() -> str:
    raise ChangeFailed("it did not come back")


def test_changes_are_made_in_their_order_and_noted() -> None:
    made: list[Made] = []
    said: list[str] = []
    acts = [Act(0.0, "first", lambda: "one"), Act(0.5, "second", lambda: "two")]
    assert make_all(acts, 0.02, made.append, said.append, threading.Event()) == ""
    assert [(one.what, one.came_to) for one in made] == [("first", "one"), ("second", "two")]
    assert made[1].at_seconds >= made[0].at_seconds
    assert said[0] == "at 0 s: first"


def test_after_a_change_that_failed_no_other_is_made() -> None:
    made: list[Made] = []
    acts = [Act(0.0, "first", refuse), Act(0.0, "second", lambda: "two")]
    assert make_all(acts, 1, made.append, lambda _: None, threading.Event()) == "it did not come back"
    assert made == []


def test_no_change_is_made_or_noted_once_the_load_has_ended() -> None:
    made: list[Made] = []
    ended = threading.Event()

    def too_late() -> str:
        ended.set()
        return "seen"

    acts = [Act(0.0, "first", too_late), Act(0.0, "second", refuse)]
    assert "was seen" in make_all(acts, 1, made.append, lambda _: None, ended)
    assert "before the change" in make_all(acts, 1, made.append, lambda _: None, ended)
    assert made == []


def test_what_never_comes_is_waited_for_in_vain_and_a_refused_connection_is_looked_past() -> None:
    looks = iter([ConnectionRefusedError, None, "here"])

    def look() -> str | None:
        found = next(looks)
        if isinstance(found, type):
            raise found
        return found

    assert settled("it comes", look, 5) < 5
    with pytest.raises(ChangeFailed, match="it comes: not within"):
        settled("it comes", lambda: None, 0.05)


def test_the_table_says_what_was_changed_and_what_callers_noticed() -> None:
    row = change_page.table([ChangeRun(CHANGE, VERDICT)]).splitlines()[-1]
    assert row == (
        "| rollout | 24 s: SIGTERM to process 1 | another was ready 1.0 s later; it did not come back "
        "| 20 | 3,000 | 12 | 2.6 s | 1.50 ms | 3.50 ms | 30.00 ms | failed |"
    )


def test_a_run_without_a_verdict_is_a_row_of_the_same_length() -> None:
    rows = change_page.table([ChangeRun(CHANGE, VERDICT), ChangeRun(CHANGE)]).splitlines()
    assert len({row.count("|") for row in rows}) == 1


def test_runs_are_read_again_in_the_order_of_the_stages(tmp_path: Path) -> None:
    for name in reversed(tuple(STAGES)):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "change.json", CHANGE)
    write_json(tmp_path / "rotation" / "report.json", VERDICT)
    assert read_runs(tmp_path) == (ChangeRun(CHANGE, VERDICT), ChangeRun(CHANGE), ChangeRun(CHANGE))


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no run of"):
        read_runs(tmp_path)
