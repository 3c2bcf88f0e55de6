"""Every dashboard keeps the seventeen rules of Grafana's dashboard-linter, and each rule finds what breaks it."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.boards import Board
from tests.dashboards.lint import RULES
from tests.dashboards.logql import LogQLError, parse_logql
from tools.dashboards.catalogue import FOLDER

PAGES = sorted(FOLDER.glob("*.json"))
each = pytest.mark.parametrize("board", [json.loads(page.read_text()) for page in PAGES], ids=[p.stem for p in PAGES])
Break = Callable[[dict[str, Any]], None]


@each
def test_template_datasource_rule(board: Board) -> None:
    assert RULES["template-datasource-rule"](board) == []


@each
def test_template_job_rule(board: Board) -> None:
    assert RULES["template-job-rule"](board) == []


@each
def test_template_instance_rule(board: Board) -> None:
    assert RULES["template-instance-rule"](board) == []


@each
def test_template_label_promql_rule(board: Board) -> None:
    assert RULES["template-label-promql-rule"](board) == []


@each
def test_template_on_time_change_reload_rule(board: Board) -> None:
    assert RULES["template-on-time-change-reload-rule"](board) == []


@each
def test_panel_datasource_rule(board: Board) -> None:
    assert RULES["panel-datasource-rule"](board) == []


@each
def test_panel_title_description_rule(board: Board) -> None:
    assert RULES["panel-title-description-rule"](board) == []


@each
def test_panel_units_rule(board: Board) -> None:
    assert RULES["panel-units-rule"](board) == []


@each
def test_panel_no_targets_rule(board: Board) -> None:
    assert RULES["panel-no-targets-rule"](board) == []


@each
def test_target_logql_rule(board: Board) -> None:
    assert RULES["target-logql-rule"](board) == []


@each
def test_target_logql_auto_rule(board: Board) -> None:
    assert RULES["target-logql-auto-rule"](board) == []


@each
def test_target_promql_rule(board: Board) -> None:
    assert RULES["target-promql-rule"](board) == []


@each
def test_target_rate_interval_rule(board: Board) -> None:
    assert RULES["target-rate-interval-rule"](board) == []


@each
def test_target_job_rule(board: Board) -> None:
    assert RULES["target-job-rule"](board) == []


@each
def test_target_instance_rule(board: Board) -> None:
    assert RULES["target-instance-rule"](board) == []


@each
def test_target_counter_agg_rule(board: Board) -> None:
    assert RULES["target-counter-agg-rule"](board) == []


@each
def test_uneditable_dashboard_rule(board: Board) -> None:
    assert RULES["uneditable-dashboard-rule"](board) == []


# ------------------------------------------------------------------------------------------------ what breaks them


def variable(which: str, /, **changes: Any) -> Break:
    """Change one variable; without changes, take it away."""

    def apply(board: dict[str, Any]) -> None:
        if not changes:
            board["templating"]["list"] = [v for v in board["templating"]["list"] if v["name"] != which]
        for found in board["templating"]["list"]:
            if found["name"] == which:
                found.update(changes)

    return apply


def panel(**changes: Any) -> Break:
    """Change the last panel."""
    return lambda board: board["panels"][-1].update(changes)


def query(expression: str, source: str = "prometheus") -> Break:
    """Another query in the last panel."""

    def apply(board: dict[str, Any]) -> None:
        (target, *_) = board["panels"][-1]["targets"]
        target.update(expr=expression, datasource={"type": source, "uid": "${datasource}"})

    return apply


BOUND = 'job=~"$job",instance=~"$instance"'
BROKEN: list[tuple[str, Break]] = [
    ("template-datasource-rule", variable("datasource")),
    ("template-datasource-rule", variable("datasource", name="source")),
    ("template-datasource-rule", variable("datasource", label="Source")),
    ("template-job-rule", variable("job")),
    ("template-job-rule", variable("job", label="The job")),
    ("template-job-rule", variable("job", multi=False)),
    ("template-job-rule", variable("job", allValue=".*")),
    ("template-job-rule", variable("job", type="custom")),
    ("template-job-rule", variable("job", datasource={"type": "prometheus", "uid": "another"})),
    ("template-instance-rule", variable("instance")),
    ("template-instance-rule", variable("instance", allValue=None)),
    ("template-label-promql-rule", variable("job", query="token_operation_duration_seconds_count")),
    ("template-label-promql-rule", variable("job", query="values_of(up, job)")),
    ("template-label-promql-rule", variable("job", query='label_values(up{job=~"$job", job)')),
    ("template-on-time-change-reload-rule", variable("instance", refresh=1)),
    ("panel-datasource-rule", panel(datasource={"type": "prometheus", "uid": "another"})),
    ("panel-datasource-rule", panel(targets=[{"expr": f"up{{{BOUND}}}", "datasource": {"uid": "another"}}])),
    ("panel-title-description-rule", panel(title="")),
    ("panel-title-description-rule", panel(description=None)),
    ("panel-units-rule", panel(fieldConfig={"defaults": {}})),
    ("panel-units-rule", panel(fieldConfig={"defaults": {"unit": "parsecs"}})),
    ("panel-no-targets-rule", panel(targets=[])),
    ("target-logql-rule", query('{app="auth"} |= ', "loki")),
    ("target-logql-rule", variable("datasource", query="loki")),
    ("target-logql-auto-rule", query('sum by (level) (rate({app="auth"} | json [5m]))', "loki")),
    ("target-promql-rule", query(f"sum(rate(audit_events_dropped_total{{{BOUND}}}[5m])")),
    ("target-promql-rule", query("")),
    ("target-rate-interval-rule", query(f"sum(rate(audit_events_dropped_total{{{BOUND}}}[5m]))")),
    ("target-job-rule", query('up{instance=~"$instance"}')),
    ("target-job-rule", query('up{job="$job",instance=~"$instance"}')),
    ("target-job-rule", query(f'up{{{BOUND}}} and on (job) up{{job=~".+",instance=~"$instance"}}')),
    ("target-instance-rule", query('up{job=~"$job"}')),
    ("target-counter-agg-rule", query(f"sum(audit_events_dropped_total{{{BOUND}}})")),
    ("target-counter-agg-rule", query(f"max_over_time(audit_events_dropped_total{{{BOUND}}}[$__rate_interval])")),
    ("target-counter-agg-rule", query(f"sum by (le) (event_loop_lag_seconds_bucket{{{BOUND}}})")),
    ("uneditable-dashboard-rule", lambda board: board.update(editable=True)),
    ("uneditable-dashboard-rule", lambda board: board.pop("editable")),
]


@pytest.mark.parametrize(("rule", "breaks"), BROKEN, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(BROKEN)])
def test_a_rule_finds_what_breaks_it(rule: str, breaks: Break) -> None:
    board = copy.deepcopy(json.loads((FOLDER / "auth-service-overview.json").read_text()))
    assert RULES[rule](board) == []
    breaks(board)
    assert RULES[rule](board) != []


def test_there_are_seventeen_rules_and_each_is_broken_above_and_tested() -> None:
    assert len(RULES) == 17
    assert {rule for rule, _ in BROKEN} == set(RULES)
    source = Path(__file__).read_text()
    assert all(f"\ndef test_{name.replace('-', '_')}(" in source for name in RULES)


def test_no_rule_is_excluded() -> None:
    """The linter reads its exclusions from a file ``.lint`` beside the dashboards."""
    assert not (FOLDER / ".lint").exists()


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ('{app="auth"}', []),
        ('{app="auth", level=~"error|warn"} |= "refused" | json | status >= 500', []),
        ('sum by (level) (count_over_time({app="auth"} | json [$__auto]))', ["$__auto"]),
        ('60 * rate({app="auth"}[1m])', None),
        ('rate({app="auth"}[1m]) * 60', ["1m"]),
        ("{app=auth}", None),
        ("rate({}[1m])", None),
    ],
)
def test_logql_is_read(text: str, windows: list[str] | None) -> None:
    if windows is None:
        with pytest.raises(LogQLError):
            parse_logql(text)
    else:
        assert parse_logql(text) == windows
