"""The rules that the chart installs: every threshold is a value, and every alert can be left out."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.alerts.rule_files import alerts, thresholds
from tests.conftest import RequireProgram
from tests.programs.charts import KUBE_VERSIONS, Manifest, Render, render_all

ChartTool = Callable[[str], str]


def job(**rule: Any) -> dict[str, Any]:
    values = {"metrics": {"prometheusRule": {"enabled": True, "kubernetes": True, **rule}}}
    return {"values": values, "kubeVersion": KUBE_VERSIONS[-1]}


def rules_of(render: Render) -> list[Manifest]:
    found = [each for each in render.objects if each["kind"] == "PrometheusRule"]
    return [rule for each in found for group in each["spec"]["groups"] for rule in group["rules"]]


def test_every_threshold_is_a_value(chart_tool: ChartTool, require_program: RequireProgram, tmp_path: Path) -> None:
    chart_tool("chartrender")
    count = 0
    wanted: dict[str, dict[str, float | str]] = {}
    for alert, values in thresholds().items():
        for name in values:
            count += 1
            wanted.setdefault(alert, {})[name] = f"{1000 + count}s" if name == "for" else float(f"0.7{1000 + count}")
    (render,) = render_all([job(thresholds=wanted)])
    by_alert = {rule.get("alert"): f"{rule['expr']}\nfor: {rule.get('for')}" for rule in rules_of(render)}
    recorded = "\n".join(rule["expr"] for rule in rules_of(render) if "record" in rule)
    for alert, changed in wanted.items():
        for name, value in changed.items():
            assert str(value) in by_alert.get(alert, recorded), f"{alert}.{name}"
    groups = [{"name": "all", "rules": [rule for rule in rules_of(render) if "alert" in rule]}]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    subprocess.run([require_program("promtool"), "check", "rules", str(tmp_path / "rules.yaml")], check=True)


def test_every_alert_can_be_left_out(chart_tool: ChartTool) -> None:
    chart_tool("chartrender")
    names = set(alerts())
    renders = render_all([job(), *(job(disabled=[name]) for name in sorted(names)), job(disabled=sorted(names))])
    left = [{rule["alert"] for rule in rules_of(render) if "alert" in rule} for render in renders]
    assert left == [names, *(names - {name} for name in sorted(names)), set()]
