"""The soak: its verdict and its picture, and the whole of it in two minutes."""

from collections.abc import Callable

import msgspec
import pytest

from benchmarks.drawing import PALETTE
from benchmarks.load import Load
from benchmarks.machine import Machine
from benchmarks.timeline import Chart, Timeline, draw
from loadtest.soak import Plan, soak
from loadtest.soak_figures import Sample, Soak, lines, windows
from loadtest.soak_page import BEGIN, END, PAGE, block, picture
from tests.programs import svg

MACHINE = Machine("A <processor>", 2, 4.0, "Linux 6", "CPython 3.11", {}, "abcdef123456", 0.1)
LOAD = Load(1_980_000, 1980, 1, 5, refused=0, failed=0)


def run(end_mb: float = 82, end_descriptors: int = 70, load: Load = LOAD) -> Soak:
    """Half an hour after three minutes; the last minute is as is said, all before is 80 MB and 70 descriptors."""
    samples = tuple(
        Sample(at, int((end_mb if at > 1919 else 80) * 1e6), end_descriptors if at > 1919 else 70, at / 2, at * 1000, 9)
        for at in range(0, 1980, 5)
    )
    return Soak(MACHINE, "2026-01-01 00:00 UTC", "memory", 2000, 180, load, samples)


def failing(of: Soak) -> list[str]:
    return [line.what for line in lines(of) if not line.passed]


def test_a_process_that_stays_as_it_was_passes() -> None:
    assert failing(run()) == []


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (run(end_mb=84.1), "Resident size at the end"),
        (run(end_descriptors=73), "Open file descriptors"),
        (run(end_descriptors=60), "Open file descriptors"),
        (run(load=msgspec.structs.replace(LOAD, refused=1)), "Wrong or missing answers"),
        (run(load=msgspec.structs.replace(LOAD, failed=1)), "Wrong or missing answers"),
        (run(load=msgspec.structs.replace(LOAD, requests=1_700_000)), "Load"),
    ],
    ids=["grown", "descriptors leaked", "connections lost", "wrong answer", "no answer", "too little load"],
)
def test_one_figure_beyond_its_limit_fails_its_line_alone(changed: Soak, what: str) -> None:
    assert failing(changed) == [what]


def test_growth_during_the_warm_up_is_no_growth() -> None:
    grown = run()
    early = tuple(
        msgspec.structs.replace(sample, resident_bytes=40_000_000) if sample.at_seconds < 180 else sample
        for sample in grown.samples
    )
    assert failing(msgspec.structs.replace(grown, samples=early)) == []


def test_a_run_that_ended_in_its_warm_up_has_no_verdict() -> None:
    with pytest.raises(ValueError, match="no samples after the warm-up"):
        windows(msgspec.structs.replace(run(), warm_up_seconds=5000))


def test_the_picture_has_a_chart_of_each_figure() -> None:
    drawn = picture(run())
    assert len([path for path in svg.paths(drawn, f"stroke: {PALETTE[0]}") if len(path) > 1]) == 5
    assert "30 minutes of everything: what the process weighs and does" in svg.texts(drawn)


def test_nothing_in_a_picture_leaves_it() -> None:
    spikes = Chart("Spikes", [(0, 0), (1, 5), (2, 1234.5)], band=(1000, 1300))
    drawn = draw(Timeline("t", "s", [spikes], warm_up=1, minutes=2))
    width, height = svg.size(drawn)
    (line,) = [path for path in svg.paths(drawn, f"stroke: {PALETTE[0]}") if len(path) > 1]
    assert len(line) == 3
    for x, y in line:
        assert 0 <= x <= width
        assert 0 <= y <= height
    assert {"Spikes", "1,234", "at most 1,300", "minutes of load"} <= set(svg.texts(drawn))


@pytest.mark.parametrize("points", [[], [(0.0, 0.0), (1.0, 0.0)]])
def test_a_chart_of_nothing_is_drawn(points: list[tuple[float, float]]) -> None:
    assert "Nothing" in svg.texts(draw(Timeline("t", "s", [Chart("Nothing", points)], warm_up=0, minutes=2)))


def test_the_page_has_a_block_for_the_figures() -> None:
    page = PAGE.read_text()
    assert page.index(BEGIN) < page.index(END)
    assert "| Open file descriptors | as many (± 2) | 70, then 70 | pass |" in block(run())


SHORT = Plan(warm_up_seconds=45, seconds=60, every_seconds=1, calibration_seconds=3, life_seconds=5)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("store", ["memory", "redis"])
def test_a_soak_in_two_minutes_leaves_the_process_as_it_was(
    store: str, request: pytest.FixtureRequest, require_program: Callable[[str], str]
) -> None:
    require_program("wrk")
    result = soak(SHORT, request.getfixturevalue("redis_url") if store == "redis" else None)
    assert failing(result) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_soak_finds_what_grows(require_program: Callable[[str], str]) -> None:
    """Tokens that outlive the run are what a leak would be."""
    require_program("wrk")
    result = soak(msgspec.structs.replace(SHORT, life_seconds=3600, warm_up_seconds=20))
    assert "Resident size at the end" in failing(result)
