"""Two trees compared, by their own in-process benchmarks and over HTTP: a slower one is found, the same one is not."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import compare as comparison
from benchmarks.__main__ import main
from benchmarks.compare import BASE, CANDIDATE, compare_rates, compare_steps, lines
from benchmarks.http_rounds import Tree
from benchmarks.load import Load
from benchmarks.rows import YARDSTICK
from benchmarks.tree_rows import ASGI, IN_MEMORY, REDIS, name_in, settings

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
    (compared,) = compare_steps(trees, rounds=6)
    assert compared.is_loss
    assert compared.change.estimate == pytest.approx(10 / 13, rel=0.05)


def test_the_same_step_is_none_and_a_new_one_is_not_compared(tmp_path: Path) -> None:
    trees = (tree(BASE, tmp_path, seconds=0.010), tree(CANDIDATE, tmp_path, seconds=0.010, more='"new": 1'))
    (compared,) = compare_steps(trees, rounds=6)
    assert (compared.name, compared.is_loss) == ("a step", False)


@pytest.mark.parametrize(("options", "code"), [((), 1), (("--report",), 0)])
def test_a_loss_fails_the_gate_and_not_the_report(
    options: tuple[str, ...], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, slower = tree(BASE, tmp_path, seconds=0.010), tree(CANDIDATE, tmp_path, seconds=0.013)
    monkeypatch.setattr(comparison, "base_tree", lambda _base, folder: Tree(BASE, shutil.copytree(base.path, folder)))
    monkeypatch.setattr(comparison, "REPOSITORY", slower.path)
    done = CliRunner().invoke(main, ["compare", "--part", "steps", "--rounds", "6", *options, "v0"])
    assert done.exit_code == code
    assert "over 10 % worse than v0: a step" in done.output


def loads(*rounds: tuple[float, float]) -> list[Load]:
    """Of 1,000 requests each: the seconds by the clock, and the CPU seconds."""
    return [Load(1000, clock, 1.0, 2.0, refused=0, failed=0, cpu_seconds=cpu) for clock, cpu in rounds]


ROUNDS = [(1.0, 0.50), (1.1, 0.51), (0.9, 0.49), (1.0, 0.50), (1.2, 0.52), (1.0, 0.48)]


def compared_rows(candidate: list[tuple[float, float]]) -> list[tuple[str, ...]]:
    measured = {
        YARDSTICK: loads(*((clock, 0.4) for clock, _ in ROUNDS)),
        name_in(BASE, "a row"): loads(*ROUNDS),
        name_in(CANDIDATE, "a row"): loads(*candidate),
    }
    return lines(list(compare_rates(measured, ["a row"])))


def test_a_row_is_compared_by_cpu_time_and_shown_beside_the_bare_server() -> None:
    slower = [(clock, cpu / 0.8) for clock, cpu in ROUNDS]
    (line,) = compared_rows(slower)
    assert line == ("a row", "0.80 x bare", "0.64 x bare", "-20.0%", "-20.0% to -20.0%", "+0.0%", "LOSS")


def test_a_row_that_waited_for_others_is_no_loss() -> None:
    """Half as fast by the clock with the same work: the machine had something else to do."""
    (line,) = compared_rows([(2 * clock, cpu) for clock, cpu in ROUNDS])
    assert line[3:] == ("+0.0%", "+0.0% to +0.0%", "-50.0%", "")


def test_each_tree_is_measured_in_memory_behind_asgi_and_with_redis_under_a_prefix_of_its_own(tmp_path: Path) -> None:
    of = {name: settings(Tree(name, tmp_path), tmp_path, "redis://127.0.0.1:1/0") for name in (BASE, CANDIDATE)}
    assert list(of[BASE]) == [IN_MEMORY, ASGI, REDIS]
    assert [one.get("FAST_PATH") for one in of[BASE].values()] == ["protocol", "asgi", "protocol"]
    assert [one.get("REDIS_URL") for one in of[BASE].values()] == [None, None, "redis://127.0.0.1:1/0"]
    assert of[BASE][REDIS]["REDIS_KEY_PREFIX"] != of[CANDIDATE][REDIS]["REDIS_KEY_PREFIX"]


def test_a_base_that_is_no_commit_is_named() -> None:
    done = CliRunner().invoke(main, ["compare", "--part", "steps", "no-such-commit"])
    assert done.exit_code == 1
    assert "BASE=no-such-commit cannot be read" in str(done.exception)
