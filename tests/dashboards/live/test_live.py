"""Every query of every dashboard has data, from a real Prometheus that scrapes the real service under load."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import RequireProgram
from tests.dashboards.boards import panels
from tests.dashboards.live.answers import Answer, answers, chosen, filled_in, keep, marks
from tests.dashboards.live.stage import SECONDS, Stage, play
from tools.dashboards.catalogue import DASHBOARDS, FOLDER, file_of
from tools.dashboards.model import Dashboard

pytestmark = [pytest.mark.dashboards_live, pytest.mark.timeout(SECONDS + 240)]
each = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=[dashboard.name for dashboard in DASHBOARDS])


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, require_program: RequireProgram) -> Iterator[Stage]:
    require_program("prometheus")
    with ExitStack() as stack:
        yield play(tmp_path_factory.mktemp("stage"), require_program("redis-server"), stack)


@pytest.fixture(scope="module")
def asked(stage: Stage) -> dict[str, list[Answer]]:
    """The answers to all queries, by dashboard."""
    return {
        dashboard.name: list(answers(stage, json.loads(file_of(dashboard).read_text()))) for dashboard in DASHBOARDS
    }


@each
def test_every_query_has_data(asked: dict[str, list[Answer]], stage: Stage, dashboard: Dashboard) -> None:
    board = json.loads(file_of(dashboard).read_text())
    titles = {panel["id"]: panel["title"] for panel in panels(board)}
    without = [f"{titles[answer.panel]}, query {answer.query}" for answer in asked[dashboard.name] if not answer.series]
    marked = marks(stage, board)
    if results := os.environ.get("DASHBOARD_RESULTS"):
        keep(Path(results), dashboard.name, stage, asked[dashboard.name], marked)
    assert without == []
    assert len(asked[dashboard.name]) == sum(len(panel.queries) for panel in dashboard.panels())
    if dashboard.name != "kubernetes":
        assert len(marked["Rotations"]) > 0
        assert len(marked["Starts"]) > 0


@each
def test_every_variable_has_something_to_choose(stage: Stage, dashboard: Dashboard) -> None:
    board = json.loads(file_of(dashboard).read_text())
    found = {}
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            query = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
            assert query is not None
            selector = filled_in(query[1], chosen(board), SECONDS)
            found[variable["name"]] = stage.prometheus.label_values(selector, query[2])
    assert found.pop("cluster") == [], "a plain scrape has none, and the queries have data all the same"
    namespaces = found.pop("namespace")
    assert namespaces == (["auth"] if dashboard.name == "kubernetes" else [])
    assert all(found.values()), found


def test_exemplars_of_latency_name_traces(stage: Stage) -> None:
    board = json.loads((FOLDER / "auth-service-overview.json").read_text())
    panel = next(panel for panel in panels(board) if panel["title"] == "Introspection")
    expression = filled_in(panel["targets"][-1]["expr"], chosen(board), SECONDS)
    exemplars = stage.prometheus.exemplars(expression, stage.start, stage.end)
    assert len(exemplars) > 10
    assert all(re.fullmatch(r"[0-9a-f]{32}", exemplar["labels"]["trace_id"]) for exemplar in exemplars)
