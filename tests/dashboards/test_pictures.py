"""Pictures of dashboards: figures as people read them, and the published ones are of the dashboards of today."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.dashboards.boards import panels
from tools.dashboards.catalogue import DASHBOARDS, file_of
from tools.dashboards.model import ROOT, Dashboard
from tools.dashboards.painting.answers import Seen, Series, seen
from tools.dashboards.painting.figures import fitted, formatted, text_width, ticks
from tools.dashboards.painting.picture import picture

SVG = "{http://www.w3.org/2000/svg}"
each = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=[dashboard.name for dashboard in DASHBOARDS])


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.000412, "s", "412 µs"),
        (0.1, "s", "100 ms"),
        (0.0, "s", "0 s"),
        (259_200, "s", "3 d"),
        (0.9994, "percentunit", "99.9%"),
        (-0.25, "percentunit", "-25%"),
        (94_371_840, "bytes", "90 MiB"),
        (1234, "reqps", "1.23 K req/s"),
        (14.4, "none", "14.4"),
    ],
)
def test_a_value_is_written_with_its_unit(value: float, unit: str, shown: str) -> None:
    assert formatted(value, unit) == shown


@pytest.mark.parametrize(
    ("low", "high", "unit", "shown"),
    [
        (0, 0.0011, "s", ["0.0 ms", "0.5 ms", "1.0 ms"]),
        (0, 1.08, "percentunit", ["0%", "50%", "100%"]),
        (0, 2.2 * 1024**2, "bytes", ["0 MiB", "1 MiB", "2 MiB"]),
        (0, 43, "ops", ["0/s", "20/s", "40/s"]),
        (-1, 1, "none", ["-1", "-0.5", "0", "0.5", "1"]),
    ],
)
def test_an_axis_has_round_ticks_in_one_scale(low: float, high: float, unit: str, shown: list[str]) -> None:
    at, write = ticks(low, high, unit)
    assert [write(value) for value in at] == shown


def test_a_text_that_has_no_room_is_cut() -> None:
    text = "revocation_propagation_seconds of every instance"
    assert fitted(text, 11, 100).endswith("…")
    assert text_width(fitted(text, 11, 100), 11) <= 100
    assert fitted(text, 11, 1000) == text


def test_a_panel_without_answers_says_so_and_one_with_answers_has_its_legend() -> None:
    board = json.loads(file_of(DASHBOARDS[0]).read_text())
    graphs = [panel["id"] for panel in panels(board) if panel["type"] == "timeseries"]
    answered = {graphs[0]: [Series("an objective", [(1000.0 + n, 0.5 * n) for n in range(60)])]}
    svg = picture(board, Seen(1000.0, 1060.0, answered, {}, {"Starts": [(1030.0, 1.0)]}), {"Job": "auth-service"})
    assert texts(svg).count("No data") == len(list(panels(board))) - 1
    assert "an objective" in texts(svg)
    assert "Starts" in texts(svg)


def test_answers_are_read_as_they_were_kept(tmp_path: Path) -> None:
    answer = {"panel": 2, "series": [{"legend": "a", "points": [[1, 2.0]]}], "exemplars": [[1, 3.0]]}
    kept = {"start": 0, "end": 9, "marks": {}, "answers": [{**answer, "query": 0}, {**answer, "query": 1}]}
    (tmp_path / "overview.json").write_text(json.dumps(kept))
    assert seen(tmp_path / "overview.json") == Seen(
        0, 9, {2: [Series("a", [(1, 2.0)]), Series("a", [(1, 2.0)])]}, {2: [(1, 3.0), (1, 3.0)]}, {}
    )


@each
def test_the_published_picture_shows_every_panel_with_data(dashboard: Dashboard) -> None:
    shown = texts((ROOT / f"docs/images/dashboard-{dashboard.name}.svg").read_text())
    assert shown[0] == dashboard.title
    assert "No data" not in shown
    assert [panel.title for panel in dashboard.panels() if panel.title not in shown] == []
    assert f"dashboard-{dashboard.name}.svg" in (ROOT / "docs/operations/dashboards.md").read_text()
