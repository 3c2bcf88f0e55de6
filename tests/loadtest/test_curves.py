"""Curves as SVG: what stands where, that it can be read, and that the same figures give the same bytes."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from benchmarks.drawing import PALETTE, DrawingError, number
from loadtest.curves import Axis, Curve, curves
from tests.programs import svg

LINE = f"stroke: {PALETTE[0]}"


def test_a_curve_keeps_its_points_and_its_order() -> None:
    drawn = curves("t", Axis("x"), Axis("y"), [Curve("one", [(0, 0), (10, 5), (20, 10)])])
    points, _in_the_legend = svg.paths(drawn, LINE)
    assert points[0][0] < points[-1][0]
    assert points[0][1] > points[-1][1]
    assert svg.size(drawn) == (860, 420)


def test_text_is_escaped_and_dots_are_dots() -> None:
    drawn = curves("a < b", Axis("x"), Axis("y"), [Curve("p & q", [(1, 1), (2, 3)], style="dots")])
    assert {"a < b", "p & q", "x", "y"} <= set(svg.texts(drawn))
    assert len(svg.markers(drawn, LINE)) == 2 + 1  # one in the legend
    assert svg.paths(drawn, LINE) == []


def test_a_logarithmic_axis_gives_each_power_the_same_room() -> None:
    drawn = curves("t", Axis("x", log=True), Axis("y"), [Curve("one", [(1, 1), (10, 2), (100, 3)], style="dots")])
    first, second, third, _in_the_legend = (x for x, _ in svg.markers(drawn, LINE))
    assert second - first == pytest.approx(third - second, abs=0.1)
    assert {"1", "10", "100"} <= set(svg.texts(drawn))


@pytest.mark.parametrize(("value", "shown"), [(0.25, "0.25"), (500, "500"), (20_000, "20k"), (1_500_000, "1.5M")])
def test_figures_are_short(value: float, shown: str) -> None:
    assert number(value) == shown


def test_stages_are_marked_by_their_names() -> None:
    drawn = curves(
        "t", Axis("minutes"), Axis("y"), [Curve("one", [(0, 1), (9, 2)])], marks=[(0, "basic"), (5, "stress")]
    )
    assert {"basic", "stress"} <= {text.strip() for text in svg.texts(drawn)}


def test_nothing_to_draw_and_no_logarithm_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        curves("t", Axis("x"), Axis("y"), [Curve("one", [])])
    with pytest.raises(ValueError, match="x: a logarithmic axis has no 0"):
        curves("t", Axis("x", log=True), Axis("y"), [Curve("one", [(0, 1)])])


def test_the_same_figures_give_the_same_bytes_in_any_process() -> None:
    drawn = "curves('t', Axis('x'), Axis('y'), [Curve('one', [(0, 1), (2, 3)])])"
    program = f"from loadtest.curves import *; print({drawn}, end='')"
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert ET.fromstring(runs[0]).tag.endswith("svg")
    assert "date" not in runs[0]


def test_without_matplotlib_what_brings_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DrawingError, match="matplotlib, which is not installed: make install"):
        curves("t", Axis("x"), Axis("y"), [Curve("one", [(0, 1)])])
