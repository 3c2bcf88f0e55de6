"""Curves as SVG: what stands where, and that it can be read."""

import xml.etree.ElementTree as ET

import pytest

from loadtest.curves import Axis, Curve, Scale, curves, figure

SVG = "{http://www.w3.org/2000/svg}"


def drawn(svg: str, kind: str) -> list[ET.Element]:
    return ET.fromstring(svg).findall(f"{SVG}{kind}")


def test_a_curve_keeps_its_points_and_its_order() -> None:
    svg = curves("t", Axis("x"), Axis("y"), [Curve("one", [(0, 0), (10, 5), (20, 10)])])
    (line,) = drawn(svg, "polyline")
    points = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    assert points[0][0] < points[1][0] < points[2][0]
    assert points[0][1] > points[1][1] > points[2][1]
    assert points[1][0] == pytest.approx((points[0][0] + points[2][0]) / 2, abs=0.2)


def test_text_is_escaped_and_dots_are_dots() -> None:
    svg = curves("a < b", Axis("x"), Axis("y"), [Curve("p & q", [(1, 1), (2, 3)], style="dots")])
    assert [text.text for text in drawn(svg, "text") if text.text and "<" in text.text] == ["a < b"]
    assert len(drawn(svg, "circle")) == 2 + 1  # one in the legend


def test_a_logarithmic_axis_gives_each_power_the_same_room() -> None:
    scale = Scale(1, 1000, 0, 300, log=True)
    assert [scale.at(value) for value in (1, 10, 100, 1000)] == [0, 100, 200, 300]
    assert scale.ticks() == [1, 10, 100, 1000]


@pytest.mark.parametrize(
    ("low", "high", "ticks"), [(0, 50, [0, 10, 20, 30, 40, 50]), (0, 0.9, [0, 0.2, 0.4, 0.6, 0.8])]
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert Scale(low, high, 0, 100, log=False).ticks() == pytest.approx(ticks)


@pytest.mark.parametrize(("value", "shown"), [(0.25, "0.25"), (500, "500"), (20_000, "20k"), (1_500_000, "1.5M")])
def test_figures_are_short(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_nothing_to_draw_and_no_logarithm_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        curves("t", Axis("x"), Axis("y"), [Curve("one", [])])
    with pytest.raises(ValueError, match="logarithmic"):
        curves("t", Axis("x", log=True), Axis("y"), [Curve("one", [(0, 1)])])
