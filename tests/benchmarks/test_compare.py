"""Two trees compared by their own in-process benchmarks: a slower one is found, the same one is not."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import compare as comparison
from benchmarks.__main__ import main
from benchmarks.compare import BASE, CANDIDATE, compare_steps
from benchmarks.http_rounds import Tree

PROGRAM = """
import json, sys, time

def work():
    began = time.process_time()
    while time.process_time() - began < {seconds}:
        pass
    return time.process_time() - began

assert sys.argv[1] == "steps"
print(json.dumps({{"a step": min(work() for _ in range(5)) * 1e9, {more}}}))
"""


def tree(name: str, folder: Path, *, seconds: float, more: str = "") -> Tree:
    """A tree whose ``python -m benchmarks steps --json`` takes so long for its step."""
    package = folder / name / "benchmarks"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(PROGRAM.format(seconds=seconds, more=more))
    return Tree(name, folder / name)


def test_a_step_that_takes_longer_is_a_loss(tmp_path: Path) -> None:
    trees = (tree(BASE, tmp_path, seconds=0.010), tree(CANDIDATE, tmp_path, seconds=0.013))
    (compared,) = compare_steps(trees, rounds=3)
    assert compared.is_loss
    assert compared.change.estimate == pytest.approx(10 / 13, rel=0.05)


def test_the_same_step_is_none_and_a_new_one_is_not_compared(tmp_path: Path) -> None:
    trees = (tree(BASE, tmp_path, seconds=0.010), tree(CANDIDATE, tmp_path, seconds=0.010, more='"new": 1'))
    (compared,) = compare_steps(trees, rounds=3)
    assert (compared.name, compared.is_loss) == ("a step", False)


@pytest.mark.parametrize(("options", "code"), [((), 1), (("--report",), 0)])
def test_a_loss_fails_the_gate_and_not_the_report(
    options: tuple[str, ...], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, slower = tree(BASE, tmp_path, seconds=0.010), tree(CANDIDATE, tmp_path, seconds=0.013)
    monkeypatch.setattr(comparison, "base_tree", lambda _base, folder: Tree(BASE, shutil.copytree(base.path, folder)))
    monkeypatch.setattr(comparison, "REPOSITORY", slower.path)
    done = CliRunner().invoke(main, ["compare", "--part", "steps", "--rounds", "3", *options, "v0"])
    assert done.exit_code == code
    assert "over 10 % worse than v0: a step" in done.output


def test_a_base_that_is_no_commit_is_named() -> None:
    done = CliRunner().invoke(main, ["compare", "--part", "steps", "no-such-commit"])
    assert done.exit_code == 1
    assert "BASE=no-such-commit cannot be read" in str(done.exception)
