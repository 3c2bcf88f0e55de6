"""Each threshold decides: a tenth over it the alert fires, a tenth under it nothing does, all else being the same.

The tests of ``alerts/tests`` say what each alert is for; these say that its numbers are its own.
"""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.alerts.edges import AT_MINUTES, EDGES, Series
from tests.alerts.rule_files import ALERTS, alerts, rules, thresholds
from tests.conftest import RequireProgram


def numbers() -> dict[str, float]:
    """The numeric thresholds of alerts by ``ALERT.name``."""
    return {
        f"{alert}.{name}": value
        for alert, values in thresholds().items()
        for name, value in values.items()
        if alert != "slo" and not isinstance(value, str)
    }


def test_every_threshold_has_its_edge() -> None:
    assert set(EDGES) == set(numbers())


def case(title: str, series: Series, alert: str, *, fires: bool) -> dict[str, object]:
    """A unit test of promtool: whether the alert fires when it is looked at."""
    return {
        "name": title,
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
                "eval_time": f"{AT_MINUTES}m",
                "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
            }
        ],
    }


@pytest.mark.parametrize("name", EDGES)
def test_a_threshold_decides(name: str, require_program: RequireProgram, tmp_path: Path) -> None:
    alert, _, _ = name.partition(".")
    edge, limit = EDGES[name], numbers()[name]
    over, under = (limit + 1, limit) if edge.whole else (1.1 * limit, 0.9 * limit)
    (tmp_path / "rule.yaml").write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [alerts()[alert]]}]}))
    tests = [
        case("over", edge.series(over), alert, fires=not edge.below),
        case("under", edge.series(under), alert, fires=edge.below),
    ]
    document = {"rule_files": ["rule.yaml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    done = subprocess.run(
        [require_program("promtool"), "test", "rules", "test.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_recorded_budgets_are_the_thresholds() -> None:
    recorded = {
        rule["labels"]["slo"]: float(rule["expr"].split()[1])
        for rule in rules(ALERTS / "recording.yaml")
        if rule.get("record") == "auth_service:slo_error_budget:ratio"
    }
    assert recorded == thresholds()["slo"]
