"""Dashboards: generated, complete by the rules of Grafana's dashboard-linter, and asking only for what exists."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric

from tests.alerts.promql import Labels, parse, result_labels
from tests.alerts.rule_files import RULE_FILES, alerts, external_metrics, rules
from tests.alerts.test_metrics_of_rules import OF_OTHER_SETTINGS
from tests.observability.scraped import scraped_labels
from tools.dashboards import DASHBOARDS, FOLDER, files, threshold

PAGES = sorted(FOLDER.glob("*.json"))
each = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def targets(document: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for panel in document["panels"]:
        for target in panel["targets"]:
            yield panel, target


def as_prometheus_reads(expression: str) -> str:
    expression = expression.replace("$__rate_interval", "5m")
    return re.sub(r"\$(job|instance|namespace|testid)", ".+", expression)


def test_the_files_are_what_the_description_says() -> None:
    assert {path: path.read_text() for path in PAGES} == files(), "make dashboards writes them anew"


def test_every_dashboard_that_an_alert_names_exists() -> None:
    named = {
        a["annotations"]["dashboard_url"].removeprefix("https://grafana.example.com/d/") for a in alerts().values()
    }
    assert named <= {path.stem for path in PAGES}


@each
def test_a_dashboard_has_the_variables_that_make_it_portable(path: Path) -> None:
    document = read(path)
    variables = {variable["name"]: variable for variable in document["templating"]["list"]}
    assert document["uid"] == path.stem
    assert document["editable"] is False
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    assert set(variables) in (
        {"datasource", "job", "instance"},
        {"datasource", "namespace"},
        {"datasource", "testid"},
    )
    for name, variable in variables.items():
        assert variable["label"]
        if name != "datasource":
            assert variable["allValue"] == ".+"
            assert variable["multi"]
            assert variable["datasource"]["uid"] == "${datasource}"
    assert len(document["panels"]) <= 25


@each
def test_every_panel_says_what_it_shows(path: Path) -> None:
    document = read(path)
    titles = [panel["title"] for panel in document["panels"]]
    assert len(set(titles)) == len(titles)
    for panel in document["panels"]:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["targets"]


@each
def test_every_query_is_bound_to_the_chosen_targets(path: Path) -> None:
    for _, target in targets(read(path)):
        selectors = re.findall(r"\{([^}]*)\}", target["expr"])
        bound = {"auth-service-kubernetes": "namespace", "auth-service-load-test": "testid"}.get(path.stem, "job")
        assert all(f'{bound}=~"${bound}"' in selector for selector in selectors)
        assert target["legendFormat"]
        for function in ("rate(", "irate("):
            for window in re.findall(re.escape(function) + r"[^\[]*\[([^\]]*)\]", target["expr"]):
                assert window == "$__rate_interval"


@each
def test_counters_are_not_shown_raw_and_only_counters_have_rates(path: Path, scrape: Mapping[str, Metric]) -> None:
    counters = {f"{family.name}_total" for family in scrape.values() if family.type == "counter"}
    gauges = {family.name for family in scrape.values() if family.type == "gauge"}
    for _, target in targets(read(path)):
        for name in counters:
            if name in target["expr"]:
                assert re.search(rf"(rate|increase)\({name}\{{", target["expr"])
        for function, name in re.findall(r"(rate|increase)\((\w+)\{", target["expr"]):
            assert name not in gauges, function


@each
def test_queries_and_legends_use_what_exists(path: Path, scrape: Mapping[str, Metric]) -> None:
    known: dict[str, Labels] = {**external_metrics(), **OF_OTHER_SETTINGS, **scraped_labels(scrape)}
    for rule_file in RULE_FILES:
        for rule in rules(rule_file):
            if "record" in rule:
                known[rule["record"]] = frozenset({"job", "slo"})
    for _, target in targets(read(path)):
        labels = result_labels(parse(as_prometheus_reads(target["expr"])), known)
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels


def test_the_red_lines_are_the_thresholds_of_the_alerts() -> None:
    for name, (_, panels) in DASHBOARDS.items():
        document = read(FOLDER / f"auth-service-{name}.json")
        for panel, shown in zip(panels, document["panels"], strict=True):
            steps = shown["fieldConfig"]["defaults"]["thresholds"]["steps"]
            assert [s["value"] for s in steps[1:]] == ([threshold(panel.threshold)] if panel.threshold else [])


def test_no_metric_of_the_service_is_shown_and_alerted_nowhere(scrape: Mapping[str, Metric]) -> None:
    text = "".join(path.read_text() for path in (*PAGES, *RULE_FILES))
    orphans = {family.name for family in scrape.values() if family.name not in text}
    assert orphans == ORPHANS


ORPHANS = {
    "process_virtual_memory_bytes",
    "process_max_fds",
    "python_info",
    "python_gc_objects_collected",
    "python_gc_objects_uncollectable",
}
"""What prometheus_client's collectors tell beside."""
