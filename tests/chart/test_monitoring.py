"""Rules and dashboards as a release has them: with its own names, and red lines where its alerts' thresholds are."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs.charts import ROOT, Manifest, Render, render

MONITORED: Manifest = {"metrics": {"prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}}}
BURNING = """
rule_files: [{files}]
evaluation_interval: 1m
group_eval_order: [auth-service-recording, auth-service-slo]
tests:
  - interval: 1m
    input_series:
      - series: up{{{labels}}}
        values: 1x180
      - series: http_server_request_duration_seconds_count{{{labels},http_response_status_code="200"}}
        values: 0+980x180
      - series: http_server_request_duration_seconds_count{{{labels},http_response_status_code="503"}}
        values: 0+20x180
    alert_rule_test:
      - eval_time: 10m
        alertname: ErrorBudgetBurnFast
        exp_alerts: {alerts}
    promql_expr_test:
      - eval_time: 10m
        expr: round(instance:auth_service_slo_burn_rate:ratio_rate1h, 0.001)
        exp_samples: {samples}
"""


def rule_files_of(made: Render, folder: Path) -> list[str]:
    paths = []
    for rule in (o for o in made.objects if o["kind"] == "PrometheusRule"):
        path = folder / f"{rule['metadata']['name']}.yaml"
        path.write_text(yaml.safe_dump(rule["spec"]))
        paths.append(str(path))
    return paths


def dashboards_of(made: Render) -> dict[str, str]:
    found: dict[str, str] = {}
    for object_ in made.objects:
        if object_["kind"] == "ConfigMap" and object_["metadata"].get("labels", {}).get("grafana_dashboard"):
            found |= object_["data"]
    return found


@pytest.fixture
def release(chart_tool: Callable[[str], str]) -> Callable[..., Render]:
    chart_tool("chartrender")

    def make(thresholds: dict[str, Any] | None = None, **rule: Any) -> Render:
        rules = {"enabled": True, "thresholds": thresholds or {}, **rule}
        return render({"metrics": {**MONITORED["metrics"], "prometheusRule": rules}}, namespace="prod")

    return make


@pytest.mark.parametrize(("namespace", "fires"), [("prod", True), ("another", False)])
def test_the_budget_of_a_release_burns_by_its_own_series_and_no_others(
    release: Callable[..., Render],
    require_program: Callable[[str], str],
    tmp_path: Path,
    namespace: str,
    fires: bool,
) -> None:
    files = rule_files_of(release(), tmp_path)
    labels = f'job="rel-auth-service",namespace="{namespace}",instance="a:9464"'
    (burns,) = [
        rule
        for file in files
        for group in yaml.safe_load(Path(file).read_text())["groups"]
        for rule in group["rules"]
        if rule.get("alert") == "ErrorBudgetBurnFast"
    ]
    annotations = {
        **burns["annotations"],
        "description": "The objective availability is missed by 2% of the requests: at this rate its budget for 30 "
        "days is gone within days.",
    }
    alert = {
        "exp_labels": {
            "job": "rel-auth-service",
            "slo": "availability",
            "severity": "critical",
            "team": "auth-service",
        },
        "exp_annotations": annotations,
    }
    sample = {"labels": f'{{{labels},slo="availability"}}', "value": 20}
    (tmp_path / "test.yaml").write_text(
        BURNING.format(
            files=",".join(json.dumps(file) for file in files),
            labels=labels,
            alerts=json.dumps([alert] if fires else []),
            samples=json.dumps([sample] if fires else []),
        )
    )
    command = [require_program("promtool"), "test", "rules", str(tmp_path / "test.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboards_are_shipped_as_they_are(release: Callable[..., Render]) -> None:
    shipped = dashboards_of(release())
    assert {name: text.rstrip("\n") for name, text in shipped.items()} == {
        path.name: path.read_text().rstrip("\n") for path in (ROOT / "dashboards").glob("*.json")
    }


def test_a_moved_threshold_moves_the_red_lines_that_are_it_and_nothing_else(release: Callable[..., Render]) -> None:
    before = {name: json.loads(text) for name, text in dashboards_of(release()).items()}
    after = dashboards_of(release({"HighErrorRate": {"ratio": 0.02}}))
    moved = 0
    for name, board in before.items():
        for panel in board["panels"]:
            if "threshold HighErrorRate.ratio " in panel.get("description", ""):
                panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"] = 0.02
                moved += 1
        assert json.loads(after[name]) == board
    assert moved > 1


def test_runbooks_are_where_the_alerts_say(release: Callable[..., Render]) -> None:
    elsewhere = dashboards_of(release(runbookBaseUrl="https://runbooks.example.org/"))
    assert all("https://runbooks.example.com/" not in text for text in elsewhere.values())
    assert "https://runbooks.example.org/HighErrorRate.md" in elsewhere["auth-service-overview.json"]
