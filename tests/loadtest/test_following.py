"""A run's log, followed through a kubectl that loses its connection."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from loadtest import following
from loadtest.following import follow
from loadtest.kube import ClusterError

KUBECTL = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path
folder = Path(os.environ["STAND_IN"])
kind = "logs" if "logs" in sys.argv else "get"
calls = folder / (kind + "-calls")
number = len(calls.read_text()) if calls.exists() else 0
calls.write_text("x" * (number + 1))
answers = json.loads((folder / kind).read_text())
says, code = answers[min(number, len(answers) - 1)]
sys.stdout.write(says)
sys.exit(code)
"""
Answers = Sequence[tuple[str, int]]


def state(**k6: object) -> tuple[str, int]:
    return json.dumps({"status": {"containerStatuses": [{"name": "k6", "state": k6}]}}), 0


RUNS, ENDED, UNSEEN = state(running={}), state(terminated={"exitCode": 99}), ("refused", 1)


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Answers, Answers], None]:
    """kubectl says these, one for each call, and the last one from then on."""
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN", str(tmp_path))
    monkeypatch.setattr(following, "_LOOK_SECONDS", 0)

    def answer(logs: Answers, get: Answers) -> None:
        (tmp_path / "logs").write_text(json.dumps(logs))
        (tmp_path / "get").write_text(json.dumps(get))

    return answer


@pytest.mark.parametrize(
    ("logs", "get"),
    [
        ([("one\n", 1), ("one\ntwo\nthree\n", 0)], [RUNS, RUNS, ENDED]),
        ([("one\n", 0), ("one\ntwo\nthree\n", 0)], [RUNS, ENDED]),
        ([("one\ntw", 1), ("one\ntwo\nthree\n", 0)], [RUNS, ENDED]),
        ([("one\ntwo\n", 0), ("one\ntwo\nthree\n", 0)], [RUNS, UNSEEN, ENDED]),
        ([("", 1), ("one\ntwo\nthree\n", 0)], [ENDED]),
    ],
    ids=["the log is refused", "the log is cut", "a line is cut", "the pod is not seen", "it ended meanwhile"],
)
def test_the_log_is_followed_again_until_the_container_has_ended(
    kubectl: Callable[[Answers, Answers], None], tmp_path: Path, logs: Answers, get: Answers
) -> None:
    kubectl(logs, get)
    assert follow("n", "p", tmp_path / "output.txt") == ("one\ntwo\nthree\n", 99)
    assert (tmp_path / "output.txt").read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("logs", "get", "says"),
    [([("", 1)], [ENDED], "kubectl logs of pod p ended with 1"), ([("one\n", 0)], [UNSEEN], "refused")],
)
@pytest.mark.usefixtures("given_up_at_once")
def test_a_pod_that_stays_lost_is_an_error_that_says_why(
    kubectl: Callable[[Answers, Answers], None], tmp_path: Path, *, logs: Answers, get: Answers, says: str
) -> None:
    kubectl(logs, get)
    with pytest.raises(ClusterError, match=f"pod p was lost for 0 s: .*{says}"):
        follow("n", "p", tmp_path / "output.txt")


@pytest.fixture
def given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOST_SECONDS", 0.0)
