"""A release for the time of a load test, with stand-ins for helm and kubectl that write down how they were called."""

import json
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from loadtest import following, kube, release
from loadtest.cluster import run_in_cluster
from loadtest.generator import Outcome
from loadtest.kube import ClusterError
from loadtest.release import put_back, values_of
from loadtest.scenarios import scenario
from loadtest.verdict import Exit

ROOT = Path(__file__).parents[2]
VERDICT = '{"scenario":"capacity-introspect","run_id":"load-1","verdict":"pass","seconds":1}'
STAND_IN = f"""#!{sys.executable}
import json, os, sys, time
from pathlib import Path
folder, words = Path(os.environ["STAND_IN"]), [Path(sys.argv[0]).name, *sys.argv[1:]]
text = " ".join(words)
values = [json.loads(Path(words[at + 1]).read_text()) for at, word in enumerate(words) if word == "--values"]
if "-f" in words:
    (folder / "created").write_text(Path(words[words.index("-f") + 1]).read_text())
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([text, *values]) + chr(10))
for answer in json.loads((folder / "answers").read_text()):
    if answer["to"] in text:
        time.sleep(answer.get("seconds", 0))
        print(answer.get("says", ""))
        sys.exit(answer.get("code", 0))
"""
RUNNING = {"containerStatuses": [{"name": "k6", "state": {"terminated": {"exitCode": 0}}}]}
ANSWERS: Mapping[str, Mapping[str, object]] = {
    " status l": {"says": json.dumps({"version": 7, "info": {"status": "deployed"}})},
    "get values l": {"says": json.dumps({"replicaCount": 2, "loadTest": {"env": [{"name": "A", "value": "b"}]}})},
    "get manifest l": {"says": "kind: CronJob\nmetadata:\n  name: l-auth-service-load-test\n"},
    "get pods": {"says": json.dumps({"items": [{"metadata": {"name": "load-1-x"}, "status": RUNNING}]})},
    "get pod ": {"says": json.dumps({"metadata": {"name": "load-1-x"}, "status": RUNNING})},
    "logs": {"says": VERDICT},
}


class Programs:
    """helm and kubectl, whose answers a test may change before it starts a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("helm", "kubectl"):
            (folder / name).write_text(STAND_IN)
            (folder / name).chmod(0o755)
        self.answer({})

    def answer(self, changed: Mapping[str, Mapping[str, object]]) -> None:
        answers = [{"to": to, **answer} for to, answer in {**changed, **ANSWERS}.items() if to not in changed]
        answers = [*({"to": to, **answer} for to, answer in changed.items()), *answers]
        (self.folder / "answers").write_text(json.dumps(answers))

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return [json.loads(line)[0] for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def values(self) -> list[dict[str, object]]:
        lines = (self.folder / "calls").read_text().splitlines()
        return [value for line in lines for value in json.loads(line)[1:]]

    @property
    def created(self) -> Any:
        return json.loads((self.folder / "created").read_text())

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": f"{self.folder}:{os.environ['PATH']}", "STAND_IN": str(self.folder)}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    made = Programs(tmp_path)
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    return made


def run(folder: Path, name: str = "capacity", environ: Mapping[str, str] | None = None) -> Outcome:
    return run_in_cluster(
        release="l",
        namespace="n",
        scenario=scenario(name),
        environ=environ or {},
        run_id="load-1",
        report=folder / "report",
        settings=("a=b",),
        say=lambda _line: None,
    )


def test_a_run_is_a_job_of_the_template_and_the_release_is_put_back(programs: Programs, tmp_path: Path) -> None:
    assert run(tmp_path, environ={"DURATION_FACTOR": "0.1"}).exit is Exit.PASSED
    upgrade, job, back = (
        next(at for at, call in enumerate(programs.calls) if words in call)
        for words in ("helm --namespace n upgrade l ", "create job load-1", "helm --namespace n rollback l 7 ")
    )
    assert upgrade < job < back == len(programs.calls) - 1
    assert "--from=cronjob/l-auth-service-load-test" in programs.calls[job]
    assert "--reset-then-reuse-values" in programs.calls[upgrade]
    assert "--set a=b" in programs.calls[upgrade]
    (told,) = programs.values
    assert told["loadTest"] == {
        "enabled": True,
        "scenario": "capacity",
        "runId": "",
        "operator": {"enabled": False},
        "env": [{"name": "A", "value": "b"}, {"name": "DURATION_FACTOR", "value": "0.1"}],
        "calibration": {"enabled": True},
    }


PODS_OF_THE_SERVICE = "-l app.kubernetes.io/instance=l,app.kubernetes.io/component=service"


def test_the_run_begins_when_the_replaced_pods_are_gone(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads to one of them is kept by k6, and what it counted is no part of the run."""
    leaving = {"items": [{"metadata": {"name": "old", "deletionTimestamp": "2026-01-01T00:00:00Z"}}]}
    programs.answer({PODS_OF_THE_SERVICE: {"says": json.dumps(leaving)}})

    def leave(_seconds: float) -> None:
        assert not [call for call in programs.calls if "create job" in call]
        programs.answer({})

    monkeypatch.setattr(release, "time", Namespace(monotonic=time.monotonic, sleep=leave))
    assert run(tmp_path).exit is Exit.PASSED
    looks = [at for at, call in enumerate(programs.calls) if PODS_OF_THE_SERVICE in call]
    job = next(at for at, call in enumerate(programs.calls) if "create job" in call)
    assert len(looks) == 2
    assert max(looks) < job


