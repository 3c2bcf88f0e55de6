"""From loads to the table, the page and the picture."""

from collections.abc import Sequence

import msgspec
import pytest

from benchmarks.compare import Compared, compare_costs
from benchmarks.load import Load
from benchmarks.machine import Machine, cpu_model
from benchmarks.memory import Memory
from benchmarks.plot import MET, MISSED, NEUTRAL, ratio_bars
from benchmarks.publish import BEGIN, END, fill
from benchmarks.redis_rows import PAIR, QUARTER
from benchmarks.results import Results
from benchmarks.sections import render
from benchmarks.statistics import Spread
from benchmarks.summary import summarise, table
from tests.programs import svg

MACHINE = Machine(
    cpu="A processor",
    cores=2,
    memory_gib=4.0,
    kernel="Linux 6",
    python="CPython 3.11",
    packages={"uvicorn": "0.54"},
    commit="abcdef123456",
    load_before=0.1,
)


def loads(rates: Sequence[float], cpu_seconds: float = 1.0) -> list[Load]:
    return [Load(int(rate), 1.0, 1.0, 2.0, refused=0, failed=0, cpu_seconds=cpu_seconds) for rate in rates]


def results() -> Results:
    measured = {
        "bare": loads([1000, 500, 2000]),
        "quick": loads([700, 400, 1200]),
        "slow": loads([100, 50, 200]),
        "unbounded": loads([300, 150, 600]),
    }
    return Results(
        machine=MACHINE,
        measured_at="2026-01-01T00:00:00+00:00",
        rounds=3,
        seconds=1.0,
        rows=summarise(measured, "bare", {"quick": 0.65, "slow": 0.5}),
        memory=Memory(idle_mb=70.0, growth_mb=75.0, store_mb=33.0),
        start_seconds=Spread(0.7, 0.6, 0.9),
        steps_ns={"parse": Spread(1500, 1400, 1600)},
    )


def test_ratios_are_of_rounds_and_their_median_decides() -> None:
    rows = {row.name: row for row in results().rows}
    assert rows["quick"].ratio == Spread(0.7, 0.6, 0.8)
    assert rows["bare"].ratio == Spread(1, 1, 1)
    assert [rows[name].met for name in ("bare", "quick", "slow", "unbounded")] == [None, True, False, None]


def test_what_a_second_process_costs_is_compared_round_by_round_and_not_through_the_bare_server() -> None:
    measured = {"bare": loads([1000, 10, 3000]), QUARTER: loads([1100, 500, 2000]), PAIR: loads([1000, 400, 2500])}
    compared = msgspec.structs.replace(results(), redis_rows=summarise(measured, "bare", {}))
    assert "CPU seconds a miss, two processes to one, each as loaded 1.10 <= 1.1" in " ".join(render(compared).split())


def test_a_bare_server_without_its_core_makes_no_row_met() -> None:
    measured = {"bare": loads([500], cpu_seconds=0.5), "row": loads([400], cpu_seconds=1.0)}
    row = summarise(measured, "bare", {"row": 0.65})[1]
    assert (row.ratio.median, row.ratio_on_cpu.median, row.met) == (0.8, 0.4, False)


def test_the_report_names_machine_verdicts_and_sizes() -> None:
    report = render(results())
    for text in ("A processor, 2 cores", "commit abcdef123456", "0.70", "NOT MET", "+75.0 MB", "0.70 s", "1.50"):
        assert text in report
    line = next(line for line in report.splitlines() if line.startswith("quick"))
    assert line.split()[-3:] == [">=", "0.65", "met"]


def test_results_survive_their_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(results()), type=Results) == results()


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert list(table(("", "n"), [("long name", "1"), ("x", "1000")])) == [
        "              n",
        "long name     1",
        "x          1000",
    ]


def test_the_page_keeps_everything_outside_its_block() -> None:
    page = fill(f"before\n{BEGIN}\nold figures\n{END}\nafter\n", [results()])
    assert page.startswith("before\n" + BEGIN)
    assert page.endswith(END + "\nafter\n")
    assert "old figures" not in page
    assert "| quick | 700 | **0.70** |" in page
    assert fill(page, [results()]) == page


def test_a_page_without_a_block_is_not_touched() -> None:
    with pytest.raises(ValueError, match="there is no block"):
        fill("no block here\n", [results()])


def test_the_picture_has_a_bar_for_each_row_and_a_mark_for_each_target() -> None:
    rows = results().rows
    picture = ratio_bars(rows, "Ratios & targets")
    assert {"Ratios & targets", *(row.name for row in rows)} <= set(svg.texts(picture))
    bars = [path for colour in (NEUTRAL, MET, MISSED) for path in svg.paths(picture, f"fill: {colour}")]
    widths = sorted(max(x for x, _ in bar) - min(x for x, _ in bar) for bar in bars)
    assert [width / widths[-1] for width in widths] == pytest.approx([0.1, 0.3, 0.7, 1], abs=0.01)
    assert len(svg.paths(picture, "stroke-width: 3")) == 2


@pytest.mark.parametrize(("candidate", "loss"), [([12.0, 12.1, 12.2] * 2, True), ([8.0, 8.1, 7.9] * 2, False)])
def test_of_costs_less_is_better(candidate: list[float], loss: bool) -> None:
    compared: Compared = compare_costs("a step", [10.0, 10.1, 9.9] * 2, candidate, "{:.1f} us")
    assert compared.is_loss is loss
    assert compared.base == "10.0 us"


def test_the_processor_is_named_where_the_kernel_names_it() -> None:
    assert cpu_model(["processor\t: 0", "model name\t: A: fine processor"]) == "A: fine processor"
    assert cpu_model(["processor : 0"])  # the architecture stands in
