"""k6 as it is started: what it is told by its environment, and what it is not."""

from pathlib import Path

import pytest

from loadtest import generator
from loadtest.scenarios import Scenario

STAND_IN = """#!/bin/sh
env
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Told":
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "k6").write_text(STAND_IN)
    (programs / "k6").chmod(0o755)
    monkeypatch.setattr(generator, "TOOLS", programs)
    return Told(tmp_path / "report")


class Told:
    """The environment that a run gives to k6."""

    def __init__(self, report: Path) -> None:
        self._report = report

    def __call__(self, **environ: str) -> dict[str, str]:
        generator.run(Scenario("smoke", "smoke", "says what it was told"), environ=environ, report=self._report)
        lines = (self._report / "output.txt").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


def test_its_heap_is_collected_seldom(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOGC", raising=False)
    assert told()["GOGC"] == generator.GOGC


def test_who_knows_better_says_so(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOGC", "50")
    assert told()["GOGC"] == "50"


def test_it_is_told_of_the_run_and_of_nothing_else(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K6_OUT", "csv=points.csv")
    monkeypatch.setenv("SIGNING_KEY", "not for a load generator")
    seen = told(BASE_URL="http://127.0.0.1:1")
    assert seen["BASE_URL"] == "http://127.0.0.1:1"
    assert seen["K6_OUT"] == "csv=points.csv"
    assert "SIGNING_KEY" not in seen