def test_replaced_pods_that_do_not_go_end_the_run(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving = {"items": [{"metadata": {"name": "old", "deletionTimestamp": "2026-01-01T00:00:00Z"}}]}
    programs.answer({PODS_OF_THE_SERVICE: {"says": json.dumps(leaving)}})
    monkeypatch.setattr(release, "READY_SECONDS", 0.0)
    with pytest.raises(ClusterError, match="old: not gone"):
        run(tmp_path)
    assert not [call for call in programs.calls if "create job" in call]
    assert "rollback" in programs.calls[-1]


def test_the_job_of_a_hot_client_is_told_how_many_pods_there_are(programs: Programs, tmp_path: Path) -> None:
    env = [{"name": "LIMITERS", "value": "10"}]
    job = {"spec": {"template": {"spec": {"containers": [{"name": "k6", "env": env}]}}}}
    serving = {"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    programs.answer(
        {
            "--dry-run=client": {"says": json.dumps(job)},
            "instance=l,app.kubernetes.io/component=service": {"says": json.dumps({"items": [serving] * 3})},
        }
    )
    assert run(tmp_path, "hot-client").exit is Exit.PASSED
    assert programs.created["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "LIMITERS", "value": "3"}]
    assert not [call for call in programs.calls if "create job" in call and "--dry-run=client" not in call]


@pytest.mark.parametrize("fails", ["upgrade l", "create job", "get pods", "logs"])
def test_the_release_is_put_back_after_a_failure(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    programs.answer({fails: {"says": "no", "code": 1}})
    monkeypatch.setattr(following, "LOST_SECONDS", 0.0)
    with pytest.raises(ClusterError):
        run(tmp_path)
    assert "rollback l 7" in programs.calls[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_release_is_put_back_after_a_signal(programs: Programs, tmp_path: Path, number: signal.Signals) -> None:
    programs.answer({"logs": {"says": "", "seconds": 100}, "rollback": {"seconds": 1}})
    command = [
        sys.executable,
        "-m",
        "loadtest",
        "cluster",
        "smoke",
        "--release",
        "l",
        "--out",
        str(tmp_path / "report"),
    ]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **programs.environ}, start_new_session=True) as process:
        until(lambda: any("logs" in call for call in programs.calls))
        os.killpg(process.pid, number)
        until(lambda: any("rollback" in call for call in programs.calls))
        os.killpg(process.pid, number)  # once more: what puts it back is not to be stopped
        assert process.wait(60) == 128 + number
    assert "rollback l 7" in programs.calls[-1]


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    give_up_at = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def test_a_release_that_was_not_put_back_says_the_command_that_does_it(programs: Programs, tmp_path: Path) -> None:
    programs.answer({"rollback": {"says": "locked", "code": 1}})
    with pytest.raises(ClusterError, match=r"do it by hand: helm --namespace n rollback l 7(.|\n)*locked"):
        run(tmp_path)


def test_a_way_back_that_does_not_end_says_the_command_too(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    programs.answer({"rollback": {"seconds": 100}})
    monkeypatch.setattr(kube, "TIMEOUT_SECONDS", 0.2)
    with (
        pytest.raises(ClusterError, match=r"do it by hand: helm rollback l 7(.|\n)*no end within 0.2 s"),
        put_back(["helm"], "l", 7, lambda _line: None),
    ):
        pass


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({" status l": {"says": '{"version": 7, "info": {"status": "failed"}}'}}, "revision 7 of l is failed"),
        ({"get manifest l": {"says": "    auth-service/run-id: x\n"}}, "loadTest.enabled=false"),
    ],
)
def test_a_release_that_could_not_be_put_back_is_left_alone(
    programs: Programs, tmp_path: Path, changed: dict[str, dict[str, object]], says: str
) -> None:
    programs.answer(changed)
    with pytest.raises(ClusterError, match=says):
        run(tmp_path)
    assert not [call for call in programs.calls if "upgrade" in call or "rollback" in call]


def test_a_scenario_is_its_script_and_its_settings() -> None:
    values = values_of(scenario("capacity-issue"), {"STEPS": "3"}, {})
    assert values["scenario"] == "capacity"
    told = {variable["name"]: variable["value"] for variable in values["env"]}
    assert told == {"OPERATION": "issue", "FIRST_RATE": "300", "STEPS": "3"}


@pytest.mark.parametrize(
    ("name", "given", "settings", "calibrates"),
    [
        ("introspections", {}, (), True),
        ("smoke", {}, (), False),
        ("introspections", {"loadTest": {"calibrationUrl": "http://c"}}, (), False),
        ("introspections", {}, ("loadTest.calibrationUrl=http://c",), False),
    ],
)
def test_a_run_about_a_rate_is_calibrated_unless_it_is_said_by_what(
    name: str, given: dict[str, dict[str, str]], settings: tuple[str, ...], calibrates: bool
) -> None:
    assert ("calibration" in values_of(scenario(name), {}, given, settings)) is calibrates


def test_a_setting_of_this_run_goes_before_the_release_s_own() -> None:
    given = {"loadTest": {"env": [{"name": "RATE", "value": "1"}, {"name": "B", "value": "2"}]}}
    assert values_of(scenario("smoke"), {"RATE": "5"}, given)["env"] == [
        {"name": "B", "value": "2"},
        {"name": "RATE", "value": "5"},
    ]
