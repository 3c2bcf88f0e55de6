"""Dashboards: generated, whole, and asking only for what exists."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric

from tests.alerts.promql import Labels, result_labels
from tests.alerts.rule_files import RULE_FILES, alerts, external_metrics, rules
from tests.alerts.test_metrics_of_rules import OF_OTHER_SETTINGS
from tests.dashboards.boards import Board, panels, parsed, targets
from tests.observability.scraped import scraped_labels
from tools.dashboards.catalogue import DASHBOARDS, FOLDER, file_of, files
from tools.dashboards.model import Panel, threshold

PAGES = sorted(FOLDER.glob("*.json"))
each = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
OF_A_TARGET = frozenset({"cluster", "namespace"})
"""Labels that a target may have; every query allows their absence."""


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def shown() -> Iterator[tuple[Panel, Mapping[str, Any]]]:
    """Every panel as it is described and as it is in the file."""
    for dashboard in DASHBOARDS:
        yield from zip(dashboard.panels(), panels(read(file_of(dashboard))), strict=True)


def test_the_files_are_what_the_descriptions_say() -> None:
    assert {path: path.read_text() for path in PAGES} == files(), "make dashboards writes them anew"


def test_every_dashboard_that_an_alert_names_exists() -> None:
    named = {
        a["annotations"]["dashboard_url"].removeprefix("https://grafana.example.com/d/") for a in alerts().values()
    }
    assert named <= {path.stem for path in PAGES}


@each
def test_a_dashboard_can_be_looked_at_by_cluster_namespace_job_and_instance(path: Path) -> None:
    board = read(path)
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert board["uid"] == path.stem
    assert list(variables)[:5] == ["datasource", "cluster", "namespace", "job", "instance"]
    assert variables["cluster"]["allValue"] == ".*", "a plain scrape has no such label"
    assert variables["cluster"]["current"]["value"] == ["$__all"]
    everybody = path.stem not in ("auth-service-kubernetes", "auth-service-load-test")
    assert variables["job"]["includeAll"] is not everybody, "process_… are everybody's metrics, k6_… and kube_… are not"


@each
def test_every_selector_is_bound_to_the_chosen_targets(path: Path) -> None:
    for where, target in targets(read(path)):
        for selector in re.findall(r"\{([^}]*)\}", target["expr"]):
            for name in ("cluster", "namespace", "job", "instance"):
                assert f'{name}=~"${name}"' in selector, where


@each
def test_a_dashboard_has_at_most_25_panels_each_with_a_title_of_its_own(path: Path) -> None:
    board = read(path)
    assert len(board["panels"]) <= 25
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(titles)) == len(titles)
    assert all(panel["description"].endswith(".") for panel in panels(board))
    assert all(target["legendFormat"] for _, target in targets(board))


@each
def test_panels_lie_side_by_side(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in read(path)["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        cells = {(grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_overview_begins_with_the_objectives() -> None:
    titles = [panel["title"] for panel in read(FOLDER / "auth-service-overview.json")["panels"]]
    assert titles[0].startswith("Objectives")
    assert titles[1] == "Error budget left"
    assert titles[2].startswith("Burn rate")


@each
def test_graphs_of_the_histogram_that_names_traces_ask_for_exemplars_and_nothing_else_does(path: Path) -> None:
    for panel in panels(read(path)):
        for target in panel["targets"]:
            names_traces = "http_server_request_duration_seconds_bucket" in target["expr"]
            assert target["exemplar"] is names_traces


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("overview", {"Duration by route, p95", "Introspection", "Issuance"}),
        ("tokens", {"Issuing", "Introspecting", "Revoking"}),
        ("load-test", {"Client and service, p95"}),
    ],
)
def test_graphs_of_latency_lead_to_traces(name: str, titles: set[str]) -> None:
    board = read(FOLDER / f"auth-service-{name}.json")
    assert {panel["title"] for panel in panels(board) if any(t["exemplar"] for t in panel["targets"])} == titles


@each
def test_deploys_starts_and_rotations_are_marked(path: Path) -> None:
    marks = {mark["name"] for mark in read(path)["annotations"]["list"]}
    assert marks == (set() if path.stem == "auth-service-kubernetes" else {"Deploys", "Starts", "Rotations"})


def test_the_red_lines_are_the_thresholds_of_the_alerts() -> None:
    for panel, in_file in shown():
        steps = in_file["fieldConfig"]["defaults"]["thresholds"]["steps"]
        if panel.threshold is None:
            assert steps[1:] in ([], [{"color": "green", "value": 0}]), panel.title
        else:
            assert steps[1]["value"] == threshold(panel.threshold)
            assert [step["color"] for step in steps] == (["red", "green"] if panel.below else ["green", "red"])
            assert f" threshold {panel.threshold} " in in_file["description"]
            assert in_file["links"][0]["url"].endswith(f"/{panel.threshold.partition('.')[0]}.md")


@each
def test_only_counters_have_rates(path: Path, scrape: Mapping[str, Metric]) -> None:
    gauges = {family.name for family in scrape.values() if family.type == "gauge"}
    for where, target in targets(read(path)):
        for function, name in re.findall(r"(rate|increase)\((\w+)\{", target["expr"]):
            assert name not in gauges, f"{function} in {where}"


@each
def test_queries_legends_and_marks_use_what_exists(path: Path, scrape: Mapping[str, Metric]) -> None:
    exported: dict[str, Labels] = {**external_metrics(), **OF_OTHER_SETTINGS, **scraped_labels(scrape)}
    known = {name: labels | OF_A_TARGET for name, labels in exported.items()}
    for rule_file in RULE_FILES:
        for rule in rules(rule_file):
            if "record" in rule:
                known[rule["record"]] = result_labels(parsed(rule["expr"]), known) | set(rule.get("labels", {}))
    board: Board = read(path)
    asked = [(target["expr"], target["legendFormat"]) for _, target in targets(board)]
    asked += [(mark["expr"], mark["titleFormat"]) for mark in board["annotations"]["list"]]
    for expression, legend in asked:
        labels = result_labels(parsed(expression), known)
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= labels, expression


def test_no_metric_of_the_service_is_shown_and_alerted_nowhere(scrape: Mapping[str, Metric]) -> None:
    text = "".join(path.read_text() for path in (*PAGES, *RULE_FILES))
    orphans = {family.name for family in scrape.values() if family.name not in text}
    assert orphans == {"process_virtual_memory_bytes", "python_info"}, "what prometheus_client tells beside"
