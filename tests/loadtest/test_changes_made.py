"""Each change made for real in a short run: the changes are seen, and nobody who called got a wrong answer."""

from pathlib import Path

import pytest

from loadtest.change_stages import STAGES
from loadtest.changes import run_changes
from loadtest.verdict import Exit
from tests.conftest import RequireProgram

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("name", STAGES)
def test_a_change_under_load_is_made_and_seen(name: str, tmp_path: Path, require_program: RequireProgram) -> None:
    require_program("redis-server")
    said: list[str] = []
    # Twenty seconds: a rotation and a rollout take eight each, two of them.
    environ = {"DURATION_FACTOR": "0.17", "RATE_FACTOR": "0.4"}
    (run,) = run_changes([name], tmp_path, environ, said.append)
    assert not run.change.failure
    assert len(run.change.made) == run.change.planned
    assert run.change.exit is Exit.PASSED, (tmp_path / name / "output.txt").read_text()
    assert run.verdict is not None
    failed = sum(each.failed for each in run.verdict.endpoints)
    # The master is away for longer than Sentinel's doubt; the other changes are noticed by nobody.
    assert failed > 0 if name == "failover" else failed == 0
    assert any(line.strip().startswith("at ") for line in said)
