"""``make bench-compare BASE=…``: the working tree against a commit, in one run.

Rules:
- What is compared over HTTP is requests a second of the server's CPU time, round by round. The clock's figure, which
  holds what else ran on the machine as well, is shown beside it and decides nothing.
- A loss is one whose interval leaves no place for less than the tolerated tenth.
"""

import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks import rows, tree_rows
from benchmarks.http_rounds import Schedule, Tree
from benchmarks.load import Load
from benchmarks.machine import REPOSITORY
from benchmarks.rounds import progress
from benchmarks.statistics import LEAST_ROUNDS, Interval, change, is_certain_loss, round_ratios, spread

BASE, CANDIDATE = "base", "candidate"
PARTS = ("http", "steps", "sizes")
_STEP_SAMPLES = 2
"""Few, in many fresh processes: a process has its own luck with memory and hashes, which more samples do not show."""


class CompareError(Exception):
    """The comparison could not be made; the message says why."""


class Compared(msgspec.Struct, frozen=True):
    """One thing that both did."""

    name: str
    base: str
    candidate: str
    change: Interval
    """How many times as much (or as fast, or as small) the candidate is."""
    by_clock: Interval | None = None
    """The same of requests a second; None where nothing was asked over HTTP."""

    @property
    def is_loss(self) -> bool:
        return is_certain_loss(self.change)


def compare(base: str, schedule: Schedule, only: tuple[str, ...], parts: Collection[str] = PARTS) -> list[Compared]:
    """Everything of :data:`PARTS` that base and working tree have in common; with ``only``, rows over HTTP alone.

    Raises CompareError, LoadError or ServerError.
    """
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        folder = Path(name)
        trees = (base_tree(base, folder / BASE), Tree(CANDIDATE, REPOSITORY))
        compared: list[Compared] = []
        if "http" in parts:
            loads, names = tree_rows.measure(trees, schedule, folder, only)
            compared += compare_rates(loads, names)
        if only:
            return compared
        if not (trees[0].path / "benchmarks" / "__main__.py").exists():
            progress(f"{base} has no benchmarks of its own: its steps and sizes are not compared")
            return compared
        if "steps" in parts:
            compared += compare_steps(trees, schedule.rounds)
        if "sizes" in parts:
            compared += _compare_sizes(trees)
        return compared


def base_tree(base: str, folder: Path) -> Tree:
    """The files of a commit in ``folder``, with an interpreter that has the packages it is locked to."""
    archive = subprocess.run(["git", "archive", "--format=tar", base], cwd=REPOSITORY, capture_output=True, check=False)
    if archive.returncode:
        raise CompareError(f"BASE={base} cannot be read: {archive.stderr.decode().strip()}")
    packed = folder.with_suffix(".tar")
    packed.write_bytes(archive.stdout)
    with tarfile.open(packed) as files:
        files.extractall(folder, filter="data")
    if (folder / "requirements.lock").read_bytes() == (REPOSITORY / "requirements.lock").read_bytes():
        return Tree(BASE, folder)
    progress(f"{base} is locked to other packages: installing them")
    environment = folder / ".venv"
    python = str(environment / "bin" / "python")
    for command in (
        [sys.executable, "-m", "venv", str(environment)],
        [python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(folder / "requirements.lock")],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompareError(f"the packages of {base} cannot be installed: {done.stderr.strip()[-500:]}")
    return Tree(BASE, folder, python)


def compare_rates(loads: Mapping[str, Sequence[Load]], names: Sequence[str]) -> Iterator[Compared]:
    """The rows over HTTP: shown as ratios to the bare server, compared round by round, both by CPU time."""
    bare = _rates_on_cpu(loads[rows.YARDSTICK])
    for name in names:
        base, candidate = (loads[tree_rows.name_in(tree, name)] for tree in (BASE, CANDIDATE))
        on_cpu = [_rates_on_cpu(of) for of in (base, candidate)]
        shown = [f"{spread(round_ratios(rates, bare)).median:.2f} x bare" for rates in on_cpu]
        yield Compared(
            name,
            shown[0],
            shown[1],
            change(on_cpu[1], on_cpu[0]),
            by_clock=change([load.rate for load in candidate], [load.rate for load in base]),
        )


def _rates_on_cpu(of: Sequence[Load]) -> list[float]:
    return [load.rate_on_cpu for load in of]


def compare_costs(name: str, base: Sequence[float], candidate: Sequence[float], form: str) -> Compared:
    """Something of which less is better; ``form`` is a format string for a figure."""
    return Compared(
        name,
        form.format(spread(base).median),
        form.format(spread(candidate).median),
        change([1 / cost for cost in candidate], [1 / cost for cost in base]),
    )


def compare_steps(trees: Sequence[Tree], rounds: int) -> Iterator[Compared]:
    """The steps, in a fresh process for each tree and round."""
    taken: dict[str, list[dict[str, float]]] = {tree.name: [] for tree in trees}
    for number in range(rounds):
        progress(f"steps, round {number + 1} of {rounds}")
        for tree in trees if number % 2 == 0 else reversed(trees):
            taken[tree.name].append(
                json.loads(_own_benchmark(tree, "steps", "--samples", str(_STEP_SAMPLES), "--json"))
            )
    for name in taken[CANDIDATE][0]:
        if name in taken[BASE][0]:
            base, candidate = ([times[name] / 1e3 for times in taken[tree]] for tree in (BASE, CANDIDATE))
            yield compare_costs(name, base, candidate, "{:.2f} us")


def _compare_sizes(trees: Sequence[Tree]) -> Iterator[Compared]:
    sizes: dict[str, list[float]] = {tree.name: [] for tree in trees}
    for _ in range(LEAST_ROUNDS):
        for tree in trees:
            sizes[tree.name].append(float(_own_benchmark(tree, "weigh-store", str(rows.LIVE_TOKENS))))
    yield compare_costs("100,000 live tokens, the store alone", sizes[BASE], sizes[CANDIDATE], "{:.1f} MB")


def _own_benchmark(tree: Tree, *arguments: str) -> str:
    """What a tree's own ``python -m benchmarks`` prints: its benchmarks know its code."""
    done = subprocess.run(
        [tree.python, "-m", "benchmarks", *arguments], cwd=tree.path, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CompareError(f"{tree.name}: benchmarks {arguments[0]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def lines(compared: Sequence[Compared]) -> list[tuple[str, ...]]:
    """For a table: name, base, candidate, change, interval, change by the clock, verdict."""
    return [
        (
            one.name,
            one.base,
            one.candidate,
            f"{one.change.estimate - 1:+.1%}",
            f"{one.change.low - 1:+.1%} to {one.change.high - 1:+.1%}",
            "" if one.by_clock is None else f"{one.by_clock.estimate - 1:+.1%}",
            "LOSS" if one.is_loss else "",
        )
        for one in compared
    ]
